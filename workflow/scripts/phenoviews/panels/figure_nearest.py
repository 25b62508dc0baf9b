"""The images nearest each centroid, one panel per encoder (*No Free Lunch*, figures 2, 9 and 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from phenoviews.panels.style import SMALL, WIDTH, label_scale, style


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
    lines = -(-len(panels) // columns)
    with style():
        heights = [max(entry["clusters"]["cluster"].nunique() for entry in panels)] * lines
        text = 0.62  # inches for the words beside a row
        side = (WIDTH / columns - text - 0.08) / nearest  # inches of one image
        fig = Figure(figsize=(WIDTH, 0.3 + sum(k * side + 0.42 for k in heights)), layout="constrained")
        axes = fig.subplots(lines, columns, squeeze=False)
        for ax in axes.flat[len(panels) :]:
            ax.remove()
        for ax, entry in zip(axes.flat, panels, strict=False):
            rows = summary(entry["clusters"])
            picture = mosaic(entry["images"], entry["clusters"], rows["cluster"], nearest)
            ax.imshow(
                picture,
                cmap="gray",
                vmin=0,
                vmax=1,
                interpolation="nearest",
                extent=(0, nearest, len(rows), 0),
            )
            ax.set_title(entry["title"], loc="left")
            names = [
                f"{classes[line.label]} · {line.purity:.0%} · {line.size}" for line in rows.itertuples(index=False)
            ]
            ax.set_yticks(np.arange(len(rows)) + 0.5, names)
            ax.set_xticks([])
            ax.tick_params(length=0, pad=2)
            for spine in ax.spines.values():
                spine.set_visible(False)
        fig.supxlabel(
            f"one row per cluster: most frequent {class_word} · its share of the cluster · images in it; "
            f"then the {nearest} images nearest the centroid, the nearest first",
            fontsize=SMALL,
        )
        label_scale(fig, note)
        return fig


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

    Returns (rows, columns, 3) float in [0, 1]; a cluster with fewer images leaves white. 16-bit images are
    scaled by the brightest value shown.
    """
    _, height, width, channels = images.shape
    gap = max(1, round(0.06 * width))
    picture = np.ones((len(order) * (height + gap) - gap, nearest * (width + gap) - gap, 3))
    chosen = [
        clusters[clusters["cluster"] == cluster].sort_values(["distance", "row"])["row"].to_numpy()[:nearest]
        for cluster in order
    ]
    top = 255 if images.dtype == np.uint8 else max(1, max(int(images[rows].max()) for rows in chosen))
    for down, rows in enumerate(chosen):
        for across, row in enumerate(rows):
            image = np.asarray(images[row], dtype=float) / top
            y, x = down * (height + gap), across * (width + gap)
            picture[y : y + height, x : x + width] = image if channels == 3 else image[..., :1]
    return picture
