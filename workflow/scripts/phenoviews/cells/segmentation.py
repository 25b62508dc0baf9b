"""Nuclei in one field: segmented, and measured."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

WORKING = 20  # pixels: nuclei are looked for in the field shrunk to about this diameter, for speed
PIECE = 0.3  # of a typical nucleus: what is cut off of a nucleus and smaller is rather a lobe of it


def nuclei(dna: np.ndarray, params: Mapping[str, Any]) -> pd.DataFrame:
    """The nuclei of one field: x, y (column and row of the centroid, pixels, 0 is the first pixel's centre) and area
    (pixels), from top to bottom. See `segment`."""
    return measured(segment(dna, params))


def segment(dna: np.ndarray, params: Mapping[str, Any]) -> np.ndarray:
    """Label the nuclei of one field.

    What is brighter than its surroundings and than the field's threshold (Otsu's, of the logarithm) is nucleus.
    Touching nuclei are cut apart by a watershed from the summits of roundness and brightness together (the distance to
    the border, and the Laplacian of Gaussian of the logarithm); what is too small for a nucleus is not cut off.

    Args:
        dna: (H, W), the DNA channel, corrected; 0 is no data.
        params: `diameter`, of a typical nucleus in pixels: every scale follows it; `least_area` of a nucleus as a
            fraction of the area of a disc of that diameter; `contrast`, how many times brighter than the field's
            background nuclei are at least, so that a field without any stays empty.

    Returns:
        (H, W) int32, 0 for the background, 1 to n.
    """
    shrink = max(1, int(params["diameter"] / WORKING))
    height, width = dna.shape
    padded = np.pad(dna, ((0, -height % shrink), (0, -width % shrink)), mode="edge")
    small = padded.reshape(padded.shape[0] // shrink, shrink, -1, shrink).mean(axis=(1, 3), dtype=np.float32)
    labels = _segment(small, params["diameter"] / shrink, params["least_area"], params["contrast"])
    return labels.repeat(shrink, axis=0).repeat(shrink, axis=1)[:height, :width]


def _segment(dna: np.ndarray, diameter: float, least_area: float, contrast: float) -> np.ndarray:
    smooth = ndimage.gaussian_filter(dna, 0.03 * diameter)
    nothing = np.zeros(dna.shape, np.int32)
    seen = smooth[dna > 0]
    if not seen.size or seen.min() == seen.max():
        return nothing
    # Of the logarithm, so that a few very bright nuclei do not lift the threshold above the dim ones.
    threshold = np.exp(threshold_otsu(np.log(np.maximum(seen, 1))))
    # Of an empty field the threshold cuts the noise in two.
    if smooth[smooth > threshold].mean() < contrast * np.median(seen[seen <= threshold]):
        return nothing
    bright = (smooth > threshold) & (smooth > ndimage.gaussian_filter(smooth, 0.75 * diameter))
    bright = ndimage.binary_fill_holes(ndimage.binary_opening(bright, iterations=max(1, round(0.05 * diameter))))
    if not bright.any():
        return nothing

    inside = ndimage.gaussian_filter(ndimage.distance_transform_edt(bright), 0.05 * diameter)
    blob = -ndimage.gaussian_laplace(np.log(np.maximum(smooth, 1)), 0.15 * diameter)
    height = inside / (0.25 * diameter) + 0.25 * blob / max(np.percentile(blob[bright], 90), 1e-6)
    summits = peak_local_max(
        height, min_distance=max(1, round(0.3 * diameter)), labels=bright.astype(np.int32), exclude_border=False
    )
    seeds = nothing.copy()
    seeds[tuple(summits.T)] = np.arange(1, len(summits) + 1)
    typical = np.pi / 4 * diameter**2
    labels = _joined(watershed(-height, seeds, mask=bright), PIECE * typical, typical)
    areas = np.bincount(labels.ravel(), minlength=len(summits) + 1)
    large = areas >= least_area * typical
    large[0] = False
    kept: np.ndarray = np.where(large, np.cumsum(large), 0).astype(np.int32)[labels]
    return kept


def _joined(labels: np.ndarray, piece: float, most: float) -> np.ndarray:
    """Undo cuts that left less than `piece` pixels on one side and would make no more than `most` together.

    Such pieces are lobes of one nucleus; each, the smallest first, joins the neighbour that it shares most border with.
    """
    area = np.bincount(labels.ravel())
    # Of each label: how many pixels of border with which others.
    borders: dict[int, Counter[int]] = defaultdict(Counter)
    for first, second in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        touch = (first != second) & (first > 0) & (second > 0)
        for (one, other), count in Counter(zip(first[touch].tolist(), second[touch].tolist(), strict=True)).items():
            borders[one][other] += count
            borders[other][one] += count
    owner = np.arange(len(area))
    for one in sorted(borders, key=lambda label: (area[label], label)):
        fits = {other: count for other, count in borders[one].items() if area[other] + area[one] <= most}
        if area[one] >= piece or not fits:
            continue
        into = max(fits, key=lambda other: (fits[other], other))
        owner[owner == one] = into
        area[into] += area[one]
        for other, count in borders.pop(one).items():
            del borders[other][one]
            if other != into:
                borders[other][into] += count
                borders[into][other] += count
    joined: np.ndarray = owner[labels]
    return joined


def measured(labels: np.ndarray) -> pd.DataFrame:
    """x, y and area of each label 1 to n of (H, W), from top to bottom."""
    area = np.bincount(labels.ravel())
    rows, columns = np.nonzero(labels)
    owner = labels[rows, columns]
    x, y = (np.bincount(owner, values, len(area))[1:] / area[1:] for values in (columns, rows))
    table = pd.DataFrame({"x": x, "y": y, "area": area[1:].astype(np.int64)})
    return table.sort_values(["y", "x"], ignore_index=True)
