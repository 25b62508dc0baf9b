"""Figures: one module for each kind of plot, with `draw`, and with `records` and `as_table` where it has numbers.

A figure joins by a module of its own and a line in `FIGURES`.
"""

from __future__ import annotations

from types import ModuleType

from phenoviews.panels.figures import doses, nearest, treatments, tsne

FIGURES: dict[str, ModuleType] = {"doses": doses, "nearest": nearest, "treatments": treatments, "tsne": tsne}
