"""The picture of a plate's nuclei: some fields with their nuclei outlined, and all fields by number and focus."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from scipy import ndimage
from skimage.segmentation import find_boundaries

from phenoviews.cells.illumination import correct
from phenoviews.cells.segmentation import segment
from phenoviews.panels.style import SMALL, WARNING, WIDTH, style

SPREAD_FIELDS = 3  # shown beside the extreme ones
MARK = (255, 60, 0)


def chosen(quality: pd.DataFrame) -> dict[str, str]:
    """Which fields of a plate to show, and why: {Metadata_Field: reason}. Not those that cannot be read.

    They are some that are spread over the plate, and the one with the fewest nuclei, the most, the least focus.
    """
    quality = quality[quality["left_out"] == ""]
    spread = np.linspace(0, len(quality) - 1, SPREAD_FIELDS + 2).round().astype(int)[1:-1]
    reasons = {f"field {row + 1}": row for row in spread}
    reasons |= {"fewest nuclei": quality["count"].argmin(), "most nuclei": quality["count"].argmax()}
    if quality["focus"].notna().any():
        reasons["least focus"] = quality["focus"].argmin()
    of_field: dict[str, list[str]] = defaultdict(list)
    for reason, row in reasons.items():
        of_field[quality["Metadata_Field"].iloc[row]].append(reason)
    return {field: ", ".join(every) for field, every in of_field.items()}


def views(
    fields: Iterable[tuple[pd.Series, np.ndarray]],
    why: Mapping[str, str],
    function: np.ndarray,
    nuclei: pd.DataFrame,
    params: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    """The fields to show, by their titles: (H, W, 3) uint8.

    Args:
        fields: row of the screen's table and (1, H, W) DNA image of each field to show, as `Source.fields` yields them.
        why: the reason for each field, as `chosen` gives it.
        function: (1, H, W), the plate's illumination function of DNA.
        nuclei: the plate's table of nuclei. Detected ones are segmented again, since no file keeps their outlines;
            provided centres, which have no area, are dots.
        params: see `segment`.
    """
    provided = nuclei["area"].isna().all()
    shown = {}
    for row, image in fields:
        dna = correct(image, function)[0]
        found = nuclei[nuclei["Metadata_Field"] == row["Metadata_Field"]]
        mark = dots(found, dna.shape) if provided else outlines(segment(dna, params))
        title = f"{row['Metadata_Well']} site {row['Metadata_Site']}: {len(found)} nuclei"
        shown[f"{title} ({why[row['Metadata_Field']]})"] = marked(dna, mark)
    return shown


def outlines(labels: np.ndarray) -> np.ndarray:
    """(H, W) bool: the borders of labelled nuclei, three pixels wide so that they are seen at half the field's size."""
    mark: np.ndarray = ndimage.binary_dilation(find_boundaries(labels, mode="inner"))
    return mark


def dots(centres: pd.DataFrame, shape: tuple[int, ...]) -> np.ndarray:
    """(H, W) bool: a dot at each x, y of a table."""
    mark = np.zeros(shape, bool)
    # A centre may lie up to half a pixel beyond the centre of the last pixel.
    rows, columns = (
        centres[name].round().clip(0, side - 1).astype(int) for name, side in zip("yx", shape, strict=True)
    )
    mark[rows, columns] = True
    dots: np.ndarray = ndimage.binary_dilation(mark, iterations=5)
    return dots


def marked(dna: np.ndarray, mark: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: the field in grey (square root, so that dim nuclei show), with the mark (H, W) in orange."""
    low, high = np.percentile(dna, (1, 99.8))
    grey = np.sqrt(np.clip((dna - low) / max(high - low, 1), 0, 1))
    image = np.repeat((200 * grey).astype(np.uint8)[..., None], 3, axis=2)
    image[mark] = MARK
    return image


def picture(shown: Mapping[str, np.ndarray], quality: pd.DataFrame, plate: str = "") -> Figure:
    """`views` by their titles, and of all fields the number of nuclei per well and against the focus."""
    lines = -(-len(shown) // 2)
    height, width = next(iter(shown.values())).shape[:2]
    field = WIDTH / 2 * height / width + 0.2
    with style():
        figure = Figure(figsize=(WIDTH, 2.4 + lines * field), layout="constrained")
        above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[2.4, lines * field]).ravel()
        wells, scatter = above.subplots(1, 2, width_ratios=[3, 2])
        plate_map(above, wells, quality)
        good = ~(quality["empty"] | quality["out_of_focus"] | (quality["left_out"] != ""))
        scatter.scatter(quality["count"][good], quality["focus"][good], s=6, alpha=0.5, linewidths=0)
        blurred = quality[quality["out_of_focus"]]
        scatter.scatter(blurred["count"], blurred["focus"], s=10, color=WARNING, marker="x", label="out of focus")
        scatter.set(xlabel="nuclei per field", ylabel="focus (higher is sharper)", xlim=(0, None))
        if len(blurred):
            scatter.legend(frameon=False)
        above.suptitle(f"{plate}: {_summary(quality)}".strip(": "), fontsize=SMALL + 2, x=0.01, ha="left")
        for ax in (axes := below.subplots(lines, 2, squeeze=False)).ravel():
            ax.set_axis_off()
        for ax, (title, image) in zip(axes.ravel(), shown.items(), strict=False):
            ax.imshow(image, interpolation="antialiased")
            ax.set_title(title, fontsize=SMALL, loc="left", pad=2)
    return figure


def _summary(quality: pd.DataFrame) -> str:
    area, left_out = quality["median_area"].median(), (quality["left_out"] != "").sum()
    return (
        f"{len(quality)} fields, {quality['count'].sum():,} nuclei"
        + (f", median area {area:.0f} px" if np.isfinite(area) else "")
        + f"; {quality['empty'].sum()} fields empty, {quality['out_of_focus'].sum()} out of focus"
        + (f", {left_out} cannot be read" if left_out else "")
    )


def plate_map(figure: Figure | SubFigure, ax: Axes, quality: pd.DataFrame) -> None:
    """The mean number of nuclei per field of each well, in the plate's rows and columns."""
    readable = quality[quality["left_out"] == ""]
    wells = {str(well): count for well, count in readable.groupby("Metadata_Well")["count"].mean().items()}
    # Two digits of the column; before them one letter, on plates of more than 26 rows also two. Positions that are no
    # wells stand in one row.
    plate = all(re.fullmatch(r"[A-Z]{1,2}\d\d", name) for name in wells)
    place = {name: (name[:-2], str(int(name[-2:]))) if plate else ("", name) for name in wells}
    names = sorted({row for row, _ in place.values()}, key=lambda row: (len(row), row))
    columns = sorted({column for _, column in place.values()}, key=int if plate else str)
    grid = np.full((len(names), len(columns)), np.nan)
    for well, count in wells.items():
        row, column = place[well]
        grid[names.index(row), columns.index(column)] = count
    shown = ax.imshow(grid, vmin=0)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(length=0)
    ax.set_title("nuclei per field, mean of each well", loc="left")
    figure.colorbar(shown, ax=ax, shrink=0.8)
