"""Square windows around chosen cells, cut from corrected fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.cells.illumination import correct

INTENSITIES = ("plate", "crop", "raw")


def corner(x: Any, y: Any, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Left column and top row of the window: the pixel that holds the centre is pixel (side // 2, side // 2) of it.

    A centre between two pixels belongs to the right or lower one. BBBC021's published 68-pixel crops are cut so.
    """
    left, top = (np.floor(np.asarray(value) + 0.5).astype(np.int64) - side // 2 for value in (x, y))
    return left, top


def inside(x: Any, y: Any, side: int, width: Any, height: Any) -> np.ndarray:
    """Whether the window around (x, y) lies within a field of (width, height); of columns of a table, for each row."""
    left, top = corner(x, y, side)
    return (left >= 0) & (top >= 0) & (left + side <= np.asarray(width)) & (top + side <= np.asarray(height))


def crops(
    fields: Iterable[tuple[pd.Series, np.ndarray]],
    cells: pd.DataFrame,
    function: np.ndarray,
    side: int,
    intensity: str,
    bounds: Mapping[str, Mapping[str, float]],
) -> Iterator[np.ndarray]:
    """The windows of the cells of one plate, in the order of the table; one field in memory at a time.

    Args:
        fields: row and (C, H, W) image of each field that has cells, once and in the order in which `cells` names
            them, as `Source.fields` yields them.
        cells: Metadata_Field, x, y of cells that are `inside`; the cells of a field stand together.
        function: (C, H, W), the plate's illumination function.
        side: of the windows, pixels.
        intensity: `plate`, 8 bits between the plate's percentiles; `crop`, 8 bits between each crop's and channel's
            own minimum and maximum; `raw`, 16 bits, corrected values.
        bounds: {channel: {low, high}} of the plate, in the order of the channels; for `plate`.

    Yields:
        (n, side, side, C) uint8, or uint16 for `raw`: the n cells of a field.

    Raises:
        ValueError: a cell whose window is not inside, fields and cells that do not go together, an unknown intensity.
    """
    if intensity not in INTENSITIES:
        raise ValueError(f"intensity {intensity!r} is none of {', '.join(INTENSITIES)}")
    groups = [(name, rows) for name, rows in cells.groupby("Metadata_Field", sort=False)]
    if (cells["Metadata_Field"] != cells["Metadata_Field"].shift()).sum() != len(groups):
        raise ValueError("the cells of a field do not stand together")
    for (name, rows), (row, image) in zip(groups, fields, strict=True):
        if row["Metadata_Field"] != name:
            raise ValueError(f"the field {row['Metadata_Field']} where the cells are of {name}")
        field = correct(image, function)
        # What is the same for the whole plate is done once for a field, not for each of its overlapping windows.
        if intensity == "raw":
            field = np.clip(np.rint(field), 0, 65535).astype(np.uint16)
        elif intensity == "plate":
            field = scaled(field, *(np.array([[[of[key]]] for of in bounds.values()]) for key in ("low", "high")))
        found = windows(field, rows, side)
        if intensity == "crop":
            low, high = (extreme(found, axis=(1, 2), keepdims=True) for extreme in (np.min, np.max))
            found = scaled(found, low, np.maximum(high, low + 1))  # an even crop is black
        yield found


def windows(field: np.ndarray, cells: pd.DataFrame, side: int) -> np.ndarray:
    """The windows of side × side around x, y of `cells` in a field (C, H, W): (n, side, side, C)."""
    height, width = field.shape[1:]
    if not inside(cells["x"], cells["y"], side, width, height).all():
        raise ValueError("a cell whose window crosses the border; such cells are dropped before")
    found = np.empty((len(cells), side, side, len(field)), field.dtype)
    for window, left, top in zip(found, *corner(cells["x"], cells["y"], side), strict=True):
        window[:] = field[:, top : top + side, left : left + side].transpose(1, 2, 0)
    return found


def scaled(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Values between low and high as uint8, 0 to 255, rounded; what lies beyond is clipped."""
    low, high = np.asarray(low, np.float32), np.asarray(high, np.float32)
    levels: np.ndarray = np.rint(np.clip((values - low) * (255 / (high - low)), 0, 255)).astype(np.uint8)
    return levels
