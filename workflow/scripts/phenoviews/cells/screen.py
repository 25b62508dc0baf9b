"""A screen is a table: one row per field with its plate, well, site, treatment and one image path per channel."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phenoviews import doses, spelling
from phenoviews.cells import patterns, platemaps, wells
from phenoviews.cells.paths import moved
from phenoviews.cells.source import PLANES
from phenoviews.cells.wells import PLACE
from phenoviews.errors import UserError
from phenoviews.sheets import column, has, numbers, read

# The columns of a table in LoadData's manner, unless the screen's `columns` names others: the first that there is.
COLUMNS = {
    "plate": ("Metadata_Plate",),
    "well": ("Metadata_Well",),
    "row": ("Metadata_Row",),
    "column": ("Metadata_Col", "Metadata_Column"),
    "site": ("Metadata_Site", "Metadata_FieldID", "Metadata_Field"),
}


def fields(screen: Mapping[str, Any], files: Mapping[str, Path]) -> pd.DataFrame:
    """The table of a `screens` entry: one row per field, sorted by plate, well and site.

    Metadata_Plate, Metadata_Well ("B02"), Metadata_Site, Metadata_Replicate, Metadata_Compound,
    Metadata_Concentration (µM, or µg/ml or % where the entry's `unit` is of that kind; 0 for controls),
    Metadata_Control (the compound is the entry's `control`, or one of several, which are then called as the first),
    Metadata_Batch (BBBC021: the week; else the plate unless given), Metadata_MoA ("" where unknown);
    Metadata_Field: unique in the screen, the first channel's file name without suffix, or `{plate}_{well}_s{site}`
    where file names repeat; for each channel Image_{channel}: the member of the plate's archive, or the path in
    `folder(screen)`, of several planes with PLANES between them; and Index_{channel} where a file holds several
    channels. An image is "" where a single field lacks it: that field's plate fails, the others do not.

    `files` are the downloads by their key in the entry's `files` (kind bbbc021: images, and moa if there is one).
    Raises `UserError` for what `validate` refuses and for tables that cannot be read.
    """
    where, table = READERS[screen["kind"]](screen, files)
    channels = list(screen["channels"])
    table["Metadata_Replicate"] = numbers(where, "Replicate", table["Metadata_Replicate"], int)
    _unify(where, table, screen)
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
    images = [name for channel in channels for name in (f"Image_{channel}", f"Index_{channel}") if name in table]
    return table[[*order, "Metadata_Batch", "Metadata_MoA", "Metadata_Field", *images]]


def of_plate(table: pd.DataFrame, plate: str, screen: str) -> pd.DataFrame:
    """The fields of one plate of a screen's table; `UserError` with the plates that there are."""
    if not (here := table["Metadata_Plate"] == plate).any():
        known = spelling.found(plate, table["Metadata_Plate"].unique())
        raise UserError(f"screens.{screen} has no plate {plate!r} ({known}); correct the `plates` of your datasets")
    return table[here]


def folder(screen: Mapping[str, Any]) -> Path:
    """The folder that the image paths of a lab's own screen (kinds loaddata, pattern) start from."""
    path = Path(screen["path"]).expanduser()
    return path if screen["kind"] == "pattern" else path.parent


def controls(screen: Mapping[str, Any]) -> list[str]:
    """The names of the negative control, of which the first is used."""
    control: str | list[str] = screen["control"]
    return [control] if isinstance(control, str) else control


def speller(screen: Mapping[str, Any]) -> Callable[[Path, str], str]:
    """How the screen spells wells, or positions that are none, given a file for the message and a text."""

    def position(where: Path, text: str) -> str:
        if not text or "/" in text:
            raise UserError(f"{where}: {text!r} is no name of a position")
        return text

    def well(where: Path, text: str) -> str:
        if (name := wells.well(text)) is None:
            raise UserError(f"{where}: {text!r} is not a well such as B02; where positions are no wells, say so by the "
                            "screen's `positions: names`")  # fmt: skip
        return name

    return position if screen.get("positions") == "names" else well


def _unify(where: Path, table: pd.DataFrame, screen: Mapping[str, Any]) -> None:
    """One spelling for every compound and MoA, told on stderr, and one name for the negative control."""
    names = controls(screen)
    for column_, first in (("Metadata_Compound", names), ("Metadata_MoA", [])):
        changed = spelling.unified(table[column_][table[column_] != ""], first)
        if said := spelling.told(column_.removeprefix("Metadata_").lower(), changed):
            print(f"phenoviews: {where}: {said}", file=sys.stderr)
        table[column_] = table[column_].replace(changed)
    control = table["Metadata_Compound"].isin(names)
    for name in names[1:] if control.any() else []:
        if not (table["Metadata_Compound"] == name).any():
            known = spelling.found(name, sorted(table["Metadata_Compound"].unique()))
            raise UserError(f"{where}: no field is of the control {name!r}; check the screen's `control` ({known})")
    table["Metadata_Control"] = control
    table.loc[control, "Metadata_Compound"] = names[0]
    table.loc[control, "Metadata_Concentration"] = 0.0


def placed(where: Path, table: pd.DataFrame, screen: Mapping[str, Any]) -> pd.DataFrame:
    """The fields with one spelling of their wells and whole numbers of their sites, without those that the screen's
    `exclude` names."""
    well = speller(screen)
    spelled = {text: well(where, text) for text in table["Metadata_Well"].unique()}
    sites = numbers(where, "Site", table["Metadata_Site"], int)
    table = table.assign(Metadata_Well=table["Metadata_Well"].map(spelled), Metadata_Site=sites)
    try:
        return excluded(table, screen.get("exclude", []))
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def excluded(table: pd.DataFrame, exclude: Sequence[str]) -> pd.DataFrame:
    """`table` without what the screen's `exclude` names: "plate", "plate/well" or "plate/well/site"; "*" is any plate.

    `UserError` for one that names nothing, which is rather misspelt.
    """
    gone = np.zeros(len(table), bool)
    for name in exclude:
        plate, well, site = [*str(name).split("/"), "", ""][:3]
        here = np.full(len(table), True) if plate == "*" else (table["Metadata_Plate"] == plate).to_numpy()
        if not here.any():
            raise UserError(
                f"exclude: {name!r} names no plate: {spelling.found(plate, table['Metadata_Plate'].unique())}"
            )
        if well:
            here = here & (table["Metadata_Well"] == (wells.well(well) or well)).to_numpy()
        if site:
            here = here & (table["Metadata_Site"].astype(str) == site).to_numpy()
        if not here.any():
            raise UserError(f"exclude: {name!r} names no field of the screen; correct it")
        gone |= here
    return table[~gone]


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
    images = pd.concat([_identity(table, channel) for channel in channels], ignore_index=True)
    if (twice := images[(images != "") & images.duplicated()]).size:
        raise UserError(f"the image {twice.iloc[0]} stands for several fields or channels; correct the file names")
    remedy = "name their compounds (the control too), or take their images away"
    _refuse(table, table["Metadata_Compound"] == "", "of an unknown compound", remedy)
    concentration = table["Metadata_Concentration"]
    bad = ~table["Metadata_Control"] & ~(np.isfinite(concentration) & (concentration >= 0))
    _refuse(table, bad, "without a concentration", "give it, 0 or more")
    treatments = table.groupby(PLACE[:2])[["Metadata_Compound", "Metadata_Concentration"]].transform("nunique")
    _refuse(table, (treatments > 1).any(axis=1), "with several treatments", "a well of a plate has one")
    if not table["Metadata_Control"].any():
        known = ", ".join(sorted(table["Metadata_Compound"].unique())[:8])
        raise UserError(f"no field is of the control compound; check the screen's `control` (compounds: {known}, …)")


def _identity(table: pd.DataFrame, channel: str) -> pd.Series:
    """Each image of a channel, with its place in a file that holds several."""
    image = table[f"Image_{channel}"]
    if f"Index_{channel}" not in table:
        return image
    return image.where(image == "", image + " [" + table[f"Index_{channel}"].astype(str) + "]")


def _refuse(table: pd.DataFrame, which: pd.Series, what: str, remedy: str) -> None:
    if which.any():
        found = table.loc[which, PLACE].drop_duplicates()
        named = "; ".join(f"{plate} {well} site {site}" for plate, well, site in found.head(3).itertuples(index=False))
        raise UserError(
            f"{len(found)} field{'s' * (len(found) > 1)} {what} ({named}{'; …' if len(found) > 3 else ''}): {remedy}"
        )


# --- BBBC021's official CSVs ---


OFFICIAL = {
    "plate": "Image_Metadata_Plate_DAPI",
    "well": "Image_Metadata_Well_DAPI",
    "replicate": "Replicate",
    "compound": "Image_Metadata_Compound",
    "concentration": "Image_Metadata_Concentration",
}


def _bbbc021(screen: Mapping[str, Any], files: Mapping[str, Path]) -> tuple[Path, pd.DataFrame]:
    path = Path(files["images"])
    given = read(path)
    table = pd.DataFrame({platemaps.title(key): column(path, given, name) for key, name in OFFICIAL.items()})
    table["Metadata_Batch"] = table["Metadata_Plate"].str.partition("_")[0]
    table["Metadata_MoA"] = ""
    dose = table["Metadata_Concentration"]
    table["Metadata_Concentration"] = doses.converted(path, "Concentration", dose, "", screen.get("unit", "µM"))
    for channel, name in screen["channels"].items():
        file, place = (column(path, given, f"Image_{what}Name_{name}") for what in ("File", "Path"))
        members = place.str.rpartition("/")[2] + "/" + file  # what is Week1/Week1_22123 here is Week1_22123 there
        table[f"Image_{channel}"] = members.where(file != "", "")
    first = table[f"Image_{next(iter(screen['channels']))}"]
    table["Metadata_Site"] = first.str.extract(r"_s(\d+)_", expand=False)
    if (without := first[table["Metadata_Site"].isna()]).size:
        raise UserError(f"{path}: the file name {without.iloc[0]} does not tell its site as in B02_s1_w1.tif")
    return path, placed(path, table, screen)


def _annotated(table: pd.DataFrame, path: Path) -> list[str]:
    """The mechanism of each field's compound at its concentration, "" where the annotations have none."""
    given = read(path)
    concentration = numbers(path, "concentration", column(path, given, "concentration"), float)
    compound, moa = (column(path, given, name) for name in ("compound", "moa"))
    # To six digits: one file has 1.5, the other 1.500000.
    known = {(a, spelling.significant(b)): c for a, b, c in zip(compound, concentration, moa, strict=True)}
    pairs = zip(table["Metadata_Compound"], table["Metadata_Concentration"], strict=True)
    return [known.get((compound, spelling.significant(concentration)), "") for compound, concentration in pairs]


# --- a lab's own: CellProfiler's LoadData, or a folder with a file-name pattern; either with a plate map ---


def _loaddata(screen: Mapping[str, Any], files: Mapping[str, Path]) -> tuple[Path, pd.DataFrame]:
    path = Path(screen["path"]).expanduser()
    columns: Mapping[str, str] = screen.get("columns", {})
    given = read(path, columns.get("well", "well"))
    platemap = Path(screen["platemap"]).expanduser() if "platemap" in screen else None
    if platemap is None or not _of_map(platemap, columns, given):
        _demand(path, given, columns)
    names = {key: _there(given, key, columns) for key in COLUMNS}
    table = pd.DataFrame({"Metadata_Plate": column(path, given, names["plate"] or "Metadata_Plate")})
    if names["well"] or not (names["row"] and names["column"]):
        table["Metadata_Well"] = column(path, given, names["well"] or "Metadata_Well")
    else:
        row = column(path, given, names["row"]).map(lambda text: text.removesuffix(".0"))
        table["Metadata_Well"] = row.map(wells.letters) + column(path, given, names["column"])
    table["Metadata_Site"] = column(path, given, names["site"] or "Metadata_Site")
    where = {channel: _images(path, given, str(name)) for channel, name in screen["channels"].items()}
    for (channel, name), images in zip(
        screen["channels"].items(), moved(path, where, screen.get("replace", {})), strict=True
    ):
        table[f"Image_{channel}"] = images
        frame = next((one for one in (f"Frame_{name}", f"Image_Frame_{name}") if one in given), None)
        if frame:  # where a file holds several channels, CellProfiler counts its frames from 0
            table[f"Index_{channel}"] = numbers(path, frame, given[frame], int)
    table = placed(path, table, screen)
    if platemap is not None:
        table = platemaps.mapped(path, table, platemap, columns, screen.get("unit", "µM"), speller(screen))
    else:
        table = platemaps.treated(
            path, table, given.loc[table.index], platemaps.named(given, columns), screen.get("unit", "µM")
        )
        table = platemaps.without_unknown(path, table)
    return path, _stacked(path, table, screen) if screen.get("project") else table


def _of_map(path: Path, columns: Mapping[str, str], given: pd.DataFrame) -> bool:
    """Whether every column that the user names is in the plate map or in the table of images; `UserError` if not."""
    of_map = read(path, columns.get("well", "well"))
    for name in columns.values():
        if not has(given, name) and not has(of_map, name):
            column(path, of_map, name)
    return True


def _demand(path: Path, given: pd.DataFrame, columns: Mapping[str, str]) -> None:
    for name in columns.values():
        column(path, given, name)


def _there(given: pd.DataFrame, key: str, columns: Mapping[str, str]) -> str | None:
    """The name that the table has for a key: the user's, else the first usual one."""
    usual = [columns[key]] if key in columns and has(given, columns[key]) else [*COLUMNS[key], key]
    return next((name for name in usual if has(given, name)), None)


def _images(path: Path, given: pd.DataFrame, name: str) -> pd.Series:
    """The path of each row's image of a channel as the table has it, "" for none; an address where that is all."""
    prefix = "Image_" if f"Image_FileName_{name}" in given else ""
    for url in (f"URL_{name}", f"Image_URL_{name}"):
        if url in given and f"{prefix}FileName_{name}" not in given:
            return given[url]
    file = column(path, given, f"{prefix}FileName_{name}")
    place = given.get(f"{prefix}PathName_{name}", pd.Series("", given.index))
    pairs = zip(place, file, strict=True)
    return pd.Series([f"{a.rstrip('/')}/{b}" if a and b else b for a, b in pairs], given.index)


def _stacked(path: Path, table: pd.DataFrame, screen: Mapping[str, Any]) -> pd.DataFrame:
    """Rows of one field are its planes: one row, with the paths of all."""
    images = [f"Image_{channel}" for channel in screen["channels"]]
    if not table.duplicated(PLACE).any():
        return table
    if twice := [name for name in images if table.duplicated([*PLACE, name]).any()]:
        raise UserError(f"{path}: {twice[0].removeprefix('Image_')} has a plane twice; keep one row of each")
    joined = table.groupby(PLACE, sort=False)[images].agg(PLANES.join).reset_index()
    return joined.merge(table.drop(columns=images).drop_duplicates(PLACE), on=PLACE, validate="one_to_one")


def _pattern(screen: Mapping[str, Any], files: Mapping[str, Path]) -> tuple[Path, pd.DataFrame]:
    root = folder(screen)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; check the screen's `path`")
    if "platemap" not in screen:
        raise UserError(
            f"{root}: a screen of kind pattern needs a `platemap`, a table of well, compound, concentration"
        )
    well = speller(screen)
    pattern = patterns.compiled(screen["pattern"], screen["channels"], names=screen.get("positions") == "names")
    regex = pattern.regex
    rows: dict[tuple[str, str, str], dict[str, dict[int, str]]] = {}
    others = []
    for path in patterns.images(root, pattern):
        if not (match := regex.fullmatch(path)):
            others.append(path)
            continue
        found = match.groupdict()
        try:
            name = well(root, found.get("well") or wells.letters(found["row"]) + found["column"])
        except UserError:  # a place that no plate has, such as row 0
            others.append(path)
            continue
        place = found.get("plate", root.name), name, str(int(found.get("site", "1")))
        row = rows.setdefault(place, {channel: {} for channel in screen["channels"]})
        plane = int(found.get("plane", "0"))
        for channel in [pattern.channel_of(found["channel"])] if pattern.channels else list(screen["channels"]):
            if plane in row[channel]:
                raise UserError(
                    f"{root}: {row[channel][plane]} and {path} are both {' '.join(found.values())}; keep one of them"
                )
            row[channel][plane] = path
    if not rows:
        named = ", ".join(map(str, screen["channels"].values()))
        raise UserError(
            f"{root}: none of its {len(others)} image files{f', such as {others[0]}' if others else ''}, fits the "
            f"screen's `pattern` {screen['pattern']} with its `channels` {named}"
            + (f": {patterns.explained(pattern, others)}" if others else "")
        )
    if others:  # another channel's, most likely; but a plate with a typing error should not go unseen
        print(f"phenoviews: {root}: {len(others)} images do not fit, such as {others[0]}", file=sys.stderr)
    several = next((planes for row in rows.values() for planes in row.values() if len(planes) > 1), None)
    if several and not screen.get("project"):
        raise UserError(
            f"{root}: {len(several)} planes of one image, such as {' and '.join(list(several.values())[:2])}; say how "
            "they become one by the screen's `project: max` or `project: focus`, or keep one in the pattern"
        )
    table = pd.DataFrame(list(rows), columns=PLACE)
    for channel, name in screen["channels"].items():
        table[f"Image_{channel}"] = [
            PLANES.join(path for _, path in sorted(row[channel].items())) for row in rows.values()
        ]
        if not pattern.channels:
            table[f"Index_{channel}"] = int(name)
    columns, platemap = screen.get("columns", {}), Path(screen["platemap"]).expanduser()
    _demand(platemap, read(platemap, columns.get("well", "well")), columns)
    table = placed(root, table, screen)
    return root, platemaps.mapped(root, table, platemap, columns, screen.get("unit", "µM"), well)


READERS = {"bbbc021": _bbbc021, "loaddata": _loaddata, "pattern": _pattern}


# --- what they share ---


def _names(table: pd.DataFrame, channel: str) -> pd.Series:
    """Each field's name: its first image's without suffix; where those repeat, its place."""
    stems = table[f"Image_{channel}"].map(lambda name: Path(name.split(PLANES)[0]).stem)
    places = table["Metadata_Plate"] + "_" + table["Metadata_Well"] + "_s" + table["Metadata_Site"].astype(str)
    return places if stems[stems != ""].duplicated().any() else stems.where(stems != "", places)
