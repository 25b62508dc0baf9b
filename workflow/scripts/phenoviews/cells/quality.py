"""The quality of a plate's fields: how sharp each is, and which are empty or out of focus."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import scipy.fft

FOCUS_SPREAD = 0.25  # the least spread of a plate's focus that counts: a plate of nearly equal fields has no outliers


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


def flagged(table: pd.DataFrame, spreads: float) -> pd.DataFrame:
    """The fields of a plate with flags, given their count (of nuclei), focus and left_out, why they cannot be read.

    empty: no nuclei, though it can be read. out_of_focus: the focus lies more than `spreads` times 1.4826 median
    absolute deviations (or FOCUS_SPREAD, if that is more) below the median of the plate's fields with nuclei.
    """
    sharpness = table["focus"]
    spread = max(1.4826 * (sharpness - sharpness.median()).abs().median(), FOCUS_SPREAD)
    empty = (table["count"] == 0) & (table["left_out"] == "")
    return table.assign(empty=empty, out_of_focus=sharpness < sharpness.median() - spreads * spread)


def read(path: str | Path) -> pd.DataFrame:
    """The table that the rule `nuclei` writes: its names are text, whatever they look like ("NA", "1")."""
    names = ("Metadata_Plate", "Metadata_Well", "Metadata_Field", "left_out")
    missing = {"focus": [""], "median_area": [""]}
    return pd.read_csv(path, dtype=dict.fromkeys(names, str), keep_default_na=False, na_values=missing)
