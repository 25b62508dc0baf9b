"""Draw docs/simulated_cells.png: cells of the simulated screen, one row per mechanism of action.

Run from the repository's root: PYTHONPATH=workflow/scripts python docs/simulated_cells.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image

from phenoviews.cells.simulation import resolve
from phenoviews.cells.simulation.archive import simulate_field
from phenoviews.cells.simulation.camera import Optics
from phenoviews.cells.simulation.phenotypes import PROGRAMMES

SIDE, COLUMNS, PLATE = 128, 6, "Week1_22123"
# Red actin, green tubulin, blue DNA: from black to full, in camera values.
SHOWN = {2: (900, 9000), 1: (900, 7500), 0: (600, 5500)}
SETTINGS = {
    "width": 900,
    "height": 700,
    "cells": 70,
    "vignetting": 0.1,
    "plates": {PLATE: {}},
    "compounds": {"nocodazole": {"moa": "Microtubule destabilizers", "doses": [3.0]}},
}


def cells(moa: str) -> list[tuple[str, np.ndarray]]:
    """COLUMNS cells at a dose to which all respond, each phenotype of the mechanism in turn: name, (SIDE, SIDE, 3)."""
    full = resolve(SETTINGS)
    rows = [
        {"well": moa, "site": site, "moa": moa, "response": 1.0, "compound": "", "concentration": 1.0, "DNA": ""}
        for site in (1, 2)
    ]
    found: list[tuple[int, str, np.ndarray]] = []
    for row in pd.DataFrame(rows).itertuples():
        image, truth = simulate_field(full, PLATE, row, Optics.of(full, PLATE))
        shown = [
            np.clip((image[c].astype(float) - low) / (high - low), 0, 1) ** 0.8 for c, (low, high) in SHOWN.items()
        ]
        for name, x, y in truth[["Metadata_Phenotype", "x", "y"]].itertuples(index=False):
            top, left = round(y) - SIDE // 2, round(x) - SIDE // 2
            crop = np.stack(shown, axis=-1)[max(top, 0) : top + SIDE, max(left, 0) : left + SIDE]
            if crop.shape[:2] == (SIDE, SIDE):
                found.append((sum(name == other for _, other, _ in found), name, crop))
    found.sort(key=lambda cell: cell[0])  # the first of each phenotype, the second of each, …
    return [(name, crop) for _, name, crop in found[:COLUMNS]]


def main() -> None:
    matplotlib.use("agg")
    moas = ["DMSO", *PROGRAMMES]
    figure, axes = plt.subplots(len(moas), COLUMNS, figsize=(COLUMNS + 1.55, len(moas) * 1.14), dpi=82)
    for moa, line in zip(moas, axes, strict=True):
        for axis, (name, picture) in zip(line, cells(moa), strict=True):
            axis.imshow(picture, interpolation="antialiased")
            axis.set_title(name, fontsize=6, pad=1.5)
            axis.set_axis_off()
        line[0].text(-0.06, 0.5, moa, transform=line[0].transAxes, ha="right", va="center", fontsize=6.5)
    figure.subplots_adjust(left=0.2, right=0.998, bottom=0.003, top=0.985, wspace=0.02, hspace=0.13)
    figure.canvas.draw()
    # 32 steps per colour are enough to look at, and half of the bytes.
    steps = np.asarray(figure.canvas.buffer_rgba())[..., :3] // 8 * (255 / 31)
    Image.fromarray(steps.round().astype(np.uint8)).save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
