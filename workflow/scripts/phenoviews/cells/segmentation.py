"""Nuclei in one field: segmented, and measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from phenoviews.cells.joining import joined

WORKING = 20  # pixels: nuclei are looked for in the field shrunk to about this diameter, for speed


def nuclei(dna: np.ndarray, params: Mapping[str, Any]) -> pd.DataFrame:
    """The nuclei of one field: x, y (column and row of the centroid, pixels, 0 is the first pixel's centre) and area
    (pixels), from top to bottom. See `segment`."""
    return measured(segment(dna, params))


def segment(dna: np.ndarray, params: Mapping[str, Any]) -> np.ndarray:
    """Label the nuclei of one field.

    What is brighter than its surroundings and than the field's threshold (Otsu's, of the logarithm) is nucleus.
    Touching nuclei are cut apart by a watershed from the summits of roundness and brightness together (the distance to
    the border, and the Laplacian of Gaussian of the logarithm); then cuts through one nucleus are undone (`joining`).

    Args:
        dna: (H, W), the DNA channel, corrected; 0 is no data.
        params: `diameter`, of a typical nucleus in pixels: every scale follows it; `least_area` of a nucleus as a
            fraction of the area of a disc of that diameter; `contrast`, how many times brighter than the field's
            background nuclei are at least, so that a field without any stays empty.

    Returns:
        (H, W) int32, 0 for the background, 1 to n.
    """
    small, shrink = shrunk(dna, params["diameter"])
    diameter = params["diameter"] / shrink
    pieces, smooth = cut(small, diameter, params["contrast"])
    typical = np.pi / 4 * diameter**2
    labels = joined(pieces, np.log(np.maximum(smooth, 1)), typical)
    large = np.bincount(labels.ravel()) >= params["least_area"] * typical
    large[0] = False
    kept: np.ndarray = np.where(large, np.cumsum(large), 0).astype(np.int32)[labels]
    return kept.repeat(shrink, axis=0).repeat(shrink, axis=1)[: dna.shape[0], : dna.shape[1]]


def shrunk(dna: np.ndarray, diameter: float) -> tuple[np.ndarray, int]:
    """The field in which nuclei are looked for, float32, and how many pixels of the whole one a pixel of it is wide."""
    shrink = max(1, int(diameter / WORKING))
    height, width = dna.shape
    padded = np.pad(dna, ((0, -height % shrink), (0, -width % shrink)), mode="edge")
    small = padded.reshape(padded.shape[0] // shrink, shrink, -1, shrink).mean(axis=(1, 3), dtype=np.float32)
    return small, shrink


def cut(dna: np.ndarray, diameter: float, contrast: float) -> tuple[np.ndarray, np.ndarray]:
    """What is bright in a field (H, W), cut into pieces 1 to n, of nuclei or parts of them, int32; and it smoothed.
    `diameter`: of a typical nucleus here; `contrast`: see `segment`."""
    smooth = ndimage.gaussian_filter(dna, 0.03 * diameter)
    nothing = np.zeros(dna.shape, np.int32)
    seen = smooth[dna > 0]
    if not seen.size or seen.min() == seen.max():
        return nothing, smooth
    # Of the logarithm, so that a few very bright nuclei do not lift the threshold above the dim ones.
    threshold = np.exp(threshold_otsu(np.log(np.maximum(seen, 1))))
    # Of an empty field the threshold cuts the noise in two.
    if smooth[smooth > threshold].mean() < contrast * np.median(seen[seen <= threshold]):
        return nothing, smooth
    bright = (smooth > threshold) & (smooth > ndimage.gaussian_filter(smooth, 0.75 * diameter))
    bright = ndimage.binary_fill_holes(ndimage.binary_opening(bright, iterations=max(1, round(0.05 * diameter))))
    if not bright.any():
        return nothing, smooth

    inside = ndimage.gaussian_filter(ndimage.distance_transform_edt(bright), 0.05 * diameter)
    blob = -ndimage.gaussian_laplace(np.log(np.maximum(smooth, 1)), 0.15 * diameter)
    height = inside / (0.25 * diameter) + 0.25 * blob / max(np.percentile(blob[bright], 90), 1e-6)
    summits = peak_local_max(
        height, min_distance=max(1, round(0.2 * diameter)), labels=bright.astype(np.int32), exclude_border=False
    )
    seeds = nothing.copy()
    seeds[tuple(summits.T)] = np.arange(1, len(summits) + 1)
    pieces: np.ndarray = watershed(-height, seeds, mask=bright)
    return pieces, smooth


def measured(labels: np.ndarray) -> pd.DataFrame:
    """x, y and area of each label 1 to n of (H, W), from top to bottom."""
    area = np.bincount(labels.ravel())
    rows, columns = np.nonzero(labels)
    owner = labels[rows, columns]
    x, y = (np.bincount(owner, values, len(area))[1:] / area[1:] for values in (columns, rows))
    table = pd.DataFrame({"x": x, "y": y, "area": area[1:].astype(np.int64)})
    return table.sort_values(["y", "x"], ignore_index=True)
