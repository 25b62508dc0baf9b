"""Tables of profiles: reading, checking, and averaging cells to wells and wells to treatments."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.errors import UserError

# What a column tells: the name it has here.
COLUMNS = {
    "plate": "Metadata_Plate",
    "well": "Metadata_Well",
    "compound": "Metadata_Compound",
    "concentration": "Metadata_Concentration",
    "moa": "Metadata_MoA",
    "batch": "Metadata_Batch",
}
OPTIONAL = ("plate", "well", "concentration")
CONTROL = "Metadata_Control"
WELL = ["Metadata_Plate", "Metadata_Well"]
TREATMENT = ["Metadata_Compound", "Metadata_Concentration"]
# What pandas and pyarrow raise for a file that is broken off or something else.
UNREADABLE = (ValueError, OSError, EOFError, zlib.error)
STATISTICS: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "median": np.median}


def read(
    path: str | Path,
    columns: Mapping[str, str] | None = None,
    features: Sequence[str] = (),
    control: str = "DMSO",
    batches: bool = True,
) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """A table of profiles in the community's convention, from `.csv`, `.csv.gz` or `.parquet`.

    Args:
        path: the file; one row per cell, well or treatment.
        columns: the names that the table has for the keys of `COLUMNS`, where they are not those of `COLUMNS`. Upper
            and lower case do not matter.
        features: shell patterns of the feature columns; without any, all columns that do not begin with `Metadata_`.
        control: the compound that is the negative control.
        batches: False reads a table that has no batches; `Metadata_Batch` is then missing.

    Returns:
        meta: the columns of `COLUMNS` under those names, as far as the table has them, with text for all but numeric
            concentrations, "" for an unknown MoA, 0 for concentrations of controls; and `Metadata_Control`, bool.
        x: (rows, features) float32 if the table is, else float64.
        names: of the features.

    Raises:
        UserError: a file or column that is missing, a column that is no number, and what `check` refuses.
    """
    path = Path(path)
    present = _header(path)
    named = _resolve(present, columns or {}, batches, path)
    chosen = _choose(present, named, features, path)
    table = _load(path, list(dict.fromkeys([*named.values(), *chosen])), text=list(named.values()))
    if table.empty:
        raise UserError(f"{path}: the table has no rows")
    meta = pd.DataFrame({COLUMNS[key]: _text(table[column]) for key, column in named.items() if key != "concentration"})
    meta[CONTROL] = meta["Metadata_Compound"] == control
    if not meta[CONTROL].any() and (meta["Metadata_Compound"].str.lower() == control.lower()).any():
        raise UserError(f"{path}: the control is {control!r} in another spelling; give it as the table has it")
    meta["Metadata_Concentration"] = (
        _concentration(table[named["concentration"]], meta[CONTROL].to_numpy(), path)
        if "concentration" in named
        else 0.0
    )
    bad = [name for name in chosen if not pd.api.types.is_numeric_dtype(table[name])]
    if bad:
        raise UserError(
            f"{path}: feature column {bad[0]!r} is not numeric ({len(bad)} such); choose the features by a pattern"
        )
    single = (table[chosen].dtypes == np.float32).all()
    x = table[chosen].to_numpy(dtype=np.float32 if single else np.float64, na_value=np.nan)
    check(meta, x, chosen, str(path))
    return meta, x, chosen


def check(meta: pd.DataFrame, x: np.ndarray, names: Sequence[str] | None = None, where: str = "profiles") -> None:
    """Raise UserError for what cannot be scored: NaN or infinite features, a row without compound or batch, a well with
    two treatments, MoAs or batches, a compound with two MoAs. `names`: of the features; `where`: the file, for the
    message."""
    bad = ~np.isfinite(x)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        name = names[column] if names is not None else f"number {column}"
        raise UserError(
            f"{where}: {bad.sum()} feature value(s) in {bad.any(axis=1).sum()} of {len(x)} rows are NaN or infinite "
            f"(first: row {row}, feature {name}); drop those rows or those features"
        )
    for column in ("Metadata_Compound", "Metadata_Batch", *WELL):
        if column in meta and (meta[column] == "").any():
            raise UserError(f"{where}: {column} is empty in row {int((meta[column] == '').argmax())}; fill it in")
    if has_wells(meta):
        for column in (*TREATMENT, "Metadata_MoA", "Metadata_Batch"):
            if column not in meta:
                continue
            several = meta.groupby(WELL)[column].nunique()
            if several.max() > 1:
                plate, well = several.index[int(several.argmax())]
                raise UserError(
                    f"{where}: well {well} of plate {plate} has {several.max()} values of {column}; a well has one"
                )
    known = meta[~meta[CONTROL] & (meta["Metadata_MoA"] != "")]
    moas = known.groupby("Metadata_Compound")["Metadata_MoA"].unique()
    twice = moas[moas.map(len) > 1]
    if len(twice):
        raise UserError(
            f"{where}: compound {twice.index[0]!r} has {len(twice.iloc[0])} MoAs ({', '.join(sorted(twice.iloc[0]))}); "
            "give it one, or leave its rows out"
        )


def has_wells(meta: pd.DataFrame) -> bool:
    """Whether rows are known by plate and well; without, every row is a profile of its own."""
    return all(column in meta for column in WELL)


def wells(meta: pd.DataFrame, x: np.ndarray, statistic: str = "mean") -> tuple[pd.DataFrame, np.ndarray]:
    """The profile of each well from its rows (cells, or sites).

    Args:
        meta: one row per cell; see `read`. Further columns are left out.
        x: (cells, d), an array or a memory map; one well at a time is read.
        statistic: mean, or median, by feature (ambiguity B-16).

    Returns:
        meta, sorted by plate and well, with `Metadata_Count`, the number of rows; x (wells, d) float64. A table without
        plate and well is returned as it is.
    """
    if not has_wells(meta):
        return meta.reset_index(drop=True), np.asarray(x, dtype=np.float64)
    meta = meta.reset_index(drop=True)
    groups = meta.groupby(WELL, sort=True).indices
    rows = [np.sort(index) for index in groups.values()]
    found = np.stack([STATISTICS[statistic](np.asarray(x[index], dtype=np.float64), axis=0) for index in rows])
    kept = [name for name in (*COLUMNS.values(), CONTROL) if name in meta]
    table = meta.loc[[index[0] for index in rows], kept].reset_index(drop=True)
    return table.assign(Metadata_Count=[len(index) for index in rows]), found


def treatments(meta: pd.DataFrame, x: np.ndarray, statistic: str = "median") -> tuple[pd.DataFrame, np.ndarray]:
    """The profile of each annotated treatment from its wells; controls and wells without MoA are dropped.

    Args:
        meta: one row per well.
        x: (wells, d).
        statistic: median, by feature, or mean (ambiguity B-16).

    Returns:
        meta, sorted by compound and concentration: these two, MoA, the batch (several, where its wells are in several,
        are joined by commas) and `Metadata_Count`, the number of wells; x (treatments, d) float64.
    """
    kept = (~meta[CONTROL] & (meta["Metadata_MoA"] != "")).to_numpy()
    meta, x = meta[kept].reset_index(drop=True), np.asarray(x, dtype=np.float64)[kept]
    if meta.empty:
        raise UserError("profiles: no treatment has a MoA; fill in the MoA column of those that are annotated")
    rows, found = [], []
    for index in meta.groupby(TREATMENT, sort=True).indices.values():
        row: dict[str, Any] = {column: meta[column].iloc[index[0]] for column in (*TREATMENT, "Metadata_MoA")}
        row["Metadata_Count"] = len(index)
        if "Metadata_Batch" in meta:
            row["Metadata_Batch"] = ",".join(sorted(meta["Metadata_Batch"].iloc[index].unique()))
        rows.append(row)
        found.append(STATISTICS[statistic](x[index], axis=0))
    return pd.DataFrame(rows), np.stack(found)


def constant(x: np.ndarray) -> np.ndarray:
    """(d,) bool: the features that are the same in all rows."""
    same: np.ndarray = np.ptp(x, axis=0) == 0
    return same


def plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON holds them: missing numbers are None."""
    return [
        {str(key): None if pd.isna(value) else value for key, value in row.items()} for row in table.to_dict("records")
    ]


def _header(path: Path) -> list[str]:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet

            return list(pyarrow.parquet.read_schema(path).names)
        if path.name.endswith((".csv", ".csv.gz")):
            return list(pd.read_csv(path, nrows=0).columns)
    except UNREADABLE as error:
        raise UserError(f"{path}: cannot be read ({error}); is it a whole csv or parquet file?") from error
    raise UserError(f"{path}: neither .csv, .csv.gz nor .parquet; save the table as one of these")


def _load(path: Path, columns: list[str], text: list[str]) -> pd.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path, columns=columns)
        # As text: plate 007 is not plate 7.
        return pd.read_csv(path, usecols=columns, dtype=dict.fromkeys(text, str))
    except UNREADABLE as error:
        raise UserError(f"{path}: cannot be read ({error}); is it a whole csv or parquet file?") from error


def _resolve(present: Sequence[str], columns: Mapping[str, str], batches: bool, path: Path) -> dict[str, str]:
    named = {}
    for key, default in COLUMNS.items():
        if key == "batch" and not batches:
            continue
        wanted = columns.get(key, default)
        found = [name for name in present if name.lower() == wanted.lower()]
        if wanted in found:
            found = [wanted]
        if len(found) == 1:
            named[key] = found[0]
        elif key not in OPTIONAL or key in columns or found:
            others = ", ".join(name for name in present if name.startswith("Metadata")) or "none"
            what = f"{len(found)} columns" if found else "no column"
            alone = ", or give --no-batch (NSC only)" if key == "batch" else ""
            raise UserError(
                f"{path}: {what} {wanted!r} for the {key}; name it with --{key}{alone}. Metadata columns: {others}"
            )
    return named


def _choose(present: Sequence[str], named: Mapping[str, str], features: Sequence[str], path: Path) -> list[str]:
    taken = set(named.values())
    if features:
        chosen = [n for n in present if n not in taken and any(fnmatchcase(n, pattern) for pattern in features)]
    else:
        chosen = [n for n in present if n not in taken and not n.startswith("Metadata_")]
    if not chosen:
        raise UserError(
            f"{path}: no feature columns{' match ' + ', '.join(features) if features else ''}; see --features"
        )
    return chosen


def _text(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), "").map(str).str.strip().astype(object)


def _concentration(column: pd.Series, control: np.ndarray, path: Path) -> pd.Series:
    text = _text(column)
    missing = (text == "").to_numpy() & ~control
    if missing.any():
        raise UserError(f"{path}: {column.name} is empty in row {missing.argmax()}, which is no control; fill it in")
    text[control] = "0"
    try:
        return pd.to_numeric(text)
    except ValueError:
        return text
