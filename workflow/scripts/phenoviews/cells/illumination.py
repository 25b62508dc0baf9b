"""Uneven light: one function per plate and channel, which images are divided by (Singh et al. 2014).

Singh, Bray, Jones, Carpenter: "Pipeline for illumination correction of images for high-throughput microscopy",
J Microsc 256, 231 (2014): the mean of all fields of the plate, smoothed by a wide median, over its robust minimum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, median_filter
from skimage.transform import resize
from tqdm import tqdm

from phenoviews.errors import UserError
from phenoviews.files import atomic

GRID = 64  # the shorter side of the small image that is smoothed: fine enough for light, 200 times faster
LEAST = 0.5  # of the robust minimum: the darkest that the function may be, so that no corner is blown up


def illumination(fields: Iterable[np.ndarray], params: Mapping[str, Any]) -> np.ndarray:
    """The illumination function of a plate; one pass over its fields, of which one is in memory at a time.

    Args:
        fields: (C, H, W) images of one size, of any number type.
        params: `smoothing`, the side of the median's window as a fraction of the field's shorter side, 0 for no
            correction (ones); `even_fields`, how many fields of even light are taken for granted beside the plate's
            own: with few fields cells would pass for light, and this draws the function towards 1; `quantile`, the
            robust minimum.

    Returns:
        (C, H, W) float32, 1 at the robust minimum and more at all but the darkest `quantile` of the pixels.

    Raises:
        UserError: no fields, fields of several sizes, a channel in which most is black.
    """
    total, count = None, 0
    for field in fields:
        if total is None:
            total = np.zeros(field.shape)
        if field.shape != total.shape:
            raise UserError(f"a field of {field.shape} among fields of {total.shape}; a plate's fields need one size")
        total += field
        count += 1
    if total is None:
        raise UserError("the plate has no fields; check the screen's table")
    if not params["smoothing"]:
        return np.ones(total.shape, np.float32)
    trust = count / (count + params["even_fields"])
    functions = []
    for number, channel in enumerate(total, start=1):
        if not channel.any():
            raise UserError(f"channel {number} is black in all of the plate's fields; check its images")
        smooth = _smoothed(channel / count, params["smoothing"])
        smooth = 1 + trust * (smooth / smooth.mean() - 1)
        functions.append(smooth / np.quantile(smooth, params["quantile"]))
    return np.maximum(functions, LEAST, dtype=np.float32)


def _smoothed(mean: np.ndarray, window: float) -> np.ndarray:
    """The median of a window of `window` times the shorter side around each pixel, worked out on a small image."""
    scale = min(GRID / min(mean.shape), 1.0)
    small = resize(mean, [max(1, round(side * scale)) for side in mean.shape], order=1, anti_aliasing=True)
    half = max(1, round(window * min(small.shape) / 2))
    # Beyond the border its own values go on; mirrored ones would flatten the light's slope there twice as much.
    smooth = median_filter(small, size=2 * half + 1, mode="nearest")
    smooth = gaussian_filter(smooth, half / 4, mode="nearest")  # a median leaves steps
    whole: np.ndarray = resize(smooth, mean.shape, order=1, mode="edge")
    return whole


def correct(field: np.ndarray, function: np.ndarray) -> np.ndarray:
    """The field over the function, both (C, H, W): float32.

    `UserError` if they differ in size.
    """
    if field.shape != function.shape:
        raise UserError(f"a field of {field.shape} where the plate's illumination function has {function.shape}")
    even: np.ndarray = np.divide(field, function, dtype=np.float32)
    return even


def write(
    fields: Iterable[tuple[Any, np.ndarray | str]],
    params: Mapping[str, Any],
    file: str | Path,
    plate: str,
    total: int | None = None,
) -> None:
    """The rule: write the function of a plate's fields, as `Source.readable` yields them."""
    bar = tqdm(fields, desc=f"illumination of {plate}", total=total, unit="field", mininterval=1)
    try:
        function = illumination((image for _, image in bar if not isinstance(image, str)), params)
    except UserError as error:
        raise UserError(f"plate {plate}: {error}") from error
    with atomic(file) as partial:
        np.save(partial, function, allow_pickle=False)
