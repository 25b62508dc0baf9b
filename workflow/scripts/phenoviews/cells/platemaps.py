"""What is in the wells: treatments from a plate map, or from the table that names the images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from phenoviews import doses
from phenoviews.cells.wells import PLACE
from phenoviews.errors import UserError
from phenoviews.sheets import column, has, read
from phenoviews.spelling import folded

# What a well may be told, and what stands for it where it is not told.
TREATMENT = {"compound": None, "concentration": "0", "replicate": "1", "batch": "", "moa": ""}


def title(key: str) -> str:
    """The column of the screen's table."""
    return "Metadata_MoA" if key == "moa" else f"Metadata_{key.title()}"


def mapped(
    where: Path,
    table: pd.DataFrame,
    path: Path,
    columns: Mapping[str, str],
    unit: str,
    well: Callable[[Path, str], str],
) -> pd.DataFrame:
    """`table` (one row per field) with the treatments of the plate map `path`, without the fields of wells that it does
    not have, or has without a compound: these are named on stderr.

    Args:
        where: the images' folder or table, for messages.
        columns: the screen's `columns`, of which the map may have some: {key: its name}.
        unit: of the screen's concentrations.
        well: the one spelling of a well, given the file and the text.

    Raises:
        UserError: a missing column, a well with two treatments, a plate of which the map has no well.
    """
    given = read(path, columns.get("well", "well"))
    names = named(given, columns)
    wells = pd.DataFrame(
        {"Metadata_Well": [well(path, text) for text in column(path, given, names.get("well", "well"))]}
    )
    keys = ["Metadata_Well"]
    if "plate" in names:
        wells["Metadata_Plate"] = column(path, given, names["plate"])
        keys = PLACE[:2]
    wells = treated(path, wells, given, names, unit).drop_duplicates()
    wells = wells[wells["Metadata_Compound"] != ""]  # an empty well
    if (twice := wells.duplicated(keys)).any():
        first = " ".join(wells.loc[twice, keys].iloc[0])
        raise UserError(f"{path}: the well {first} is listed twice with different treatments; keep one row")
    if "plate" in names:
        _refuse_unknown(where, table, wells, path)
    merged = table.merge(wells, on=keys, how="left", validate="many_to_one", indicator="found")
    return without_unknown(path, merged)


def _refuse_unknown(where: Path, table: pd.DataFrame, wells: pd.DataFrame, path: Path) -> None:
    """A plate that the map does not have at all is rather a misspelt one."""
    there = sorted(wells["Metadata_Plate"].unique())
    if unknown := sorted(set(table["Metadata_Plate"]) - set(there)):
        raise UserError(
            f"{path}: has no well of the plate {unknown[0]!r}, of which {where} has images; it has the plates "
            f"{', '.join(map(repr, there[:10]))}; correct one of the names, or leave the plate out by the screen's "
            f"`exclude: ['{unknown[0]}']`"
        )


def without_unknown(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The fields whose wells have a compound; what is left out is told."""
    unknown = table["Metadata_Compound"].fillna("") == ""
    if unknown.all():
        raise UserError(
            f"{path}: has a compound for none of the {len(_wells(table))} wells that have images, such as "
            f"{', '.join(_wells(table)[:5])}; check its wells and compounds"
        )
    if unknown.any():
        wells = _wells(table[unknown])
        print(
            f"phenoviews: {path}: has no compound for {len(wells)} wells that have images: {', '.join(wells[:10])}"
            f"{', …' if len(wells) > 10 else ''}; their {unknown.sum()} fields are left out",
            file=sys.stderr,
        )
    return table[~unknown].drop(columns="found", errors="ignore").reset_index(drop=True)


def _wells(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(table["Metadata_Plate"] + " " + table["Metadata_Well"]))


def named(given: pd.DataFrame, columns: Mapping[str, str]) -> dict[str, str]:
    """{key: the name of its column} of what a plate map has: the names that the user gives, else the keys themselves,
    in any case and with `Metadata_` or without; a concentration's may hold its unit."""
    found = {}
    for key in ("plate", "well", *TREATMENT, "unit"):
        if key in columns and has(given, columns[key]):
            found[key] = columns[key]
            continue
        fitting = [name for name in map(str, given) if folded(name) in (folded(key), folded(f"Metadata_{key}"))]
        if key == "concentration":
            fitting = [name for name in map(str, given) if doses.is_concentration(name)]
        elif key == "unit":
            fitting += [name for name in map(str, given) if folded(name) in ("concentrationunit", "concentrationunits")]
        if len(fitting) > 1:
            raise UserError(
                f"the columns {' and '.join(fitting)} may both be the {key}; choose by the screen's `columns: {{{key}: "
                f"{fitting[0]}}}`"
            )
        if fitting:
            found[key] = fitting[0]
    return found


def treated(where: Path, table: pd.DataFrame, given: pd.DataFrame, names: Mapping[str, str], unit: str) -> pd.DataFrame:
    """`table` with the treatments that `given` has, row by row, in columns of these names; concentrations are numbers
    in `unit`, 0 where there is no such column, as of RNAi."""
    if "compound" not in names:
        raise UserError(
            f"{where}: lacks the column compound; it has {', '.join(given.columns[:20])}; say which it is by the "
            "screen's `columns: {compound: …}`"
        )
    if "concentration" not in names:
        if sounding := [name for name in map(str, given) if doses.may_be_concentration(name)]:
            raise UserError(
                f"{where}: has no column concentration; is it {sounding[0]}? Say so by the screen's `columns: "
                f"{{concentration: {sounding[0]}}}`, or rename a column that is none"
            )
        print(f"phenoviews: {where}: has no concentrations; all are taken to be 0", file=sys.stderr)
    for key, default in TREATMENT.items():
        values: pd.Series | str | None = column(where, given, names[key]) if key in names else default
        if key == "concentration":
            text = pd.Series(values, given.index)
            own = column(where, given, names["unit"]) if "unit" in names else doses.unit_of_header(names.get(key, ""))
            values = doses.converted(where, names.get(key, key), text, own, unit)
        table[title(key)] = values
    return table
