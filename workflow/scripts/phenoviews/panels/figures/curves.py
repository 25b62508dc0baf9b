"""Accuracy of every class, or superclass, against a setting that is swept (*No Free Lunch*, figures 3, 5 and 8)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from phenoviews.errors import UserError
from phenoviews.panels.records import why_none
from phenoviews.panels.style import WIDTH, colour, label_scale, style
from phenoviews.panels.table import places, printed
from phenoviews.study.metrics import AXES
from phenoviews.study.names import bare

# What is drawn of each class, and of each superclass.
OF_CLASS, OF_SUPERCLASS, OVERALL = "accuracy", "superclass_accuracy", "top1"
FAINT, MEAN = "#c4c4c4", "#000000"
HEIGHT = 1.6  # inches of a row of plots


def draw(panel: Mapping[str, Any], records: pd.DataFrame, files: Mapping[str, Sequence[str]]) -> Figure:
    """The figure of a panel as the study declares it: a row of plots for each encoder, a column for each setting."""
    return _draw(panel, records[records["metric"].isin([OF_CLASS, OVERALL])])


def draw_superclasses(panel: Mapping[str, Any], records: pd.DataFrame, files: Mapping[str, Sequence[str]]) -> Figure:
    """The same, of superclasses."""
    found = records[records["metric"].isin([OF_SUPERCLASS, OVERALL])]
    above = found.get("superclass", "")  # which is missing where no run could be measured
    return _draw(panel, found.assign(**{"class": above, "metric": found["metric"].replace(OF_SUPERCLASS, OF_CLASS)}))


def _draw(panel: Mapping[str, Any], records: pd.DataFrame) -> Figure:
    found = records[records["swept"] != ""]
    if found.empty:
        raise UserError(f"panel {panel['name']}: curves are drawn against a setting; name a `sweep` in its `runs`")
    known = set(found["class"]) - {""}
    wanted = panel.get("highlight", [])
    # At another scale the classes are others; then none is named.
    highlight = [name for name in wanted if name in known]
    # A name differs in the number that is swept, and that is on the axis.
    keys = set(found["swept"])
    found = found.assign(**{axis: [bare(name, keys) for name in found[axis]] for axis in AXES})
    varied = [axis for axis in AXES if found[axis].nunique() > 1]
    rows = list(dict.fromkeys(found[varied].itertuples(index=False, name=None)))
    columns = list(places(panel, "swept", found["swept"]))
    plots = {
        (row, column): found[(found["swept"] == column) & (found[varied] == list(row)).all(axis=1)]
        for row in rows
        for column in columns
    }
    titles = {
        row: "\n".join(printed(panel, axis, name) for axis, name in zip(varied, row, strict=True)) for row in rows
    }
    settings = {column: printed(panel, "swept", column) for column in columns}
    return figure(plots, titles, settings, highlight, panel["scale"]["note"])


def figure(
    plots: Mapping[tuple[Any, str], pd.DataFrame],
    rows: Mapping[Any, str],
    columns: Mapping[str, str],
    highlight: Sequence[str],
    note: str = "",
) -> Figure:
    """Draw the curves: mean over seeds, with the sample standard deviation as a bar on the named classes and on the
    overall accuracy; the other classes faint.

    Args:
        plots: {(row, column): records of `accuracy`, by class, and of `top1`, with `at`}.
        rows: {row: what stands at its left}, in order.
        columns: {column: what stands below its axis}, in order.
        highlight: the classes that are named. Up to ten classes are named all, where none is.
        note: see `style.label_scale`.
    """
    classes = sorted(set().union(*(set(of["class"]) for of in plots.values())) - {""})
    named = list(highlight) or (classes if len(classes) <= 10 else [])
    with style():
        fig = Figure(figsize=(WIDTH, 0.7 + HEIGHT * len(rows)), layout="constrained")
        axes = fig.subplots(len(rows), len(columns), squeeze=False, sharex="col", sharey="row")
        for line, (row, title) in zip(axes, rows.items(), strict=True):
            for ax, column in zip(line, columns, strict=True):
                if plots[row, column].empty:  # not swept there
                    ax.set_axis_off()
                else:
                    _plot(ax, plots[row, column], named)
            line[0].set_ylabel(f"{title}\nAccuracy (%)" if title else "Accuracy (%)")
        for ax, setting in zip(axes[-1], columns.values(), strict=True):
            ax.set_xlabel(textwrap.fill(setting, 30))
        looks = [*((name, colour(number), 1.0) for number, name in enumerate(named)), ("all images", MEAN, 1.8)]
        handles = [Line2D([], [], color=shade, linewidth=width, label=name) for name, shade, width in looks]
        if len(named) < len(classes):
            handles.append(Line2D([], [], color=FAINT, linewidth=0.5, label="other classes"))
        seeds = max(of["seed"].nunique() for of in plots.values())
        spread = f"mean and sample standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
        fig.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False, title=spread)
        label_scale(fig, note)
        return fig


def _plot(ax: Axes, found: pd.DataFrame, named: Sequence[str]) -> None:
    if reason := why_none(found):
        ax.text(0.5, 0.5, textwrap.fill(f"no numbers: {reason}", 24), ha="center", va="center", transform=ax.transAxes)
        return
    of_class = found[(found["metric"] == OF_CLASS) & (found["class"] != "")]
    means = of_class.pivot_table(index="at", columns="class", values="value", aggfunc="mean").sort_index()
    others = means[[name for name in means if name not in named]]
    ax.plot(others.index, others, color=FAINT, linewidth=0.5, zorder=1)
    for number, name in enumerate(named):
        _curve(ax, of_class[of_class["class"] == name], color=colour(number), linewidth=1.0, zorder=2)
    _curve(ax, found[found["metric"] == OVERALL], color=MEAN, linewidth=1.8, zorder=3)


def _curve(ax: Axes, found: pd.DataFrame, **look: Any) -> None:
    by_value = found.dropna(subset="value").groupby("at")["value"].agg(["mean", "std"])
    ax.errorbar(
        by_value.index, by_value["mean"], yerr=by_value["std"].fillna(0), elinewidth=0.6, capsize=1.2, marker=".",
        markersize=3, **look,
    )  # fmt: skip
