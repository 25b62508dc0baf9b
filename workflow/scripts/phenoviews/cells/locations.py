"""Centres of cells that the user brings, in place of detected nuclei."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from phenoviews.cells.wells import PLACE
from phenoviews.errors import UserError


def provided(path: str | Path, fields: pd.DataFrame) -> pd.DataFrame:
    """Centres that the user brings, in place of detected ones.

    Args:
        path: a CSV with x, y (pixels, 0 is the first pixel's centre) and the field: Metadata_Field, or Metadata_Plate,
            Metadata_Well and Metadata_Site (also as plate, well and site).
        fields: the screen's table.

    Returns:
        Metadata_Field, x, y of all rows, in their order.
    """
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(("Metadata_Field", *PLACE[:2], "plate", "well"), str))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as CSV ({error}); check the screen's `locations`") from error
    table = table.rename(columns={name.removeprefix("Metadata_").lower(): name for name in PLACE})
    if absent := {"x", "y"} - set(table):
        raise UserError(f"{path}: lacks the column {min(absent)}; it needs x and y of each nucleus in pixels")
    for name in ("x", "y"):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    if "Metadata_Field" not in table:
        if missing := [name for name in PLACE if name not in table]:
            raise UserError(f"{path}: lacks the column {missing[0]}; it needs Metadata_Field, or plate, well and site")
        keys = fields[[*PLACE, "Metadata_Field"]].astype({"Metadata_Site": str})
        table["Metadata_Site"] = table["Metadata_Site"].astype(str)
        table = table.merge(keys, on=PLACE, how="left")
    placed = np.isfinite(table[["x", "y"]].to_numpy()).all(axis=1)
    known = table["Metadata_Field"].isin(fields["Metadata_Field"]) & placed
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        raise UserError(f"{path}: row {row + 2} has no field of the screen or no x, y in pixels; correct or remove it")
    return table[["Metadata_Field", "x", "y"]]


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
