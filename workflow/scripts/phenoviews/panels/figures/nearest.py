"""The images nearest each centroid, one panel per encoder (*No Free Lunch*, figures 2, 9 and 10)."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from phenoviews.data.images import BRIGHTEST
from phenoviews.errors import UserError
from phenoviews.panels.records import class_names, of_run, titles, why_none
from phenoviews.panels.style import SMALL, WIDTH, label_scale, style, wrapped
from phenoviews.study.colours import PAINTS, UNSEEN

CONTROL, PHENOTYPE = "Metadata_Control", "Metadata_Phenotype"


def draw(panel: Mapping[str, Any], records: pd.DataFrame, files: Mapping[str, Sequence[str]]) -> Figure:
    """The figure of a panel as the study declares it, from one file per run of each of index, points and images. Of
    cells (an index that says which are controls) it tells the share that is treated, and their true phenotypes where
    the index has them."""
    runs = zip(panel["each"], titles(panel), *(files[name] for name in ("index", "points", "images")), strict=True)
    panels = []
    for run, title, index, points, images in runs:
        found = of_run(records, run)
        reason = why_none(found[found["metric"] == "ami"])
        entry = {"title": title, "classes": [], "reason": reason}
        if not reason:
            entry["classes"] = class_names(index)
            table = pd.read_parquet(index)
            table = table[[name for name in (CONTROL, PHENOTYPE) if name in table]]
            entry["clusters"] = pd.read_parquet(points).join(table, on="row")
            entry["images"] = np.load(images, mmap_mode="r", allow_pickle=False)
        panels.append(entry)
    across = math.prod(len(names) for axis, names in panel["runs"].items() if axis in panel["columns"])
    return figure(
        panels, across, panel["images"], panel["class_word"], panel["scale"]["note"], panel.get("channels", {})
    )


def figure(
    panels: Sequence[Mapping[str, Any]],
    columns: int,
    nearest: int = 10,
    class_word: str = "class",
    note: str = "",
    channels: Mapping[str, str] | None = None,
) -> Figure:
    """Draw one panel per clustering: a row of images per cluster, the nearest to its centroid first.

    Args:
        panels: one dict per panel, in reading order: title; classes, the name of each label; and either reason (why
            there are no clusters) or images (N, H, W, C) uint8 or uint16, indexed by the table's rows (a memory map
            is fine), and clusters, a table with row, cluster, distance and label, of cells also Metadata_Control
            (bool) and perhaps Metadata_Phenotype.
        columns: panels per line.
        nearest: images per cluster.
        class_word: what a class is called, such as "digit".
        note: see `style.label_scale`.
        channels: the name of each channel and its colour (one of `PAINTS`); without it C is 1 (grey) or 3 (RGB).

    Beside each row stand what its images are and how many: of cells the share that is treated and the true phenotypes,
    else the most frequent class and its share. Rows are ordered by that.

    Raises:
        UserError: not as many colours as the images have channels.
    """
    rows = [None if entry.get("reason") else summary(entry["clusters"]) for entry in panels]
    words = [[] if of is None else _words(of, entry["classes"]) for of, entry in zip(rows, panels, strict=True)]
    k = max((len(of) for of in rows if of is not None), default=2)
    lines = -(-len(panels) // columns)
    # Everything in inches: images are square, and the page's width is what there is to share.
    text = 0.05 * max((len(part) for of in words for word in of for part in word.split("\n")), default=0) + 0.05
    tall = max((word.count("\n") + 1 for of in words for word in of), default=1) * 0.11
    above = len(wrapped(note).splitlines())
    top, between, bottom = 0.05 + 0.15 * above, 0.1, 0.38 if channels else 0.2
    title = 0.1 + 0.12 * max(entry["title"].count("\n") + 1 for entry in panels)
    cell = WIDTH / columns
    side = (cell - text - 0.05) / nearest
    row = max(side, tall)
    height = top + lines * (title + k * row) + (lines - 1) * between + bottom
    with style():
        fig = Figure(figsize=(WIDTH, height))
        for number, (entry, of, names) in enumerate(zip(panels, rows, words, strict=True)):
            down, across = divmod(number, columns)
            left, upper = across * cell, height - top - down * (title + k * row + between)
            count = k if of is None else len(of)
            box = (left + text, upper - title - count * row, nearest * side, count * row)
            ax = fig.add_axes((box[0] / WIDTH, box[1] / height, box[2] / WIDTH, box[3] / height))
            ax.set(xticks=[], yticks=[], xlim=(0, nearest * side), ylim=(count * row, 0))
            ax.tick_params(length=0, pad=2)
            ax.spines[:].set_visible(False)
            ax.set_title(entry["title"], loc="left", x=-text / box[2] + 0.02, pad=3)
            if of is None:
                reason = textwrap.fill(f"no clusters: {entry['reason']}", int(cell / 0.07))
                ax.text(0.1 - text, 0.1, reason, va="top", fontsize=SMALL)
                continue
            order = of["cluster"].tolist()
            for place, strip in enumerate(strips(entry["images"], entry["clusters"], order, nearest, channels)):
                shown = strip.shape[0] / strip.shape[1] * nearest * side
                upper = place * row + (row - shown) / 2
                extent = (0, nearest * side, upper + shown, upper)
                ax.imshow(strip, interpolation="nearest", extent=extent, aspect="auto")
            ax.set(xlim=(0, nearest * side), ylim=(count * row, 0))
            ax.set_yticks((np.arange(count) + 0.5) * row, names, linespacing=0.95)
        beside = f"most frequent {class_word}, its share of the cluster, images in it"
        if any("treated" in of for of in rows if of is not None):
            beside = "share of treated cells, number of cells"
        if any("phenotypes" in of for of in rows if of is not None):
            beside += ", the most frequent true phenotypes"
        caption = f"Beside each cluster: {beside}. From the left: the {nearest} images nearest the centroid."
        fig.text(0.01, (bottom - 0.14) / height, caption, fontsize=SMALL)
        if channels:
            paints = [Patch(color=PAINTS[colour], label=name) for name, colour in channels.items() if colour != UNSEEN]
            fig.legend(handles=paints, loc="lower left", ncols=len(paints), frameon=False, handlelength=1)
        label_scale(fig, note)
        return fig


def _words(rows: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """What stands beside each row: on one line where the class names are short, as digits are."""
    if "treated" in rows:
        words = [f"{row['treated']:.0%} treated\nn = {row['size']:,}" for row in rows.to_dict("records")]
        truth: list[list[tuple[str, float]]] = list(rows.get("phenotypes", [[]] * len(rows)))
        return [
            "\n".join([word, *(f"{name} {share:.0%}" for name, share in of)])
            for word, of in zip(words, truth, strict=True)
        ]
    link = "\n" if max(map(len, classes)) > 2 else " · "
    lines = rows[["label", "purity", "size"]].itertuples(index=False, name=None)
    return [f"{classes[label]}{link}{purity:.0%} · {size:,}" for label, purity, size in lines]


def summary(clusters: pd.DataFrame) -> pd.DataFrame:
    """One line per cluster: cluster, label (the most frequent, the lowest at a tie), purity in [0, 1], size.

    Ordered by label, then purity, the purest first. Of cells (`Metadata_Control`) also treated, the share in [0, 1]
    that are no controls, by which they are then ordered; and where they are known (`Metadata_Phenotype`) phenotypes,
    the two most frequent with their shares.
    """
    lines = []
    for cluster, group in clusters.groupby("cluster"):
        counts = group["label"].value_counts(sort=False).sort_index()
        line: dict[str, Any] = {"cluster": cluster, "label": counts.idxmax(), "purity": counts.max() / len(group)}
        line["size"] = len(group)
        if CONTROL in group:
            line["treated"] = 1 - group[CONTROL].mean()
        if PHENOTYPE in group:
            shares = (
                group[PHENOTYPE].value_counts(normalize=True).sort_index().sort_values(ascending=False, kind="stable")
            )
            line["phenotypes"] = list(shares.head(2).items())
        lines.append(line)
    table = pd.DataFrame(lines)
    order = ["treated", "cluster"] if "treated" in table else ["label", "purity"]
    return table.sort_values(order, ascending=[True, "treated" in table], ignore_index=True)


def strips(
    images: np.ndarray,
    clusters: pd.DataFrame,
    order: Sequence[int],
    nearest: int,
    channels: Mapping[str, str] | None = None,
) -> list[np.ndarray]:
    """The `nearest` images of each cluster in `order`, side by side with white gaps.

    Returns one (height, width, 3) float in [0, 1] per cluster; one with fewer images leaves white. 8-bit images are
    shown as they are; of 16-bit ones each channel is stretched to its 99.5th percentile among the pixels shown.
    """
    _, height, width, _ = images.shape
    gap = max(1, round(0.06 * width))
    chosen = [
        clusters[clusters["cluster"] == cluster].sort_values(["distance", "row"])["row"].to_numpy()[:nearest]
        for cluster in order
    ]
    shown = np.concatenate([images[rows] for rows in chosen]).astype(float)
    bright = 255 if images.dtype == np.uint8 else np.percentile(shown, BRIGHTEST, axis=(0, 1, 2)).clip(1)
    each = iter(paint((shown / bright).clip(0, 1), channels))
    found = []
    for rows in chosen:
        strip = np.ones((height, nearest * (width + gap) - gap, 3))
        for across in range(len(rows)):
            x = across * (width + gap)
            strip[:, x : x + width] = next(each)
        found.append(strip)
    return found


def paint(images: np.ndarray, channels: Mapping[str, str] | None = None) -> np.ndarray:
    """Images (..., C) in [0, 1] as RGB (..., 3): each channel in its colour, the colours added."""
    count = images.shape[-1]
    if not channels and count in (1, 3):
        return np.broadcast_to(images, (*images.shape[:-1], 3))
    channels = channels or {}
    if len(channels) != count:
        raise UserError(
            f"{len(channels)} colours for images of {count} channels; say how many there are in the entry of the data "
            f"set, `channels: {count}`"
        )
    colours = np.array([PAINTS[colour] for colour in channels.values()])
    painted: np.ndarray = np.clip(images @ colours, 0, 1)
    return painted
