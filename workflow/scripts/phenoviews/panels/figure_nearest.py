"""The images nearest each centroid, one panel per encoder (*No Free Lunch*, figures 2, 9 and 10)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from phenoviews.panels.records import class_names, titles
from phenoviews.panels.style import SMALL, WIDTH, label_scale, style, wrapped


def draw(panel: Mapping[str, Any], files: Mapping[str, Sequence[str]]) -> Figure:
    """The figure of a panel as the study declares it, from one file per run of each of index, clusters and images."""
    runs = zip(titles(panel), files["clusters"], files["images"], strict=True)
    panels = [
        {"title": title, "clusters": pd.read_parquet(clusters), "images": np.load(images, mmap_mode="r")}
        for title, clusters, images in runs
    ]
    across = math.prod(len(panel["runs"][key]) for key in panel["columns"])
    names, note = class_names(files["index"][0]), panel["scale"]["note"]
    return figure(panels, names, across, panel["images"], panel["class_word"], note)


def figure(
    panels: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
    columns: int,
    nearest: int = 10,
    class_word: str = "class",
    note: str = "",
) -> Figure:
    """Draw one panel per clustering: a row of images per cluster, the nearest to its centroid first.

    Args:
        panels: one dict per panel, in reading order: title; images (N, H, W, C) uint8 or uint16, C = 1 or 3,
            indexed by the table's rows (a memory map is fine); clusters, a table with row, cluster, distance
            and label.
        classes: name of each label.
        columns: panels per line.
        nearest: images per cluster.
        class_word: what a class is called, such as "digit".
        note: see `style.label_scale`.

    Beside each row stand the cluster's most frequent class, the share of the cluster that is of it, and the
    number of images in it. Rows are ordered by that class.
    """
    rows = [summary(entry["clusters"]) for entry in panels]
    k = max(map(len, rows))
    lines = -(-len(panels) // columns)
    # Everything in inches: images are square, and the page's width is what there is to share.
    words = [_words(of, classes) for of in rows]
    text = 0.05 * max(len(part) for of in words for word in of for part in word.split("\n")) + 0.05
    above = len(wrapped(note).splitlines())
    top, between, bottom = 0.05 + 0.15 * above, 0.1, 0.2
    title = 0.1 + 0.12 * max(entry["title"].count("\n") + 1 for entry in panels)
    cell = WIDTH / columns
    side = (cell - text - 0.05) / nearest
    height = top + lines * (title + k * side) + (lines - 1) * between + bottom
    with style():
        fig = Figure(figsize=(WIDTH, height))
        for number, (entry, of, names) in enumerate(zip(panels, rows, words, strict=True)):
            down, across = divmod(number, columns)
            left, upper = across * cell, height - top - down * (title + k * side + between)
            low = upper - title - len(of) * side
            box = (left + text, low, nearest * side, len(of) * side)
            ax = fig.add_axes([box[0] / WIDTH, box[1] / height, box[2] / WIDTH, box[3] / height])
            picture = mosaic(entry["images"], entry["clusters"], of["cluster"], nearest)
            ax.imshow(picture, interpolation="nearest", extent=(0, nearest, len(of), 0), aspect="auto")
            ax.set_yticks(np.arange(len(of)) + 0.5, names, linespacing=0.95)
            ax.set_xticks([])
            ax.tick_params(length=0, pad=2)
            ax.spines[:].set_visible(False)
            ax.set_title(entry["title"], loc="left", x=-text / box[2] + 0.02, pad=3)
        fig.text(
            0.01,
            0.06 / height,
            f"Beside each cluster: most frequent {class_word}, its share of the cluster, images in it. "
            f"From the left: the {nearest} images nearest the centroid.",
            fontsize=SMALL,
        )
        label_scale(fig, note)
        return fig


def _words(rows: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """What stands beside each row: on one line where the class names are short, as digits are."""
    link = "\n" if max(map(len, classes)) > 2 else " · "
    return [f"{classes[row.label]}{link}{row.purity:.0%} · {row.size:,}" for row in rows.itertuples(index=False)]


def summary(clusters: pd.DataFrame) -> pd.DataFrame:
    """One line per cluster: cluster, label (the most frequent, the lowest at a tie), purity in [0, 1], size.

    Ordered by label, then purity, the purest first.
    """
    lines = []
    for cluster, group in clusters.groupby("cluster"):
        counts = group["label"].value_counts(sort=False).sort_index()
        lines.append((cluster, counts.idxmax(), counts.max() / len(group), len(group)))
    table = pd.DataFrame(lines, columns=["cluster", "label", "purity", "size"])
    return table.sort_values(["label", "purity"], ascending=[True, False], ignore_index=True)


def mosaic(images: np.ndarray, clusters: pd.DataFrame, order: Sequence[int], nearest: int) -> np.ndarray:
    """The `nearest` images of each cluster in `order`, as one picture with white gaps.

    Returns (rows, columns, 3) float in [0, 1]; a cluster with fewer images leaves white. 8-bit images are shown as they
    are; of 16-bit ones each channel is stretched to its 99.5th percentile among the pixels shown.
    """
    _, height, width, channels = images.shape
    gap = max(1, round(0.06 * width))
    picture = np.ones((len(order) * (height + gap) - gap, nearest * (width + gap) - gap, 3))
    chosen = [
        clusters[clusters["cluster"] == cluster].sort_values(["distance", "row"])["row"].to_numpy()[:nearest]
        for cluster in order
    ]
    shown = np.concatenate([images[rows] for rows in chosen]).astype(float)
    bright = 255 if images.dtype == np.uint8 else np.percentile(shown, 99.5, axis=(0, 1, 2)).clip(1)
    each = iter((shown / bright).clip(0, 1))
    for down, rows in enumerate(chosen):
        for across in range(len(rows)):
            y, x = down * (height + gap), across * (width + gap)
            image = next(each)
            picture[y : y + height, x : x + width] = image if channels == 3 else image[..., :1]
    return picture
