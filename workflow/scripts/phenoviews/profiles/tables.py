"""Tables of profiles: checking them, and averaging cells to wells and wells to treatments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.errors import UserError
from phenoviews.profiles.columns import COLUMNS

CONTROL = "Metadata_Control"
WELL = ["Metadata_Plate", "Metadata_Well"]
TREATMENT = ["Metadata_Compound", "Metadata_Concentration"]
MOA_SEPARATOR = "|"  # between the MoAs of a compound that has several
STATISTICS: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "median": np.median}
LARGEST = 1e100  # of a feature; squares and their sums must not overflow
BLOCK = 2**24  # numbers that are averaged at once


def check(
    meta: pd.DataFrame,
    x: np.ndarray,
    names: Sequence[str] | None = None,
    where: str = "profiles",
    finite: bool = True,
) -> None:
    """Raise UserError for what cannot be scored: see `check_finite`; a row without compound or batch, a well with two
    treatments, MoAs or batches, a compound with two MoAs. `names`: of the features; `where`: the file, for the
    message; `finite`: whether to check the features as well."""
    if finite:
        check_finite(x, names, where)
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
    sets = known.drop_duplicates(["Metadata_Compound", "Metadata_MoA"])
    found = sets.assign(moas=sets["Metadata_MoA"].map(moas)).groupby("Metadata_Compound")
    twice = found["Metadata_MoA"].unique()[found["moas"].nunique() > 1]
    if len(twice):
        raise UserError(
            f"{where}: compound {twice.index[0]!r} has {len(twice.iloc[0])} MoAs ({', '.join(sorted(twice.iloc[0]))}); "
            "give it one, or leave its rows out"
        )


def check_finite(x: np.ndarray, names: Sequence[str] | None = None, where: str = "profiles") -> None:
    """Raise UserError for features that are NaN, infinite, or so large that their squares would be."""
    bad = ~np.isfinite(x)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise UserError(
            f"{where}: {bad.sum()} feature value(s) in {bad.any(axis=1).sum()} of {len(x)} rows are NaN or infinite "
            f"(first: row {row}, feature {_named(names, column)}); drop those rows or those features (--select "
            "drop_na_columns)"
        )
    if x.size and max(float(x.max()), -float(x.min())) > LARGEST:
        row, column = np.argwhere(np.abs(x) > LARGEST)[0]
        raise UserError(
            f"{where}: feature {_named(names, column)} is {x[row, column]:.3g} in row {row}, too large to be squared; "
            "leave it out, or bring the features to one scale (--normalize)"
        )


def _named(names: Sequence[str] | None, column: int) -> str:
    return names[column] if names is not None else f"number {column}"


def moas(name: str) -> tuple[str, ...]:
    """The MoAs of a set, `a|b`, sorted; of a single one, that one."""
    return tuple(sorted({part.strip() for part in name.split(MOA_SEPARATOR)}))


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
    groups = meta.groupby(WELL, sort=True)
    codes, sizes = groups.ngroup().to_numpy(), groups.size().to_numpy()
    kept = [name for name in (*COLUMNS.values(), CONTROL) if name in meta]
    table = meta.loc[_firsts(codes), kept].reset_index(drop=True)
    return table.assign(Metadata_Count=sizes), averaged(x, codes, statistic)


def treatments(
    meta: pd.DataFrame, x: np.ndarray, statistic: str = "median", by_batch: bool = False
) -> tuple[pd.DataFrame, np.ndarray]:
    """The profile of each annotated treatment from its wells; controls and wells without MoA are dropped.

    Args:
        meta: one row per well.
        x: (wells, d).
        statistic: median, by feature, or mean (ambiguity B-16).
        by_batch: a profile for each treatment in each batch, from its wells there.

    Returns:
        meta, sorted by compound and concentration (and batch): these two, MoA, `Metadata_Count`, the number of wells,
        and the batch (where its wells are in several, all of them, with commas between); x (treatments, d) float64.
    """
    kept = np.flatnonzero(~meta[CONTROL] & (meta["Metadata_MoA"] != ""))
    if not len(kept):
        raise UserError("profiles: no treatment has a MoA; fill in the MoA column of those that are annotated")
    meta = meta.iloc[kept].reset_index(drop=True)
    groups = meta.groupby([*TREATMENT, *(["Metadata_Batch"] if by_batch else [])], sort=True)
    codes, sizes = groups.ngroup().to_numpy(), groups.size().to_numpy()
    table = meta.loc[_firsts(codes), [*TREATMENT, "Metadata_MoA"]].reset_index(drop=True)
    table = table.assign(Metadata_Count=sizes)
    if "Metadata_Batch" in meta:
        pairs = pd.DataFrame({"code": codes, "batch": meta["Metadata_Batch"]}).drop_duplicates().sort_values("batch")
        table["Metadata_Batch"] = pairs.groupby("code")["batch"].agg(", ".join)
    return table, averaged(x, codes, statistic, kept)


def spans_batches(meta: pd.DataFrame) -> pd.DataFrame:
    """The treatments with wells in several batches, of `meta` with one row per well: compound and concentration."""
    treated = meta[~meta[CONTROL] & (meta["Metadata_MoA"] != "")]
    counts = treated.groupby(TREATMENT, sort=True)["Metadata_Batch"].nunique()
    return counts[counts > 1].reset_index()[TREATMENT]


def averaged(x: np.ndarray, codes: np.ndarray, statistic: str, rows: np.ndarray | None = None) -> np.ndarray:
    """(groups, d) float64: the mean or median of each group of rows.

    Args:
        x: (n, d), an array or a memory map; a part of it is read at a time.
        codes: (m,) the group of each row, 0 … groups - 1, each at least once.
        statistic: of `STATISTICS`.
        rows: (m,) which rows of `x` these are; without, all of them.
    """
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    found = np.empty((len(sizes), x.shape[1]))
    for size in np.unique(sizes):
        same = np.flatnonzero(sizes == size)  # groups of one size are one array
        step = max(1, BLOCK // (int(size) * max(1, x.shape[1])))
        for at in range(0, len(same), step):
            part = same[at : at + step]
            index = order[starts[part][:, None] + np.arange(size)]
            values = x[index if rows is None else rows[index]].astype(np.float64, copy=False)
            found[part] = (np.mean if size < 3 else STATISTICS[statistic])(values, axis=1)
    return found


def _firsts(codes: np.ndarray) -> np.ndarray:
    """(groups,) the first row of each group."""
    first: np.ndarray = np.unique(codes, return_index=True)[1]
    return first


def constant(x: np.ndarray) -> np.ndarray:
    """(d,) bool: the features that are the same in all rows."""
    same: np.ndarray = np.ptp(x, axis=0) == 0
    return same


def plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON holds them: missing numbers are None."""
    return [
        {str(key): None if pd.isna(value) else value for key, value in row.items()} for row in table.to_dict("records")
    ]
