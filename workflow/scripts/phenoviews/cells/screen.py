"""A screen is a table: one row per field with its plate, well, site, treatment and one image path per channel."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.cells.wells import PLACE
from phenoviews.data.pixels import SUFFIXES
from phenoviews.errors import UserError

# The columns of a table in LoadData's manner, unless the screen's `columns` names others.
COLUMNS = {
    "plate": "Metadata_Plate",
    "well": "Metadata_Well",
    "site": "Metadata_Site",
    "compound": "Metadata_Compound",
    "concentration": "Metadata_Concentration",
    "replicate": "Metadata_Replicate",
    "batch": "Metadata_Batch",
    "moa": "Metadata_MoA",
}
TREATMENT = ("compound", "concentration", "replicate", "batch", "moa")

# What a placeholder of a file-name pattern stands for.
PLACEHOLDERS = {
    "plate": r"[^/]+",
    "well": r"[A-Za-z]{1,2}-?\d{1,2}",
    "row": r"[A-Za-z]{1,2}|\d{1,2}",
    "column": r"\d{1,2}",
    "site": r"\d+",
}


def fields(screen: Mapping[str, Any], files: Mapping[str, Path]) -> pd.DataFrame:
    """The table of a `screens` entry: one row per field, sorted by plate, well and site.

    Metadata_Plate, Metadata_Well ("B02"), Metadata_Site, Metadata_Replicate, Metadata_Compound,
    Metadata_Concentration (µM, 0 for controls), Metadata_Control (the compound is the entry's `control`),
    Metadata_Batch (BBBC021: the week; else the plate unless given), Metadata_MoA ("" where unknown);
    Metadata_Field: unique in the screen, the first channel's file name without suffix, or `{plate}_{well}_s{site}`
    where file names repeat; for each channel Image_{channel}: the member of the plate's archive, or the path in
    `folder(screen)`. It is "" where a single field lacks it: that field's plate fails, the others do not.

    `files` are the downloads by their key in the entry's `files` (kind bbbc021: images, and moa if there is one).
    Raises `UserError` for what `validate` refuses and for tables that cannot be read.
    """
    where, table = READERS[screen["kind"]](screen, files)
    channels = list(screen["channels"])
    table["Metadata_Well"] = [_well(where, well) for well in table["Metadata_Well"]]
    for name, kind in (("Site", int), ("Replicate", int), ("Concentration", float)):
        table[f"Metadata_{name}"] = _numbers(where, table, f"Metadata_{name}", kind)
    table["Metadata_Control"] = table["Metadata_Compound"] == screen["control"]
    table.loc[table["Metadata_Control"], "Metadata_Concentration"] = 0.0
    table["Metadata_Batch"] = table["Metadata_Batch"].where(table["Metadata_Batch"] != "", table["Metadata_Plate"])
    if "moa" in files:
        table["Metadata_MoA"] = _annotated(table, Path(files["moa"]))
    table = table.sort_values(PLACE, kind="stable", ignore_index=True)
    table["Metadata_Field"] = _names(table, channels[0])
    try:
        validate(table, channels)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    order = [*PLACE, *(f"Metadata_{name}" for name in ("Replicate", "Compound", "Concentration", "Control"))]
    return table[[*order, "Metadata_Batch", "Metadata_MoA", "Metadata_Field", *(f"Image_{name}" for name in channels)]]


def folder(screen: Mapping[str, Any]) -> Path:
    """The folder that the image paths of a lab's own screen (kinds loaddata, pattern) start from."""
    path = Path(screen["path"]).expanduser()
    return path if screen["kind"] == "pattern" else path.parent


def validate(table: pd.DataFrame, channels: Sequence[str]) -> None:
    """`UserError` naming the first of: no fields, a channel that no field has, plates that cannot be folders' names,
    fields listed twice, wells without a compound or concentration, wells with two treatments, no control at all."""
    if table.empty:
        raise UserError("it has no fields")
    for channel in channels:
        if f"Image_{channel}" not in table or (table[f"Image_{channel}"] == "").all():
            raise UserError(f"no field has an image of the channel {channel}; check the screen's `channels`")
    plates = table["Metadata_Plate"]
    if (wrong := ~plates.str.fullmatch(r"(?!\.)[^/\\\x00-\x1f]+")).any():
        raise UserError(f"the plate {plates[wrong].iloc[0]!r} cannot be a folder's name; rename it")
    _refuse(table, table.duplicated(PLACE, keep=False), "listed twice", "keep one row, and one file of each channel")
    images = table[[f"Image_{channel}" for channel in channels]].melt()["value"]
    if (twice := images[(images != "") & images.duplicated()]).size:
        raise UserError(f"the image {twice.iloc[0]} stands for several fields or channels; correct the file names")
    remedy = "name their compounds (the control too), or take their images away"
    _refuse(table, table["Metadata_Compound"] == "", "of an unknown compound", remedy)
    concentration = table["Metadata_Concentration"]
    bad = ~table["Metadata_Control"] & ~(np.isfinite(concentration) & (concentration >= 0))
    _refuse(table, bad, "without a concentration", "give it in µM, 0 or more")
    treatments = table.groupby(PLACE[:2])[["Metadata_Compound", "Metadata_Concentration"]].transform("nunique")
    _refuse(table, (treatments > 1).any(axis=1), "with several treatments", "a well of a plate has one")
    if not table["Metadata_Control"].any():
        known = ", ".join(sorted(table["Metadata_Compound"].unique())[:8])
        raise UserError(f"no field is of the control compound; check the screen's `control` (compounds: {known}, …)")


def _refuse(table: pd.DataFrame, which: pd.Series, what: str, remedy: str) -> None:
    if which.any():
        found = table.loc[which, PLACE].drop_duplicates()
        named = "; ".join(f"{plate} {well} site {site}" for plate, well, site in found.head(3).itertuples(index=False))
        raise UserError(
            f"{len(found)} field{'s' * (len(found) > 1)} {what} ({named}{'; …' if len(found) > 3 else ''}): {remedy}"
        )


# --- BBBC021's official CSVs ---


def _bbbc021(screen: Mapping[str, Any], files: Mapping[str, Path]) -> tuple[Path, pd.DataFrame]:
    path = Path(files["images"])
    given = _csv(path)
    plate = _column(path, given, "Image_Metadata_Plate_DAPI")
    table = pd.DataFrame(
        {
            "Metadata_Plate": plate,
            "Metadata_Well": _column(path, given, "Image_Metadata_Well_DAPI"),
            "Metadata_Replicate": _column(path, given, "Replicate"),
            "Metadata_Compound": _column(path, given, "Image_Metadata_Compound"),
            "Metadata_Concentration": _column(path, given, "Image_Metadata_Concentration"),
            "Metadata_Batch": plate.str.partition("_")[0],
            "Metadata_MoA": "",
        }
    )
    for channel, name in screen["channels"].items():
        file, place = (_column(path, given, f"Image_{what}Name_{name}") for what in ("File", "Path"))
        members = place.str.rpartition("/")[2] + "/" + file  # what is Week1/Week1_22123 here is Week1_22123 there
        table[f"Image_{channel}"] = members.where(file != "", "")
    first = table[f"Image_{next(iter(screen['channels']))}"]
    table["Metadata_Site"] = first.str.extract(r"_s(\d+)_", expand=False)
    if (without := first[table["Metadata_Site"].isna()]).size:
        raise UserError(f"{path}: the file name {without.iloc[0]} does not tell its site as in B02_s1_w1.tif")
    return path, table


def _annotated(table: pd.DataFrame, path: Path) -> list[str]:
    """The mechanism of each field's compound at its concentration, "" where the annotations have none."""
    given = _csv(path)
    concentration = _numbers(path, given, "concentration", float)
    compound, moa = (_column(path, given, name) for name in ("compound", "moa"))
    # To six digits: one file has 1.5, the other 1.500000.
    known = {(a, f"{b:.6g}"): c for a, b, c in zip(compound, concentration, moa, strict=True)}
    pairs = zip(table["Metadata_Compound"], table["Metadata_Concentration"], strict=True)
    return [known.get((compound, f"{concentration:.6g}"), "") for compound, concentration in pairs]


# --- a lab's own: CellProfiler's LoadData, or a folder with a file-name pattern; either with a plate map ---


def _loaddata(screen: Mapping[str, Any], files: Mapping[str, Path]) -> tuple[Path, pd.DataFrame]:
    path = Path(screen["path"]).expanduser()
    given = _csv(path)
    columns = COLUMNS | screen.get("columns", {})
    table = pd.DataFrame(
        {f"Metadata_{key.title()}": _column(path, given, columns[key]) for key in ("plate", "well", "site")}
    )
    for channel, name in screen["channels"].items():
        prefix = "Image_" if f"Image_FileName_{name}" in given else ""
        file = _column(path, given, f"{prefix}FileName_{name}")
        place = given.get(f"{prefix}PathName_{name}", pd.Series("", given.index))
        table[f"Image_{channel}"] = [os.path.join(*both) if both[1] else "" for both in zip(place, file, strict=True)]
    if "platemap" in screen:
        return path, _mapped(path, table, Path(screen["platemap"]).expanduser())
    return path, _treated(path, table, given, columns, set(screen.get("columns", {})))


def _pattern(screen: Mapping[str, Any], files: Mapping[str, Path]) -> tuple[Path, pd.DataFrame]:
    root = folder(screen)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; check the screen's `path`")
    if "platemap" not in screen:
        raise UserError(f"{root}: a screen of kind pattern needs a `platemap`, a CSV of well, compound, concentration")
    regex = _compiled(screen["pattern"], screen["channels"].values())
    channel_of = {name: channel for channel, name in screen["channels"].items()}
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    others = []
    for path in _images(root):
        if not (match := regex.fullmatch(path)):
            others.append(path)
            continue
        found = match.groupdict()
        well = found.get("well") or _letters(found["row"]) + found["column"]
        place = found.get("plate", root.name), _well(root, well), str(int(found.get("site", "1")))
        column = f"Image_{channel_of[found['channel']]}"
        row = rows.setdefault(place, {f"Image_{channel}": "" for channel in screen["channels"]})
        if row[column]:
            raise UserError(f"{root}: {row[column]} and {path} are both {' '.join(found.values())}; keep one of them")
        row[column] = path
    if not rows:
        example = f", such as {others[0]}" if others else ""
        raise UserError(
            f"{root}: none of its {len(others)} image files{example}, fits the screen's `pattern` "
            f"{screen['pattern']} with its `channels` {', '.join(screen['channels'].values())}"
        )
    if others:  # another channel's, most likely; but a plate with a typing error should not go unseen
        print(f"phenoviews: {root}: {len(others)} images do not fit, such as {others[0]}", file=sys.stderr)
    table = pd.DataFrame(list(rows), columns=PLACE).join(pd.DataFrame(list(rows.values())))
    return root, _mapped(root, table, Path(screen["platemap"]).expanduser())


def _compiled(pattern: str, channels: Iterable[str]) -> re.Pattern[str]:
    """`{plate}/{well}_s{site}_*_{channel}.tif` as a regular expression; `*` is anything within a name."""
    # The longest first, so that w1 does not take w10's place.
    known = PLACEHOLDERS | {"channel": "|".join(sorted(map(re.escape, channels), key=len, reverse=True))}
    parts, seen = [], set()
    for text in re.split(r"(\{\w*\}|\*)", pattern):
        name = text[1:-1]
        if text == "*":
            parts.append("[^/]*")
        elif not text.startswith("{"):
            parts.append(re.escape(text))
        elif name not in known:
            raise UserError(f"pattern: {text} is not one of {', '.join(f'{{{name}}}' for name in known)}: {pattern}")
        else:
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{known[name]})")
            seen.add(name)
    if "channel" not in seen or not ("well" in seen or {"row", "column"} <= seen):
        raise UserError(f"pattern: needs {{channel}} and {{well}}, or {{row}} and {{column}}: {pattern}")
    return re.compile("".join(parts))


def _images(root: Path) -> list[str]:
    """The paths of all image files under `root`, sorted, with forward slashes; hidden ones left out."""
    found = []
    for parent, below, inside in os.walk(root, followlinks=True):
        below[:] = [name for name in below if not name.startswith(".")]
        found += [Path(parent, name) for name in inside if not name.startswith(".")]
    return sorted(path.relative_to(root).as_posix() for path in found if path.name.lower().endswith(SUFFIXES))


def _mapped(where: Path, table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """`table` with the treatments of a plate map: well, compound, concentration[, plate, replicate, batch, moa]."""
    given = _csv(path).rename(columns=str.lower)
    table["Metadata_Well"] = [_well(where, well) for well in table["Metadata_Well"]]
    wells = pd.DataFrame({"Metadata_Well": [_well(path, well) for well in _column(path, given, "well")]})
    keys = ["Metadata_Well"]
    if "plate" in given:
        wells["Metadata_Plate"] = given["plate"]
        keys = PLACE[:2]
    wells = _treated(path, wells, given, {name: name for name in TREATMENT}, set()).drop_duplicates()
    if (twice := wells.duplicated(keys)).any():
        first = " ".join(wells.loc[twice, keys].iloc[0])
        raise UserError(f"{path}: the well {first} is listed twice with different treatments; keep one row")
    merged = table.merge(wells, on=keys, how="left", validate="many_to_one", indicator="found")
    if (unknown := merged["found"] == "left_only").any():
        named = merged.loc[unknown, PLACE[:2]].drop_duplicates().agg(" ".join, axis=1)
        raise UserError(
            f"{path}: lacks {len(named)} wells that have images, such as {', '.join(named.head(5))}; "
            "add their compounds, or take the images away"
        )
    return merged.drop(columns="found")


def _treated(
    where: Path, table: pd.DataFrame, given: pd.DataFrame, columns: Mapping[str, str], demanded: set[str]
) -> pd.DataFrame:
    """`table` with the treatments that `given` has in `columns`; `demanded` ones and the first two may not lack."""
    defaults = {"replicate": "1", "batch": "", "moa": ""}
    for key in TREATMENT:
        if columns[key] in given or key in demanded or key not in defaults:
            values: pd.Series | str = _column(where, given, columns[key])
        else:
            values = defaults[key]
        table["Metadata_MoA" if key == "moa" else f"Metadata_{key.title()}"] = values
    return table


READERS = {"bbbc021": _bbbc021, "loaddata": _loaddata, "pattern": _pattern}


# --- what they share ---


def _csv(path: Path) -> pd.DataFrame:
    """A CSV of text, since "NA" may be a compound and "1" a plate."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig").fillna("")
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read as a table ({reason}); check the file") from error
    if table.empty:
        raise UserError(f"{path}: has no rows; check the file")
    stripped: pd.DataFrame = table.apply(lambda column: column.str.strip())
    return stripped


def _column(path: Path, table: pd.DataFrame, name: str) -> pd.Series:
    if name not in table:
        known = ", ".join(table.columns[:20])
        raise UserError(f"{path}: lacks the column {name}; it has {known}; check the screen's `channels` and `columns`")
    return table[name]


def _well(where: Path, well: str) -> str:
    """ "b2", "B-02" and "B02" are one well."""
    match = re.fullmatch(r"([A-Za-z]{1,2})-?0*([1-9]\d?)", well)
    if not match:
        raise UserError(f"{where}: {well!r} is not a well such as B02")
    return f"{match[1].upper()}{int(match[2]):02d}"


def _letters(row: str) -> str:
    """The row of a plate as letters: "2" is B, "27" is AA."""
    if not row.isdigit():
        return row
    number = int(row) - 1
    return ("" if number < 26 else chr(64 + number // 26)) + chr(65 + number % 26)


def _numbers(path: Path, table: pd.DataFrame, name: str, kind: type) -> pd.Series:
    """A column of text as whole numbers, or as numbers with NaN where it is empty."""
    text = _column(path, table, name)
    numbers = pd.to_numeric(text, errors="coerce")
    wrong = numbers.isna() & (text != "") if kind is float else numbers.isna() | (numbers % 1 != 0)
    if wrong.any():
        what = "a number" if kind is float else "a whole number"
        raise UserError(f"{path}: {name.removeprefix('Metadata_')} is {text[wrong].iloc[0]!r}, not {what}")
    return numbers.astype(kind)


def _names(table: pd.DataFrame, channel: str) -> pd.Series:
    """Each field's name: its first image's without suffix; where those repeat, its place."""
    stems = table[f"Image_{channel}"].map(lambda name: Path(name).stem)
    places = table["Metadata_Plate"] + "_" + table["Metadata_Well"] + "_s" + table["Metadata_Site"].astype(str)
    return places if stems[stems != ""].duplicated().any() else stems.where(stems != "", places)
