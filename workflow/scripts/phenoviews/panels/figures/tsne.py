"""Maps of embeddings, coloured by cluster above and by class below (*No Free Lunch*, figure 1)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from scipy.optimize import linear_sum_assignment

from phenoviews.panels.records import class_names, of_run, titles, why_none
from phenoviews.panels.style import SMALL, WIDTH, colour, label_scale, style

SCORES = ("ami", "silhouette")
GLYPHS = 600  # class names drawn on one map at most; more cannot be read


def draw(panel: Mapping[str, Any], records: pd.DataFrame, files: Mapping[str, Sequence[str]]) -> Figure:
    """The figure of a panel as the study declares it, from one file per run of each of index, map and points."""
    maps = []
    for run, title, places, points in zip(panel["each"], titles(panel), files["map"], files["points"], strict=True):
        found = of_run(records, run)
        found = found[found["metric"].isin(SCORES)]
        maps.append(
            {
                "title": title,
                "numbers": found.set_index("metric")["value"].to_dict(),
                "reason": why_none(found),
            }
        )
        if not maps[-1]["reason"]:
            maps[-1] |= {"map": pd.read_parquet(places), "clusters": pd.read_parquet(points)}
    # Where there is no map at all, the data may not be there either.
    drawn = [index for entry, index in zip(maps, files["index"], strict=True) if not entry["reason"]]
    return figure(maps, class_names(drawn[0]) if drawn else [], panel["class_word"], panel["scale"]["note"])


def figure(
    maps: Sequence[Mapping[str, Any]], classes: Sequence[str], class_word: str = "class", note: str = ""
) -> Figure:
    """Draw the maps side by side, each twice.

    Args:
        maps: one dict per column: title; reason, why there is no map, or ""; without a reason map, a table with row,
            x and y; clusters, a table with row, cluster and label; numbers, ami and silhouette of that clustering (over
            all points, not only those mapped).
        classes: name of each label; names of one character are drawn as the points themselves.
        class_word: what a class is called, such as "digit".
        note: see `style.label_scale`.

    A cluster has the colour of the class that the best one-to-one assignment gives it: where the clusters
    follow the classes, both rows look alike.
    """
    with style():
        fig = Figure(figsize=(WIDTH, 0.4 + 2 * (WIDTH - 1.0) / max(len(maps), 2)), layout="constrained")
        axes = fig.subplots(2, len(maps), squeeze=False, sharex="col", sharey="col")
        colours = []
        for number, entry in enumerate(maps):
            above, below = axes[:, number]
            if reason := entry["reason"]:
                above.set_title(f"{'abcdefghij'[number]}  {entry['title']}", loc="left")
                above.text(0.5, 0.5, textwrap.fill(f"no map: {reason}", 30), ha="center", transform=above.transAxes)
                for ax in (above, below):
                    ax.set(xticks=[], yticks=[], box_aspect=1)
                continue
            points, numbers = entry["map"].merge(entry["clusters"], on="row"), entry["numbers"]
            scores = f"AMI {numbers['ami']:.2f}, silhouette {numbers['silhouette']:.2f}"
            above.set_title(f"{'abcdefghij'[number]}  {entry['title']}: {scores}", loc="left")
            matched = match(points, len(classes))
            colours += list(matched.unique())
            above.scatter(points["x"], points["y"], s=_area(points), c=matched.map(colour), linewidths=0)
            _draw_classes(below, points, classes)
            below.set_xlabel("t-SNE 1 (a.u.)")
            for ax in (above, below):
                ax.set_ylabel("t-SNE 2 (a.u.)")
                ax.set_box_aspect(1)
                ax.tick_params(length=0, labelbottom=False, labelleft=False)
        others = [f"other {number + 1}" for number in range(max(colours, default=0) + 1 - len(classes))]
        _legend(axes[0, -1], f"K-means cluster,\nby the {class_word} it\nis matched to", [*classes, *others])
        _legend(axes[1, -1], class_word, classes)
        label_scale(fig, note)
        return fig


def match(points: pd.DataFrame, classes: int) -> pd.Series:
    """The class that each point's cluster is matched to; clusters that get none are numbered from `classes`."""
    counts = pd.crosstab(points["cluster"], points["label"]).reindex(columns=range(classes), fill_value=0)
    rows, columns = linear_sum_assignment(counts.to_numpy(), maximize=True)
    number = dict(zip(counts.index[rows], columns, strict=True))
    left = [cluster for cluster in counts.index if cluster not in number]
    number |= {cluster: classes + extra for extra, cluster in enumerate(left)}
    return points["cluster"].map(number)


def _draw_classes(ax: Axes, points: pd.DataFrame, classes: Sequence[str]) -> None:
    glyphs = all(len(name) == 1 for name in classes)
    shown = np.zeros(len(points), bool)
    shown[:: -(-len(points) // GLYPHS)] = glyphs
    colours = points["label"].map(colour)
    dots = points[~shown]
    ax.scatter(dots["x"], dots["y"], s=_area(points), c=colours[~shown], alpha=0.5 if glyphs else 1, linewidths=0)
    for label, name in enumerate(classes):
        of = points[shown & (points["label"] == label).to_numpy()]
        ax.scatter(of["x"], of["y"], s=18, c=colour(label), marker=_glyph(name), linewidths=0.25)


def _glyph(character: str) -> MarkerStyle:
    """A character as a marker, its middle on the point."""
    path = TextPath((0, 0), character)
    middle = path.get_extents().get_points().mean(axis=0)
    return MarkerStyle(Path(path.vertices - middle, path.codes))


def _legend(ax: Axes, title: str, names: Sequence[str]) -> None:
    handles = [
        Line2D([], [], ls="", marker="o", markersize=4, mew=0, color=colour(number), label=name)
        for number, name in enumerate(names)
    ]
    ax.legend(
        handles=handles, title=title, title_fontsize=SMALL, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False
    )


def _area(points: pd.DataFrame) -> float:
    """Marker area in square points: less where there are more points, so that clusters stay apart."""
    return float(np.clip(5000 / len(points), 1.5, 10))
