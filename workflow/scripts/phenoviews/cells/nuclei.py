"""The nuclei of a plate: where they are in each corrected field, how good its fields are, how bright it is."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from phenoviews.cells.illumination import correct
from phenoviews.cells.intensities import VALUES, counted, percentiles
from phenoviews.cells.locations import in_field
from phenoviews.cells.quality import flagged, focus
from phenoviews.cells.segmentation import nuclei
from phenoviews.errors import UserError
from phenoviews.files import atomic, write_json

UNLIKE = 1.6  # times the declared diameter, or its inverse: from here on it is doubted


def dna_channel(channels: Sequence[str], params: Mapping[str, Any]) -> str:
    """Which of a screen's channels nuclei are looked for in: `channel` of its `nuclei`, or the first."""
    return str(params.get("channel", channels[0]))


def examine(
    fields: Iterable[tuple[pd.Series, np.ndarray | str]],
    function: np.ndarray,
    params: Mapping[str, Any],
    intensity: Mapping[str, float],
    channels: Sequence[str],
    locations: pd.DataFrame | None = None,
    total: int | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, dict[str, float]]]:
    """All that a plate's one pass after its illumination measures; one field in memory at a time.

    Args:
        fields: row of the screen's table and (C, H, W) image of each field, or the reason why it cannot be read, as
            `Source.readable` yields them.
        function: (C, H, W), the plate's illumination function.
        params: see `segment` and `dna_channel`; `focus`, the spreads of `flagged`.
        intensity: `low` and `high`, percentiles of the corrected plate, 0 to 100.
        channels: the name of each channel.
        locations: `provided` centres, taken instead of detection.
        total: how many fields there are, for the progress bar.

    Returns:
        nuclei: one row per nucleus: the `Metadata_*` of its field, x, y, area (missing for provided centres), and
            width, height of the field, by which `crops.inside` tells whether a window fits.
        quality: one row per field: its `Metadata_*`, count (of nuclei), median_area, focus, left_out (why it cannot be
            read, "" where it can), and the flags of `flagged`.
        intensities: {channel: {low, high}} in camera values over the function.
    """
    tables, rows, histogram = [], [], np.zeros((len(channels), VALUES), np.int64)
    of_dna = list(channels).index(dna_channel(channels, params))
    for row, image in tqdm(fields, desc="nuclei", total=total, unit="field", mininterval=1):
        metadata = {name: row[name] for name in map(str, row.index) if name.startswith("Metadata_")}
        if isinstance(image, str):
            nothing = {"count": 0, "median_area": float("nan"), "focus": float("nan")}
            rows.append({**metadata, **nothing, "left_out": image})
            continue
        try:
            corrected = correct(image, function)
        except UserError as error:
            raise UserError(f"{row['Metadata_Field']}: {error}") from error
        for counts, channel in zip(histogram, corrected, strict=True):
            counts += counted(channel)
        height, width = corrected.shape[1:]
        if locations is None:
            found = nuclei(corrected[of_dna], params)
        else:
            found = in_field(locations, row["Metadata_Field"], width, height)
        sharpness = focus(corrected[of_dna], params["diameter"]) if len(found) else float("nan")
        measured = {"count": len(found), "median_area": found["area"].median(), "focus": sharpness}
        rows.append({**metadata, **measured, "left_out": ""})
        tables.append(found.assign(width=width, height=height, **metadata)[[*metadata, *found, "width", "height"]])
    if not tables:
        raise UserError("the plate has no fields; check the screen's table")
    table = pd.concat([one for one in tables if len(one)] or tables[:1], ignore_index=True)
    levels = [percentiles(counts, intensity["low"], intensity["high"]) for counts in histogram]
    return table, flagged(pd.DataFrame(rows), params["focus"]), dict(zip(channels, levels, strict=True))


def write(
    fields: Iterable[tuple[pd.Series, np.ndarray | str]],
    function: np.ndarray,
    params: Mapping[str, Any],
    intensity: Mapping[str, float],
    channels: Sequence[str],
    files: Mapping[str, str | Path],
    plate: str,
    locations: pd.DataFrame | None = None,
    total: int | None = None,
) -> None:
    """The rule: `examine` a plate and write `files`: nuclei (parquet), qc (csv), intensities (json)."""
    try:
        table, quality, intensities = examine(fields, function, params, intensity, channels, locations, total)
    except UserError as error:
        raise UserError(f"plate {plate}: {error}") from error
    width = float(np.sqrt(4 / np.pi * table["area"].median()))
    if not 1 / UNLIKE < width / params["diameter"] < UNLIKE and np.isfinite(width):
        print(
            f"phenoviews: plate {plate}: its nuclei are {width:.0f} pixels wide, where the screen's `nuclei: "
            f"{{diameter: {params['diameter']:g}}}`; correct that, or look at the plate's picture",
            file=sys.stderr,
        )
    with atomic(files["qc"]) as partial:
        quality.to_csv(partial, index=False, float_format="%.4g")
    write_json(files["intensities"], intensities)
    with atomic(files["nuclei"]) as partial:
        table.to_parquet(partial, index=False)
