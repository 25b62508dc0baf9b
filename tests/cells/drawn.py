"""Fields of discs, drawn with known centres, and a plate of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

PARAMS = {"diameter": 40, "least_area": 0.08, "contrast": 1.3, "focus": 4}
CHANNELS = ["DNA", "actin"]
INTENSITY = {"low": 1, "high": 99}
SHAPE = 300, 400


def field(
    centres: Sequence[Sequence[float]] | np.ndarray,
    diameter: float = 40,
    shape: tuple[int, int] = SHAPE,
    background: float = 600.0,
    level: float = 4000.0,
    seed: int = 0,
) -> np.ndarray:
    """Discs with soft edges and shot noise on an even background: (H, W) float32."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape)
    for column, row in centres:
        image = np.maximum(image, np.hypot(x - column, y - row) <= diameter / 2)
    image = background + level * gaussian_filter(image, diameter / 25)
    return np.random.default_rng(seed).normal(image, 0.5 * np.sqrt(image)).astype(np.float32)


def apart(count: int, diameter: float, shape: tuple[int, int] = SHAPE, seed: int = 0) -> np.ndarray:
    """Centres that are at least 1.2 diameters apart and whole."""
    rng = np.random.default_rng(seed)
    kept: list[np.ndarray] = []
    while len(kept) < count:
        point = rng.uniform(diameter, np.array(shape[::-1]) - diameter)
        if all(np.hypot(*(point - other)) > 1.2 * diameter for other in kept):
            kept.append(point)
    return np.array(kept)


def xy(table: pd.DataFrame) -> np.ndarray:
    return table[["x", "y"]].to_numpy()


def plate(fields: Sequence[np.ndarray]) -> Iterator[tuple[pd.Series, np.ndarray]]:
    """The fields (H, W) of one well as `Source.fields` yields them, with a second channel."""
    for number, dna in enumerate(fields):
        row = {
            "Metadata_Plate": "P1",
            "Metadata_Well": "B02",
            "Metadata_Site": number + 1,
            "Metadata_Field": f"f{number}",
            **{f"Image_{channel}": f"f{number}_{channel}.tif" for channel in CHANNELS},
        }
        yield pd.Series(row), np.rint(np.stack([dna, 1000 + 2 * dna])).astype(np.uint16)
