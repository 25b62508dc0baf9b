"""The range of a plate's intensities: percentiles of all its pixels, which are counted and not kept."""

from __future__ import annotations

import numpy as np

VALUES = 1 << 16  # of a 16-bit image


def counted(channel: np.ndarray) -> np.ndarray:
    """How many pixels of (H, W) have each value from 0 to 65535, rounded and clipped: (65536,) int64."""
    values = np.clip(channel + 0.5, 0, VALUES - 1).astype(np.uint16)
    return np.bincount(values.ravel(), minlength=VALUES)


def percentiles(counts: np.ndarray, low: float, high: float) -> dict[str, float]:
    """The values below which `low` and `high` per cent lie; at least one apart, since contrast divides by it."""
    share = np.cumsum(counts) / counts.sum()
    bottom, top = (int(np.searchsorted(share, percent / 100)) for percent in (low, high))
    return {"low": float(bottom), "high": float(max(top, bottom + 1))}
