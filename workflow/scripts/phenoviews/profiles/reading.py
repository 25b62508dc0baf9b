"""Reading tables of profiles, from files of any tool."""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from phenoviews import doses, sheets
from phenoviews.errors import UserError
from phenoviews.profiles.columns import COLUMNS, candidates, demand, numbers_of_rows, resolve
from phenoviews.profiles.tables import CONTROL, MOA_SEPARATOR, check
from phenoviews.spelling import folded, found, quantity, told, unified, unknown, well

# What pandas and pyarrow raise for a file that is broken off or something else.
UNREADABLE = (ValueError, OSError, EOFError, NotImplementedError, zlib.error, csv.Error)
CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")
# In a column of numbers; a column of text is taken as it is.
NO_NUMBER = ["", "nan", "NaN", "NAN", "NA", "N/A", "#N/A", "<NA>", "None", "none", "null", "NULL"]


class Table(NamedTuple):
    """Profiles as they were read.

    meta: one row per row of the file: the columns of `columns.COLUMNS` under those names, as far as they are there,
        with text for all but numeric concentrations, "" for an unknown MoA, 0 for concentrations of controls; and
        `Metadata_Control`, bool.
    x: (rows, features) float32 if the table is, else float64.
    names: of the features.
    notes: sentences on what was left out, or taken for another.
    """

    meta: pd.DataFrame
    x: np.ndarray
    names: list[str]
    notes: list[str]


def read(
    paths: str | Path | Sequence[str | Path],
    columns: Mapping[str, str] | None = None,
    features: Sequence[str] = (),
    control: str | Sequence[str] | None = "DMSO",
    batches: bool = True,
    platemap: str | Path | None = None,
    as_spelled: bool = False,
    missing: bool = False,
) -> Table:
    """A table of profiles in the community's convention, from one file or the rows of several.

    Args:
        paths: `.csv`, `.tsv` (either with `.gz`) or `.parquet`; one row per cell, site, well or treatment.
        columns: the names that the table has for the keys of `COLUMNS`, where they are not those of `COLUMNS`.
        features: names or shell patterns of the feature columns; without any, all that can be features; see
            `columns.candidates` and `columns.numbers_of_rows` for what cannot.
        control: the compounds that are the negative control; None: there is none.
        batches: False reads a table that has no batches; `Metadata_Batch` is then missing.
        platemap: a table of well (and plate, if they differ), with those of `COLUMNS` that the profiles lack.
        as_spelled: names that differ by case, accents, blanks or hyphens only are different.
        missing: leave NaN in x, for a selection of features to deal with.

    Raises:
        UserError: a file or column that is missing, a column that is no number, and what `check` refuses.
    """
    files = [Path(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths)]
    _refuse_twice(files)
    where = str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    keys = [key for key in COLUMNS if batches or key != "batch"]
    columns = columns or {}
    present, index = _header(files[0])
    for path in files[1:]:
        if different := sorted(set(present) ^ set(_header(path)[0])):
            raise UserError(
                f"{path}: has other columns than {files[0]}; in one of them only: {', '.join(map(repr, different[:5]))}"
                f"{' …' if different[5:] else ''}"
            )
    mapped = _platemap(Path(platemap), columns, keys) if platemap else pd.DataFrame()
    elsewhere = {key for key in keys if COLUMNS[key] in mapped}
    named = resolve(present, {key: name for key, name in columns.items() if key not in elsewhere}, where, keys)
    demand({*named, *elsewhere}, present, batches, where)
    given, likely, left = candidates(present, list(named.values()), index, features, where)
    wanted = {*given, *likely}
    chosen = [name for name in present if name in wanted]
    meta, x, flags = _loaded(files, {COLUMNS[key]: name for key, name in named.items()}, chosen, where)
    controls = [control] if isinstance(control, str) else list(control or [])
    notes = _of_columns(present, named, elsewhere)
    if platemap:
        meta, rows, more = _joined(meta, mapped, Path(platemap), where)
        notes += more
        x = x[rows] if len(rows) < len(x) else x
    meta, merged = _unified(meta, controls, as_spelled)
    meta, more = _treated(meta, controls, where)
    told_apart = np.array([name not in given for name in chosen])
    out = told_apart & (flags | numbers_of_rows(meta, x))
    if out.all():
        raise UserError(
            f"{where}: no feature columns; {', '.join(map(repr, chosen[:6]))} only number or describe the rows, unless "
            "--features names them in full"
        )
    if out.any():
        left += [name for name, gone in zip(chosen, out, strict=True) if gone]
        chosen = [name for name, gone in zip(chosen, out, strict=True) if not gone]
        x = x[:, ~out]
    if left:
        shown = ", ".join(repr(name) if name else "one without a name" for name in left[:8]) + (
            f" and {len(left) - 8} more" if left[8:] else ""
        )
        notes.append(
            f"{len(left)} column(s) number or describe the rows, and are no features: {shown}; --features takes those "
            "that it names in full"
        )
    check(meta, x, chosen, where, finite=not missing)
    return Table(meta, x, chosen, [*merged, *more, *notes])


def _refuse_twice(files: Sequence[Path]) -> None:
    """Rows that are there twice would count twice."""
    there = [path for path in files if path.is_file()]
    sizes = Counter(path.stat().st_size for path in there)
    seen: dict[str, Path] = {}
    for path in there:
        if sizes[path.stat().st_size] > 1:  # others need not be read for it
            with path.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            if (other := seen.setdefault(content, path)) is not path:
                raise UserError(f"{path}: is the same as {other}, and its rows would count twice; leave it out")


def _of_columns(present: Sequence[str], named: Mapping[str, str], elsewhere: Collection[str]) -> list[str]:
    """What is to be said of the columns that tell what a row is: two of nearly one name, a plate without a well."""
    notes = []
    for key, column in named.items():
        if others := [name for name in present if name != column and folded(name) == folded(column)]:
            notes.append(f"{column!r} is read for the {key}, and {', '.join(map(repr, others))} is not")
    places = [key for key in ("plate", "well") if key in named or key in elsewhere]
    if len(places) == 1:
        lacks = "well" if places == ["plate"] else "plate"
        notes.append(
            f"there is a column for the {places[0]} and none for the {lacks}: every row is a profile of its own, as "
            f"if of a well; name it with --{lacks} if there is one"
        )
    return notes


# --- files ---


def _opened(path: Path) -> Any:
    return gzip.open(path, "rt", encoding="utf-8-sig", newline="") if path.suffix == ".gz" else path.open(
        encoding="utf-8-sig", newline=""
    )  # fmt: skip


def _delimiter(path: Path) -> str:
    with _opened(path) as file:
        return sheets.separator(file.readline())


def _header(path: Path) -> tuple[list[str], list[str]]:
    """The names of the columns, and those that pandas wrote as the index of its frame."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet

            schema = pyarrow.parquet.read_schema(path)
            names = list(schema.names)
            index = [name for name in (schema.pandas_metadata or {}).get("index_columns", []) if isinstance(name, str)]
        elif path.name.endswith(CSV):
            index = []
            with _opened(path) as file:
                names = next(csv.reader(file, delimiter=_delimiter(path)), [])
            if not names:
                raise ValueError("it is empty")
        else:
            raise UserError(f"{path}: neither .csv, .csv.gz nor .parquet; save the table as one of these")
    except UNREADABLE as error:
        raise UserError(f"{path}: cannot be read ({error}); is it a whole csv or parquet file?") from error
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{path}: {len(twice)} names stand for several columns ({twice[0]!r}); rename them")
    return names, index


def _loaded(
    files: Sequence[Path], text: Mapping[str, str], numbers: list[str], where: str
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """meta (the columns `text`, as their keys), x (rows, `numbers`) and which of these are truth values."""
    import pyarrow as pa

    parts = []
    for path in files:
        try:
            parts.append(_arrow(path, [*dict.fromkeys(text.values())], numbers))
        except UNREADABLE as error:
            raise _unreadable(path, error) from error
    types = [{part.schema.field(name).type for part in parts} for name in numbers]
    bad = [
        name
        for name, kinds in zip(numbers, types, strict=True)
        if not all(pa.types.is_integer(k) or pa.types.is_floating(k) or pa.types.is_boolean(k) or pa.types.is_decimal(k)
                   for k in kinds)
    ]  # fmt: skip
    if bad:
        raise UserError(
            f"{where}: feature column {bad[0]!r} is not numeric ({len(bad)} such); choose the features by --features"
        )
    rows = sum(part.num_rows for part in parts)
    if rows == 0:
        raise UserError(f"{where}: the table has no rows")
    meta = pd.DataFrame(
        {key: np.concatenate([_text(part[name].to_pandas()) for part in parts]) for key, name in text.items()}
    )
    flags = np.array([any(map(pa.types.is_boolean, kinds)) for kinds in types], dtype=bool)
    single = all(kind == pa.float32() for kinds in types for kind in kinds)
    x = np.empty((rows, len(numbers)), dtype=np.float32 if single else np.float64)
    start = 0
    while parts:  # each is let go as soon as it is copied: it is as large as its share of x
        part = parts.pop(0)
        for column, name in enumerate(numbers):
            x[start : start + part.num_rows, column] = part[name].to_numpy()
        start += part.num_rows
    return meta, x, flags


def _arrow(path: Path, text: list[str], numbers: list[str]) -> Any:
    """Where semicolons stand between values, numbers may have decimal commas."""
    import pyarrow as pa

    try:
        return _with_point(path, text, numbers, ".")
    except pa.ArrowInvalid as error:
        if path.suffix == ".parquet" or _delimiter(path) != ";":
            raise
        try:
            return _with_point(path, text, numbers, ",")
        except pa.ArrowInvalid:
            raise error from None


def _with_point(path: Path, text: list[str], numbers: list[str], point: str) -> Any:
    columns = list(dict.fromkeys([*text, *numbers]))
    if path.suffix == ".parquet":
        import pyarrow.parquet

        return pyarrow.parquet.read_table(path, columns=columns)
    import pyarrow as pa
    from pyarrow import csv as arrow

    # As text: plate 007 is not plate 7, and "NA" may be a compound.
    return arrow.read_csv(
        path,
        arrow.ReadOptions(block_size=2**24),
        arrow.ParseOptions(delimiter=_delimiter(path), newlines_in_values=True),
        arrow.ConvertOptions(
            include_columns=columns,
            column_types=dict.fromkeys(numbers, pa.float64()) | dict.fromkeys(text, pa.string()),
            null_values=NO_NUMBER,
            decimal_point=point,
            strings_can_be_null=False,
        ),
    )


def _unreadable(path: Path, error: BaseException) -> UserError:
    if match := re.match(r"In CSV column #(\d+): CSV conversion error to double: (.*)", str(error)):
        name = _header(path)[0][int(match[1])]
        return UserError(
            f"{path}: feature column {name!r} is not numeric ({match[2]}); choose the features by --features"
        )
    return UserError(f"{path}: cannot be read ({error}); is it a whole csv or parquet file?")


def _text(column: pd.Series) -> np.ndarray:
    """A column as text, without blanks around; "" where there is nothing. Numbers that are names have no ".0"."""
    codes, values = pd.factorize(column)
    known = [value.decode() if isinstance(value, bytes) else str(value).strip() for value in values]
    if all(re.fullmatch(r"-?\d+\.0+", name) for name in known if name):
        known = [name.partition(".")[0] for name in known]
    return np.array([*known, ""], dtype=object)[codes]  # code -1: missing


# --- what the rows are ---


def _unified(meta: pd.DataFrame, first: Sequence[str], as_spelled: bool) -> tuple[pd.DataFrame, list[str]]:
    """`meta` with one spelling for every plate, well, compound, MoA and batch, and what was merged."""
    notes = []
    for key in ("plate", "well", "compound", "moa", "batch"):
        column = COLUMNS[key]
        if column not in meta:
            continue
        names = meta[column]
        if key == "moa":
            names, more = _moas(names, as_spelled)
            notes += more
        elif not as_spelled:
            if key == "well":
                spelled = {name: well(name) or name for name in names.unique()}
                several = pd.Series(spelled).duplicated(keep=False)
                changed = {name: taken for name, taken in spelled.items() if several[name] and name != taken}
                notes += filter(None, [told(column, changed, dict(names.value_counts()))])
                names = names.map(spelled)
            changed = unified(names[names != ""], first if key == "compound" else ())
            notes += filter(None, [told(column, changed, dict(names.value_counts()))])
            names = names.replace(changed)
        if key != "moa" and (odd := sorted({n for n in names.unique() if n and unknown(n)})):
            counted = (names == odd[0]).sum()
            notes.append(f"{column}: {odd[0]!r} in {counted} rows is taken as a name; leave it empty if it is none")
        meta = meta.assign(**{column: names.astype(object)})
    return meta, notes


def _moas(names: pd.Series, as_spelled: bool) -> tuple[pd.Series, list[str]]:
    """MoAs in one spelling, sets of several (`a|b`) in order; "" for texts that say that there is none."""
    notes = []
    if odd := sorted({name for name in names.unique() if name and unknown(name)}):
        rows = int(names.isin(odd).sum())
        notes.append(f"{COLUMNS['moa']}: {', '.join(map(repr, odd))} in {rows} rows is taken as no MoA")
    parts = {name: [part.strip() for part in name.split(MOA_SEPARATOR) if not unknown(part)] for name in names.unique()}
    each = names.map(parts).explode().dropna()
    changed = {} if as_spelled else unified(each)
    notes += filter(None, [told(COLUMNS["moa"], changed, dict(each.value_counts()))])
    joined = {
        name: MOA_SEPARATOR.join(sorted({changed.get(part, part) for part in several}))
        for name, several in parts.items()
    }
    names = names.map(joined)
    return names, notes


def _treated(meta: pd.DataFrame, controls: Sequence[str], where: str) -> tuple[pd.DataFrame, list[str]]:
    """`meta` with `Metadata_Control` and doses, and what is to be said of them."""
    compounds = meta["Metadata_Compound"]
    for name in controls:
        if not (compounds == name).any():
            counts = compounds.value_counts()
            raise UserError(
                f"{where}: no row is of the control {name!r}; name it with --control, or give --no-control (no "
                f"whitening, no TVN). Of compounds {found(name, counts.index)}"
            )
    meta = meta.assign(**{CONTROL: compounds.isin(controls)})
    notes: list[str] = []
    if "Metadata_Concentration" in meta:
        control = meta[CONTROL].to_numpy()
        meta["Metadata_Concentration"], notes = _concentrations(meta["Metadata_Concentration"], control, where)
    else:
        meta["Metadata_Concentration"] = 0.0
        notes.append("there is no column of concentrations: all doses of a compound are one treatment; name it with "
                     "--concentration if there is one")  # fmt: skip
    return meta, notes


def _concentrations(text: pd.Series, control: np.ndarray, where: str) -> tuple[pd.Series, list[str]]:
    """Doses as numbers to six digits, in one unit; as text where not all of them are numbers. Of controls it is 0."""
    missing = text.map(unknown).to_numpy(dtype=bool) & ~control
    if missing.any():
        raise UserError(
            f"{where}: Metadata_Concentration is empty in row {missing.argmax()}, which is no control; fill it in"
        )
    numbers: dict[str, tuple[float, str]] = {}
    words = []
    for name in text[~control].unique():
        try:
            numbers[name] = quantity(name)
        except UserError:
            words.append(name)
    units = {unit: name for name, (_, unit) in reversed(numbers.items())}
    if len(units) > 1:
        raise UserError(
            f"{where}: Metadata_Concentration has {' and '.join(map(repr, units.values()))}, of different units or "
            "without one; give all doses in one unit"
        )
    if not words:
        return text.map({name: value for name, (value, _) in numbers.items()}).where(~control, 0.0).astype(float), []
    changed = unified(text[text.isin(words)])
    known = {name: f"{value:.6g} {unit}".strip() for name, (value, unit) in numbers.items()}
    known |= {name: changed.get(name, name) for name in words}
    notes = [*filter(None, [told("Metadata_Concentration", changed, dict(text.value_counts()))])]
    return text.map(known).where(~control, "0").astype(object), notes


def _platemap(path: Path, columns: Mapping[str, str], keys: Sequence[str]) -> pd.DataFrame:
    """A plate map as text, under the names of `COLUMNS`; doses have the unit of their column's name, if it has one."""
    given = sheets.read(path, columns.get("well", "well"))
    names = list(map(str, given))
    found = {}
    for key in keys:
        wanted = {folded(name) for name in (columns.get(key, key), COLUMNS[key], key)}
        fits = [name for name in names if folded(name) in wanted]
        if key == "concentration":
            fits = fits or [name for name in names if doses.is_concentration(name)]
        if len(fits) > 1:
            raise UserError(f"{path}: {len(fits)} columns for the {key}: {', '.join(fits)}; keep one")
        if fits:
            found[COLUMNS[key]] = given[fits[0]].astype(object)
            if key == "concentration" and (unit := doses.unit_of_header(fits[0])):
                bare = found[COLUMNS[key]].str.fullmatch(r"[\d.,eE+-]+")
                found[COLUMNS[key]] = found[COLUMNS[key]].where(~bare, found[COLUMNS[key]] + " " + unit)
    if "Metadata_Well" not in found:
        raise UserError(f"{path}: no column for the well; it has {', '.join(names[:12])}")
    return pd.DataFrame(found)


def _refuse_unknown_plate(plates: pd.Series, mapped: pd.Series, path: Path, where: str) -> None:
    """A plate that the map does not have at all is rather a misspelt one."""
    profiled, listed = ({folded(name): name for name in names.unique()} for names in (plates, mapped))
    if unknown := [name for key, name in profiled.items() if key not in listed]:
        spare = [name for key, name in listed.items() if key not in profiled]
        raise UserError(
            f"{path}: lists no well of the plate {unknown[0]!r}, of which {where} has rows; of other plates "
            f"{found(unknown[0], spare)}; correct one of the names, or leave the plate's rows out"
        )


def _joined(
    meta: pd.DataFrame, mapped: pd.DataFrame, path: Path, where: str
) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """`meta` with what the plate map has for its wells, the rows of `meta` that it has, and what is left out."""
    keys = ["Metadata_Plate", "Metadata_Well"] if "Metadata_Plate" in mapped else ["Metadata_Well"]
    if lacking := [key for key in keys if key not in meta]:
        raise UserError(f"{where}: has no column {lacking[0]!r}, by which the plate map {path} is joined; name it")

    def place(table: pd.DataFrame) -> pd.Series:
        parts = [table[key].map(lambda name: well(name) or folded(name)) if key == "Metadata_Well" else
                 table[key].map(folded) for key in keys]  # fmt: skip
        return parts[0] if len(parts) == 1 else parts[0] + "\0" + parts[1]

    mapped = mapped.assign(place=place(mapped)).drop_duplicates()
    if (twice := mapped["place"].duplicated()).any():
        first = " ".join(mapped.loc[twice, keys].iloc[0])
        raise UserError(f"{path}: the well {first} is listed twice with different treatments; keep one row")
    at = pd.Index(mapped["place"]).get_indexer(pd.Index(place(meta)))
    rows = np.flatnonzero(at >= 0)
    if not len(rows):
        raise UserError(
            f"{path}: lists none of the wells of {where} ({' '.join(meta[keys].iloc[0])} …); it has "
            f"{' '.join(mapped[keys].iloc[0])} …"
        )
    notes = []
    if len(rows) < len(meta):
        if len(keys) > 1:
            _refuse_unknown_plate(meta["Metadata_Plate"], mapped["Metadata_Plate"], path, where)
        absent = meta.loc[at < 0, keys].drop_duplicates().agg(" ".join, axis=1)
        notes.append(f"{len(meta) - len(rows)} rows of {len(absent)} wells that the plate map lacks are left out: "
                     f"{', '.join(absent[:5])}{' …' if absent.size > 5 else ''}")  # fmt: skip
    meta = meta.iloc[rows].reset_index(drop=True)
    for column in mapped.columns.drop(["place", *keys]):
        values = mapped[column].to_numpy()[at[rows]]
        if column in meta and (other := meta[column].map(folded).to_numpy() != pd.Series(values).map(folded)).any():
            row = int(np.argmax(other))
            raise UserError(
                f"{path}: has {values[row]!r} for {column} where {where} has {meta[column].iloc[row]!r} "
                f"(row {row}); take the column out of one of them"
            )
        meta[column] = values
    return meta, rows, notes
