"""Wells of a plate, by their names."""

from __future__ import annotations

import pandas as pd

PLACE = ["Metadata_Plate", "Metadata_Well", "Metadata_Site"]  # of a field in its screen


def in_columns(table: pd.DataFrame, columns: list[int]) -> pd.Series:
    """Which rows are of wells in these columns of the plate ("B02" is in column 2)."""
    return table["Metadata_Well"].str.extract(r"(\d+)$")[0].astype(int).isin(columns)
