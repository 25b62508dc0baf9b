"""How large the nuclei of a field are, without being told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from phenoviews.cells.segmentation import segment

LEFT = 0.7  # of the bright area, which nuclei still have when what is thinner than they are has gone
STEP = 1.1  # between one radius and the next
ROUNDS = 2


def suggested(dna: np.ndarray, params: Mapping[str, Any]) -> float:
    """The diameter to declare for the nuclei of a field (H, W), pixels: that of a disc with their median area. NaN
    where there are none.

    A first guess is how wide an opening leaves LEFT of what is bright (granulometry: Matheron 1975, Serra 1982); then
    nuclei are segmented at the guess, and their median is the next one. `params`: see `segment`; its `diameter` is not
    used.
    """
    guess = _width(dna)
    for _ in range(ROUNDS):
        if np.isnan(guess):
            return guess
        areas = np.bincount(segment(dna, {**params, "diameter": guess}).ravel())[1:]
        guess = float(np.sqrt(4 / np.pi * np.median(areas))) if len(areas) else float("nan")
    return guess


def _width(dna: np.ndarray) -> float:
    """The diameter of the largest disc by which an opening of what is bright leaves LEFT of it."""
    smooth = ndimage.gaussian_filter(dna.astype(np.float32), 1)
    seen = smooth[dna > 0]
    if not seen.size or seen.min() == seen.max():
        return float("nan")
    bright = np.pad(ndimage.binary_fill_holes(smooth > np.exp(threshold_otsu(np.log(np.maximum(seen, 1))))), 1)
    depth, area, radius = ndimage.distance_transform_edt(bright), bright.sum(), 1.0
    while (core := depth >= STEP * radius).any():
        if (ndimage.distance_transform_edt(~core) < STEP * radius).sum() < LEFT * area:
            break
        radius *= STEP
    return 2 * radius
