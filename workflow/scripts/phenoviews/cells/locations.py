"""Centres of cells that the user brings, in place of detected nuclei."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from phenoviews import sheets
from phenoviews.cells.wells import PLACE
from phenoviews.errors import UserError
from phenoviews.spelling import folded, well

PLACES = {name.removeprefix("Metadata_").lower(): name for name in PLACE}


def provided(path: str | Path, fields: pd.DataFrame) -> pd.DataFrame:
    """Centres that the user brings, in place of detected ones.

    Args:
        path: a table, as `sheets.read` has it, with x, y (pixels, 0 is the first pixel's centre) and the field:
            Metadata_Field, or plate, well and site; with `Metadata_` or without, in any case.
        fields: the screen's table.

    Returns:
        Metadata_Field, x, y of all rows, in their order.
    """
    given = sheets.read(Path(path), "x")
    names = {key: _named(given, key) for key in ("x", "y", "field", *PLACES)}
    if absent := [key for key in ("x", "y") if not names[key]]:
        raise UserError(f"{path}: lacks the column {absent[0]}; it needs x and y of each nucleus in pixels")
    table = pd.DataFrame({key: pd.to_numeric(given[names[key]], errors="coerce") for key in ("x", "y")})
    if names["field"]:
        table["Metadata_Field"] = given[names["field"]]
    else:
        if missing := [name for key, name in PLACES.items() if not names[key]]:
            raise UserError(f"{path}: lacks the column {missing[0]}; it needs Metadata_Field, or plate, well and site")
        keys = fields[[*PLACE, "Metadata_Field"]].astype({"Metadata_Site": str})
        wells = set(fields["Metadata_Well"])
        spelled = {text: text if text in wells else well(text) for text in given[names["well"]].unique()}
        places = {
            "Metadata_Plate": given[names["plate"]],
            "Metadata_Well": given[names["well"]].map(spelled),
            "Metadata_Site": given[names["site"]].str.replace(r"^0*(\d+)(\.0+)?$", r"\1", regex=True),
        }
        table = table.assign(**places).merge(keys, on=PLACE, how="left")
    placed = np.isfinite(table[["x", "y"]].to_numpy()).all(axis=1)
    known = table["Metadata_Field"].isin(fields["Metadata_Field"]) & placed
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        raise UserError(f"{path}: row {row + 2} has no field of the screen or no x, y in pixels; correct or remove it")
    return table[["Metadata_Field", "x", "y"]]


def _named(table: pd.DataFrame, key: str) -> str:
    """The column for a key: of its name with `Metadata_` or without, in any case; "" for none."""
    wanted = {folded(key), folded(f"Metadata_{key}")}
    return next((name for name in map(str, table) if folded(name) in wanted), "")


def in_field(locations: pd.DataFrame, field: str, width: int, height: int) -> pd.DataFrame:
    """x, y and a missing area of the `provided` centres of a field of width × height pixels; `UserError` for one
    outside."""
    found = locations.loc[locations["Metadata_Field"] == field, ["x", "y"]].assign(area=np.nan)
    outside = found[~(found["x"].between(-0.5, width - 0.5) & found["y"].between(-0.5, height - 0.5))]
    if len(outside):
        x, y = outside.iloc[0][["x", "y"]]
        raise UserError(
            f"locations: ({x:g}, {y:g}) lies outside the field {field} of {width} x {height} pixels; "
            "give x and y in pixels of the screen's images"
        )
    return found
