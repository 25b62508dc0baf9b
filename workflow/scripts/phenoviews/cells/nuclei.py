"""Nuclei: where they are in each corrected field, and what the plate's quality is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.fft
from matplotlib.figure import Figure
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import find_boundaries, watershed
from tqdm import tqdm

from phenoviews.cells.illumination import correct
from phenoviews.errors import UserError
from phenoviews.files import atomic, write_json
from phenoviews.panels.style import SMALL, WARNING, WIDTH, style

PLACE = ("Metadata_Plate", "Metadata_Well", "Metadata_Site")
VALUES = 1 << 16  # of a 16-bit image
WORKING = 20  # pixels: nuclei are looked for in the field shrunk to about this diameter, for speed
PIECE = 0.3  # of a typical nucleus: what is cut off of a nucleus and smaller is rather a lobe of it
FOCUS_SPREAD = 0.25  # the least spread of a plate's focus that counts: a plate of nearly equal fields has no outliers
SPREAD_FIELDS = 3  # in the overlay, beside the extreme ones


# --- one field ---


def nuclei(dna: np.ndarray, params: Mapping[str, Any]) -> pd.DataFrame:
    """The nuclei of one field: x, y (column and row of the centroid, pixels, 0 is the first pixel's centre) and area
    (pixels), from top to bottom. See `segment`."""
    return measured(segment(dna, params))


def segment(dna: np.ndarray, params: Mapping[str, Any]) -> np.ndarray:
    """Label the nuclei of one field.

    What is brighter than its surroundings and than the field's threshold (Otsu's, of the logarithm) is nucleus.
    Touching nuclei are cut apart by a watershed from the summits of roundness and brightness together (the distance to
    the border, and the Laplacian of Gaussian of the logarithm); what is too small for a nucleus is not cut off.

    Args:
        dna: (H, W), the DNA channel, corrected; 0 is no data.
        params: `diameter`, of a typical nucleus in pixels: every scale follows it; `least_area` of a nucleus as a
            fraction of the area of a disc of that diameter; `contrast`, how many times brighter than the field's
            background nuclei are at least, so that a field without any stays empty.

    Returns:
        (H, W) int32, 0 for the background, 1 to n.
    """
    shrink = max(1, int(params["diameter"] / WORKING))
    height, width = dna.shape
    padded = np.pad(dna, ((0, -height % shrink), (0, -width % shrink)), mode="edge")
    small = padded.reshape(padded.shape[0] // shrink, shrink, -1, shrink).mean(axis=(1, 3), dtype=np.float32)
    labels = _segment(small, params["diameter"] / shrink, params["least_area"], params["contrast"])
    return labels.repeat(shrink, axis=0).repeat(shrink, axis=1)[:height, :width]


def _segment(dna: np.ndarray, diameter: float, least_area: float, contrast: float) -> np.ndarray:
    smooth = ndimage.gaussian_filter(dna, 0.03 * diameter)
    nothing = np.zeros(dna.shape, np.int32)
    seen = smooth[dna > 0]
    if not seen.size or seen.min() == seen.max():
        return nothing
    # Of the logarithm, so that a few very bright nuclei do not lift the threshold above the dim ones.
    threshold = np.exp(threshold_otsu(np.log(np.maximum(seen, 1))))
    # Of an empty field the threshold cuts the noise in two.
    if smooth[smooth > threshold].mean() < contrast * np.median(seen[seen <= threshold]):
        return nothing
    bright = (smooth > threshold) & (smooth > ndimage.gaussian_filter(smooth, 0.75 * diameter))
    bright = ndimage.binary_fill_holes(ndimage.binary_opening(bright, iterations=max(1, round(0.05 * diameter))))
    if not bright.any():
        return nothing

    inside = ndimage.gaussian_filter(ndimage.distance_transform_edt(bright), 0.05 * diameter)
    blob = -ndimage.gaussian_laplace(np.log(np.maximum(smooth, 1)), 0.15 * diameter)
    height = inside / (0.25 * diameter) + 0.25 * blob / max(np.percentile(blob[bright], 90), 1e-6)
    summits = peak_local_max(
        height, min_distance=max(1, round(0.3 * diameter)), labels=bright.astype(np.int32), exclude_border=False
    )
    seeds = nothing.copy()
    seeds[tuple(summits.T)] = np.arange(1, len(summits) + 1)
    typical = np.pi / 4 * diameter**2
    labels = _joined(watershed(-height, seeds, mask=bright), PIECE * typical, typical)
    areas = np.bincount(labels.ravel(), minlength=len(summits) + 1)
    large = areas >= least_area * typical
    large[0] = False
    return np.where(large, np.cumsum(large), 0).astype(np.int32)[labels]


def _joined(labels: np.ndarray, piece: float, most: float) -> np.ndarray:
    """Undo cuts that left less than `piece` pixels on one side and would make no more than `most` together.

    Such pieces are lobes of one nucleus; each, the smallest first, joins the neighbour that it shares most border with.
    """
    area = np.bincount(labels.ravel())
    borders: dict[int, Counter] = defaultdict(Counter)  # of each label: how many pixels of border with which others
    for first, second in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        touch = (first != second) & (first > 0) & (second > 0)
        for (one, other), count in Counter(zip(first[touch].tolist(), second[touch].tolist(), strict=True)).items():
            borders[one][other] += count
            borders[other][one] += count
    owner = np.arange(len(area))
    for one in sorted(borders, key=lambda label: (area[label], label)):
        fits = {other: count for other, count in borders[one].items() if area[other] + area[one] <= most}
        if area[one] >= piece or not fits:
            continue
        into = max(fits, key=lambda other: (fits[other], other))
        owner[owner == one] = into
        area[into] += area[one]
        for other, count in borders.pop(one).items():
            del borders[other][one]
            if other != into:
                borders[other][into] += count
                borders[into][other] += count
    return owner[labels]


def measured(labels: np.ndarray) -> pd.DataFrame:
    """x, y and area of each label 1 to n of (H, W), from top to bottom."""
    area = np.bincount(labels.ravel())
    rows, columns = np.nonzero(labels)
    owner = labels[rows, columns]
    x, y = (np.bincount(owner, values, len(area))[1:] / area[1:] for values in (columns, rows))
    table = pd.DataFrame({"x": x, "y": y, "area": area[1:].astype(np.int64)})
    return table.sort_values(["y", "x"], ignore_index=True)


def focus(image: np.ndarray, diameter: float) -> float:
    """How sharp the nuclei are: the slope of log power over log frequency at periods of 1 to 1/5 diameter.

    Sharp nuclei give about -4, blurred ones less. The power log-log slope of Field & Brady (1997), recommended for
    microscopy by Bray et al., J Biomol Screen 17, 266 (2012), here at the scales of nuclei only: at finer ones the
    camera's noise decides, at coarser ones the number of cells. NaN where the image is even or too small for it.
    """
    # The window takes the jump between opposite borders out of the spectrum.
    image = (image - image.mean()) * np.hanning(image.shape[0])[:, None] * np.hanning(image.shape[1])
    power = np.abs(scipy.fft.rfft2(image.astype(np.float32))) ** 2
    frequency = np.hypot(scipy.fft.fftfreq(image.shape[0])[:, None], scipy.fft.rfftfreq(image.shape[1]))
    edges = np.geomspace(1 / diameter, min(5 / diameter, 0.5), 9)
    ring = np.digitize(frequency.ravel(), edges)
    count, total, where = (np.bincount(ring, of, 10)[1:9] for of in (None, power.ravel(), frequency.ravel()))
    if not (count.all() and total.all()):
        return float("nan")
    return float(np.polyfit(np.log(where / count), np.log(total / count), 1)[0])


# --- one plate ---


def provided(path: str | Path, fields: pd.DataFrame) -> pd.DataFrame:
    """Centres that the user brings, in place of detected ones.

    Args:
        path: a CSV with x, y (pixels, 0 is the first pixel's centre) and the field: Metadata_Field, or Metadata_Plate,
            Metadata_Well and Metadata_Site (also as plate, well and site).
        fields: the screen's table.

    Returns:
        Metadata_Field, x, y of all rows, in their order.
    """
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(("Metadata_Field", *PLACE[:2], "plate", "well"), str))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as CSV ({error}); check the screen's `locations`") from error
    table = table.rename(columns={name.removeprefix("Metadata_").lower(): name for name in PLACE})
    if missing := {"x", "y"} - set(table):
        raise UserError(f"{path}: lacks the column {min(missing)}; it needs x and y of each nucleus in pixels")
    for name in ("x", "y"):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    if "Metadata_Field" not in table:
        if missing := [name for name in PLACE if name not in table]:
            raise UserError(f"{path}: lacks the column {missing[0]}; it needs Metadata_Field, or plate, well and site")
        keys = fields[[*PLACE, "Metadata_Field"]].astype({"Metadata_Site": str})
        table["Metadata_Site"] = table["Metadata_Site"].astype(str)
        table = table.merge(keys, on=list(PLACE), how="left")
    known = table["Metadata_Field"].isin(fields["Metadata_Field"]) & np.isfinite(table[["x", "y"]]).all(axis=1)
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        raise UserError(f"{path}: row {row + 2} has no field of the screen or no x, y in pixels; correct or remove it")
    return table[["Metadata_Field", "x", "y"]]


def examine(
    fields: Iterable[tuple[pd.Series, np.ndarray]],
    function: np.ndarray,
    params: Mapping[str, Any],
    intensity: Mapping[str, float],
    channels: Sequence[str],
    locations: pd.DataFrame | None = None,
    total: int | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, dict[str, float]], list[dict[str, Any]]]:
    """All that a plate's one pass after its illumination tells; one field in memory at a time.

    Args:
        fields: row of the screen's table and (C, H, W) image of each field, as `Source.fields` yields them; the first
            channel is DNA.
        function: (C, H, W), the plate's illumination function.
        params: see `segment`; `focus`, see `qc`.
        intensity: `low` and `high`, percentiles of the corrected plate, 0 to 100.
        channels: the name of each channel.
        locations: `provided` centres, taken instead of detection.
        total: how many fields there are, for the progress bar.

    Returns:
        nuclei: one row per nucleus: the `Metadata_*` of its field, x, y, area (missing for provided centres), and
            width, height of the field, by which `crops.inside` tells whether a window fits.
        qc: one row per field, see `qc`.
        intensities: {channel: {low, high}} in camera values over the function.
        views: some fields for `picture`.
    """
    tables, rows, histogram = [], [], np.zeros((len(channels), VALUES), np.int64)
    shown = _Shown(total)
    for row, image in tqdm(fields, desc="nuclei", total=total, unit="field", mininterval=1):
        try:
            corrected = correct(image, function)
        except UserError as error:
            raise UserError(f"{row['Metadata_Field']}: {error}") from error
        for counts, channel in zip(histogram, corrected, strict=True):
            values = np.clip(channel + 0.5, 0, VALUES - 1).astype(np.uint16)
            counts += np.bincount(values.ravel(), minlength=VALUES)
        metadata = {name: value for name, value in row.items() if name.startswith("Metadata_")}
        height, width = corrected.shape[1:]
        labels = None
        if locations is None:
            labels = segment(corrected[0], params)
            found = measured(labels)
        else:
            found = locations.loc[locations["Metadata_Field"] == row["Metadata_Field"], ["x", "y"]].assign(area=np.nan)
            out = found[~(found["x"].between(-0.5, width - 0.5) & found["y"].between(-0.5, height - 0.5))]
            if len(out):
                x, y = out.iloc[0][["x", "y"]]
                raise UserError(
                    f"locations: ({x:g}, {y:g}) lies outside the field {row['Metadata_Field']} of {width} x {height} "
                    "pixels; give x and y in pixels of the screen's images"
                )
        sharpness = focus(corrected[0], params["diameter"]) if len(found) else float("nan")
        rows.append({**metadata, "count": len(found), "median_area": found["area"].median(), "focus": sharpness})
        tables.append(found.assign(width=width, height=height, **metadata)[[*metadata, *found, "width", "height"]])
        shown.offer(rows[-1], corrected[0], found, labels)
    if not rows:
        raise UserError("the plate has no fields; check the screen's table")
    table = pd.concat([one for one in tables if len(one)] or tables[:1], ignore_index=True)
    levels = [_percentiles(counts, intensity["low"], intensity["high"]) for counts in histogram]
    return table, qc(pd.DataFrame(rows), params["focus"]), dict(zip(channels, levels, strict=True)), shown.views()


def qc(table: pd.DataFrame, spreads: float) -> pd.DataFrame:
    """Flag the fields of a plate, given their count and focus.

    empty: no nuclei. out_of_focus: the focus lies more than `spreads` times 1.4826 median absolute deviations (or
    FOCUS_SPREAD, if that is more) below the median of the plate's fields with nuclei.
    """
    sharpness = table["focus"]
    spread = max(1.4826 * (sharpness - sharpness.median()).abs().median(), FOCUS_SPREAD)
    return table.assign(empty=table["count"] == 0, out_of_focus=sharpness < sharpness.median() - spreads * spread)


def _percentiles(counts: np.ndarray, low: float, high: float) -> dict[str, float]:
    """The values below which `low` and `high` per cent lie; at least one apart, since contrast divides by it."""
    share = np.cumsum(counts) / counts.sum()
    bottom, top = (int(np.searchsorted(share, percent / 100)) for percent in (low, high))
    return {"low": float(bottom), "high": float(max(top, bottom + 1))}


def write(
    fields: Iterable[tuple[pd.Series, np.ndarray]],
    function: np.ndarray,
    params: Mapping[str, Any],
    intensity: Mapping[str, float],
    channels: Sequence[str],
    files: Mapping[str, str | Path],
    plate: str,
    locations: pd.DataFrame | None = None,
    total: int | None = None,
) -> pd.DataFrame:
    """The rule: `examine` a plate and write `files`: nuclei (parquet), qc (csv), overlay (png), intensities (json).

    Returns the table of nuclei.
    """
    try:
        table, quality, intensities, views = examine(fields, function, params, intensity, channels, locations, total)
    except UserError as error:
        raise UserError(f"plate {plate}: {error}") from error
    with style(), atomic(files["overlay"]) as partial:
        picture(views, quality, plate).savefig(partial, format="png", metadata={"Software": None})
    with atomic(files["qc"]) as partial:
        quality.to_csv(partial, index=False, float_format="%.4g")
    write_json(files["intensities"], intensities)
    with atomic(files["nuclei"]) as partial:
        table.to_parquet(partial, index=False)
    return table


# --- its picture ---


class _Shown:
    """Which fields to show: some spread over the plate, and the one with the fewest nuclei, the most, the least focus.

    Only these are kept in memory, since which are extreme is known at the end.
    """

    def __init__(self, total: int | None):
        self.spread = set(np.linspace(0, (total or 1) - 1, SPREAD_FIELDS + 2).round().astype(int)[1:-1])
        self.seen = 0
        self.kept: dict[str, tuple[float, dict[str, Any]]] = {}

    def offer(self, row: Mapping[str, Any], dna: np.ndarray, found: pd.DataFrame, labels: np.ndarray | None) -> None:
        ranks = {"fewest nuclei": row["count"], "most nuclei": -row["count"]}
        if np.isfinite(row["focus"]):
            ranks["least focus"] = row["focus"]
        if self.seen in self.spread:
            ranks[f"field {self.seen + 1}"] = 0
        view = None
        for name, rank in ranks.items():
            if name not in self.kept or rank < self.kept[name][0]:
                view = view or {"row": dict(row), "picture": outlined(dna, found, labels)}
                self.kept[name] = (rank, view)
        self.seen += 1

    def views(self) -> list[dict[str, Any]]:
        names: dict[str, dict[str, Any]] = {}
        for name, (_, view) in sorted(self.kept.items(), key=lambda item: not item[0].startswith("field")):
            if same := names.get(view["row"]["Metadata_Field"]):
                same["why"] += f", {name}"
            else:
                names[view["row"]["Metadata_Field"]] = {**view, "why": name}
        return list(names.values())


def outlined(dna: np.ndarray, found: pd.DataFrame, labels: np.ndarray | None) -> np.ndarray:
    """The field in grey (square root, so that dim nuclei show), nuclei outlined or, without labels, crossed: uint8."""
    low, high = np.percentile(dna, (1, 99.8))
    grey = np.sqrt(np.clip((dna - low) / max(high - low, 1), 0, 1))
    picture = np.repeat((200 * grey).astype(np.uint8)[..., None], 3, axis=2)
    if labels is None:
        mark = np.zeros(dna.shape, bool)
        mark[found["y"].round().astype(int), found["x"].round().astype(int)] = True
        mark = ndimage.binary_dilation(mark, iterations=5)
    else:
        # Three pixels wide, so that it is still seen when the field is printed at half its size.
        mark = ndimage.binary_dilation(find_boundaries(labels, mode="inner"))
    picture[mark] = (255, 60, 0)
    return picture


def picture(views: Sequence[Mapping[str, Any]], quality: pd.DataFrame, plate: str = "") -> Figure:
    """Fields with their nuclei outlined, and of all fields the number of nuclei per well and against the focus."""
    lines = -(-len(views) // 2)
    height, width = views[0]["picture"].shape[:2]
    field = WIDTH / 2 * height / width + 0.2
    with style():
        figure = Figure(figsize=(WIDTH, 2.4 + lines * field), layout="constrained")
        above, below = figure.subfigures(2, 1, height_ratios=[2.4, lines * field])
        plate_map, scatter = above.subplots(1, 2, width_ratios=[3, 2])
        _plate_map(above, plate_map, quality)
        good = ~(quality["empty"] | quality["out_of_focus"])
        scatter.scatter(quality["count"][good], quality["focus"][good], s=6, alpha=0.5, linewidths=0)
        blurred = quality[quality["out_of_focus"]]
        scatter.scatter(blurred["count"], blurred["focus"], s=10, color=WARNING, marker="x", label="out of focus")
        scatter.set(xlabel="nuclei per field", ylabel="focus (higher is sharper)", xlim=(0, None))
        if len(blurred):
            scatter.legend(frameon=False)
        above.suptitle(f"{plate}: {_summary(quality)}".strip(": "), fontsize=SMALL + 2, x=0.01, ha="left")
        for ax in (axes := below.subplots(lines, 2, squeeze=False)).ravel():
            ax.set_axis_off()
        for ax, view in zip(axes.ravel(), views, strict=False):
            ax.imshow(view["picture"], interpolation="antialiased")
            row = view["row"]
            place = f"{row['Metadata_Well']} site {row['Metadata_Site']}"
            ax.set_title(f"{place}: {row['count']} nuclei ({view['why']})", fontsize=SMALL, loc="left", pad=2)
    return figure


def _summary(quality: pd.DataFrame) -> str:
    area = quality["median_area"].median()
    return (
        f"{len(quality)} fields, {quality['count'].sum():,} nuclei"
        + (f", median area {area:.0f} px" if np.isfinite(area) else "")
        + f"; {quality['empty'].sum()} fields empty, {quality['out_of_focus'].sum()} out of focus"
    )


def _plate_map(figure: Any, ax: Any, quality: pd.DataFrame) -> None:
    wells = quality.groupby("Metadata_Well")["count"].mean()
    # Two digits of the column; before them one letter, on plates of more than 26 rows also two.
    names = sorted({name[:-2] for name in wells.index}, key=lambda row: (len(row), row))
    columns = sorted({int(name[-2:]) for name in wells.index})
    grid = np.full((len(names), len(columns)), np.nan)
    for well, count in wells.items():
        grid[names.index(well[:-2]), columns.index(int(well[-2:]))] = count
    shown = ax.imshow(grid, vmin=0)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(length=0)
    ax.set_title("nuclei per field, mean of each well", loc="left")
    figure.colorbar(shown, ax=ax, shrink=0.8)
