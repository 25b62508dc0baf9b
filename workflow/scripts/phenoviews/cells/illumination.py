"""Uneven light: one function per plate and channel, which images are divided by (Singh et al. 2014).

Singh, Bray, Jones, Carpenter: "Pipeline for illumination correction of images for high-throughput microscopy",
J Microsc 256, 231 (2014): the mean of all fields of the plate, smoothed by a wide median, over its robust minimum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter, median_filter
from skimage.transform import resize
from tqdm import tqdm

from phenoviews.errors import UserError
from phenoviews.files import atomic
from phenoviews.panels.style import SMALL, WIDTH, colour, style

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
    return resize(smooth, mean.shape, order=1, mode="edge")


def correct(field: np.ndarray, function: np.ndarray) -> np.ndarray:
    """The field over the function, both (C, H, W): float32.

    `UserError` if they differ in size.
    """
    if field.shape != function.shape:
        raise UserError(f"a field of {field.shape} where the plate's illumination function has {function.shape}")
    return np.divide(field, function, dtype=np.float32)


def write(
    fields: Iterable[tuple[Any, np.ndarray]],
    channels: Sequence[str],
    params: Mapping[str, Any],
    npy: str | Path,
    png: str | Path,
    plate: str,
    total: int | None = None,
) -> None:
    """The rule: write the function of a plate's fields, as `Source.fields` yields them, and its picture."""
    bar = tqdm(fields, desc=f"illumination of {plate}", total=total, unit="field", mininterval=1)
    try:
        function = illumination((image for _, image in bar), params)
    except UserError as error:
        raise UserError(f"plate {plate}: {error}") from error
    with style(), atomic(png) as partial:
        picture(function, channels, plate).savefig(partial, format="png", metadata={"Software": None})
    with atomic(npy) as partial:
        np.save(partial, function, allow_pickle=False)


def picture(function: np.ndarray, channels: Sequence[str], plate: str = "") -> Figure:
    """The function (C, H, W) as one map per channel, on one scale, and below it the middle row and column."""
    low, high = min(float(function.min()), 1.0), max(float(function.max()), 1.1)
    aspect = function.shape[1] / function.shape[2]
    with style():
        figure = Figure(figsize=(WIDTH, 1.9 + 0.85 * WIDTH / len(channels) * aspect), layout="constrained")
        maps, curves = figure.subplots(2, len(channels), squeeze=False, height_ratios=[1.3 * aspect, 1])
        for above, below, name, light in zip(maps, curves, channels, function, strict=True):
            height, width = light.shape
            step = max(1, height // 256)
            shown = above.imshow(light[::step, ::step], vmin=low, vmax=high)
            above.set_title(name)
            above.set_axis_off()
            below.plot(np.linspace(0, 1, width), light[height // 2], color=colour(0), label="middle row")
            below.plot(np.linspace(0, 1, height), light[:, width // 2], color=colour(2), label="middle column")
            below.set(ylim=(low, high), xlabel="place in the field, 0 to 1")
        curves[0].set_ylabel("times the robust minimum")
        curves[0].legend(frameon=False)
        figure.colorbar(shown, ax=maps, shrink=0.8)
        figure.suptitle(f"Illumination function {plate}".strip(), fontsize=SMALL + 2, x=0.01, ha="left")
    return figure
