"""How many classes have an opposite, with what noise counts drawn in (*No Free Lunch*, figure 4)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from phenoviews.errors import UserError
from phenoviews.panels.records import why_none
from phenoviews.panels.style import WIDTH, colour, label_scale, style
from phenoviews.panels.table import places, printed

PUBLISHED, HONEST = "opposed", "opposed_honest"
FLOORS = {
    "opposed_by_chance": ("nothing depends on the value", "#d9d9d9", ""),
    "opposed_without_class": ("classes follow the overall curve", "none", "////"),
}
HEIGHT, LEGEND = 2.1, 1.1  # inches of a row of plots, and of what stands below


def draw(panel: Mapping[str, Any], records: pd.DataFrame, files: Mapping[str, Sequence[str]]) -> Figure:
    """The figure of a panel as the study declares it: a row of plots for each backbone, a column for each data set."""
    found = records[(records["metric"].isin([PUBLISHED, HONEST, *FLOORS])) & (records["regime"] != "fine-tuned")]
    if found.empty:
        raise UserError(f"panel {panel['name']}: opposites are counted over a setting; name a `sweep` in its `runs`")
    order = {key: list(places(panel, key, found[key])) for key in ("backbone", "dataset")}
    plots = {
        (backbone, dataset): found[(found["backbone"] == backbone) & (found["dataset"] == dataset)]
        for backbone in order["backbone"]
        for dataset in order["dataset"]
    }
    return figure(plots, panel)


def figure(plots: Mapping[tuple[str, str], pd.DataFrame], panel: Mapping[str, Any]) -> Figure:
    """Draw the shares of classes: published counts as dots with their intervals, honest ones as crosses, and what noise
    counts as bars behind.

    Args:
        plots: {(backbone, data set): records of `PUBLISHED`, `HONEST` and `FLOORS`, by swept and method; may be none}.
        panel: the declaration, for what things are called.
    """
    there = {at: of for at, of in plots.items() if len(of)}
    rows, columns = (list(dict.fromkeys(at[axis] for at in there)) for axis in (0, 1))
    methods = list(places(panel, "method", pd.concat(there.values())["method"]))
    widths = [max(of["swept"].nunique() for at, of in there.items() if at[1] == column) for column in columns]
    with style():
        fig = Figure(figsize=(WIDTH, LEGEND + HEIGHT * len(rows)), layout="constrained")
        axes = fig.subplots(len(rows), len(columns), squeeze=False, sharey=True, width_ratios=widths)
        for line, row in zip(axes, rows, strict=True):
            for ax, column in zip(line, columns, strict=True):
                if (row, column) in there:
                    _plot(ax, there[row, column], panel, methods)
                    ax.set_title(f"{printed(panel, 'dataset', column)}, {printed(panel, 'backbone', row)}")
                else:
                    ax.set_axis_off()
            line[0].set_ylabel("Classes with an opposite (%)")
        looks = [
            *(
                Line2D([], [], color=colour(number), marker="o", linestyle="", label=printed(panel, "method", name))
                for number, name in enumerate(methods)
            ),
            Line2D([], [], color="black", marker="o", linestyle="", label="as published, 90 % over seeds"),
            Line2D([], [], color="black", marker="x", linestyle="", label="honest count"),
            *(
                Patch(facecolor=face, hatch=hatch, edgecolor="#8c8c8c", label=f"noise: {what}")
                for what, face, hatch in FLOORS.values()
            ),
        ]
        fig.legend(handles=looks, loc="outside lower center", ncols=3, frameon=False)
        label_scale(fig, panel["scale"]["note"])
        return fig


def _plot(ax: Axes, found: pd.DataFrame, panel: Mapping[str, Any], methods: Sequence[str]) -> None:
    if reason := why_none(found):
        ax.text(0.5, 0.5, textwrap.fill(f"no numbers: {reason}", 30), ha="center", va="center", transform=ax.transAxes)
        ax.set_xticks([])
        return
    settings = list(places(panel, "swept", found["swept"]))
    width = 0.8 / len(methods)
    for group, setting in enumerate(settings):
        for number, method in enumerate(methods):
            of = found[(found["swept"] == setting) & (found["method"] == method)].set_index("metric")
            if not len(of):
                continue
            x = group + (number - (len(methods) - 1) / 2) * width
            for metric, (_, face, hatch) in FLOORS.items():
                low, high = of.loc[metric, ["low", "high"]]
                ax.bar(x, high - low, 0.9 * width, low, color=face, hatch=hatch, edgecolor="#8c8c8c", linewidth=0.4)
            value, low, high = of.loc[PUBLISHED, ["value", "low", "high"]].astype(float)
            # The count itself may lie outside of what resampled seeds count.
            spread = np.maximum([[value - low], [high - value]], 0)
            ax.errorbar(x, value, yerr=spread, fmt="o", markersize=4, color=colour(number), elinewidth=0.8, capsize=1.5)
            ax.plot(x, of.loc[HONEST, "value"], "x", markersize=4, color=colour(number))
    ax.set_xticks(range(len(settings)), [textwrap.fill(printed(panel, "swept", name), 16) for name in settings])
    ax.set_xlim(-0.6, len(settings) - 0.4)
    ax.set_ylim(-3, 103)
