"""Figures: one module for each kind of plot, with a function `draw`.

    draw(panel, records, files) → the figure

`panel` is its declaration, `records` are the values of its runs (`records.of_panel`), and `files` has, for each name
that `study.panel.PLOTS` gives, one file per run: arrays and tables that are no values.

A figure joins by a module of its own, a line in `FIGURES`, and one in `PLOTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from phenoviews.panels.figures import curves, doses, nearest, opposition, treatments, tsne

Draw = Callable[[Mapping[str, Any], pd.DataFrame, Mapping[str, Sequence[str]]], Figure]

FIGURES: dict[str, Draw] = {
    "curves": curves.draw,
    "superclasses": curves.draw_superclasses,
    "opposition": opposition.draw,
    "doses": doses.draw,
    "nearest": nearest.draw,
    "treatments": treatments.draw,
    "tsne": tsne.draw,
}
