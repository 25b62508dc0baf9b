"""Wells of a plate, by their names."""

from __future__ import annotations

import re

import pandas as pd

from phenoviews import spelling

PLACE = ["Metadata_Plate", "Metadata_Well", "Metadata_Site"]  # of a field in its screen
ROWS, COLUMNS = 32, 48  # of the largest plate, of 1,536 wells: A01 to AF48


def well(text: str) -> str | None:
    """The one spelling of a well: "b2", "B-02", "B - 2", "B02.a1" (a place within it) are "B02", "aa1" is "AA01". None
    for what no plate has: "B00", "B49", "AG01", "well 3"."""
    bare = re.sub(r"\s*-\s*", "-", re.sub(r"\.[A-Za-z]\d+$", "", text.strip()))
    if not (name := spelling.well(bare)):
        return None
    number = 0
    for letter in name[:-2]:
        number = 26 * number + ord(letter) - ord("A") + 1
    return name if number <= ROWS and int(name[-2:]) <= COLUMNS else None


def letters(row: str) -> str:
    """The row of a plate as letters: "2" is B, "27" is AA."""
    if not row.isdigit():
        return row
    number = int(row) - 1
    return ("" if number < 26 else chr(64 + number // 26)) + chr(65 + number % 26)


def in_columns(table: pd.DataFrame, columns: list[int]) -> pd.Series:
    """Which rows are of wells in these columns of the plate ("B02" is in column 2; a position that is no well, in
    none)."""
    wells = table["Metadata_Well"].where(table["Metadata_Well"].map(well, na_action="ignore").notna())
    return wells.str.extract(r"(\d+)$")[0].astype(float).isin(columns)
