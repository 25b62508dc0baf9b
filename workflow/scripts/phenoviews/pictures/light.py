"""The picture of a plate's illumination function."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from phenoviews.panels.style import SMALL, WIDTH, colour, style


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
