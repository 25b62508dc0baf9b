"""The unit of a screen's doses, as panels tell it."""

from __future__ import annotations

import pytest

from phenoviews.errors import UserError
from phenoviews.study import Study
from phenoviews.study.document import merge, shipped

SCREEN = {"kind": "pattern", "path": "x", "pattern": "{well}_{channel}.tif", "platemap": "m.csv"}
SCREEN["channels"] = {"DNA": "a", "actin": "b", "tubulin": "c"}


def declared(units: dict[str, str]) -> dict:
    """The declaration of a figure of doses of a screen in each of these units."""
    entry = {"kind": "cells", "plates": ["P"], "compound": "drug", "highest_doses": None}
    grid = {"dataset": list(units), "transform": "cell_first", "method": "moco", "backbone": "vgg13"}
    mine = {
        "screens": {f"s_{name}": {**SCREEN, "unit": unit} for name, unit in units.items()},
        "datasets": {name: {**entry, "screen": f"s_{name}"} for name in units},
        "panels": {"lab": {"doses": {"title": "Doses", "plot": "doses", "runs": grid}}},
    }
    study = Study(merge(shipped(), mine), shipped())
    return study.declaration(study.panels["lab_doses"])


def test_a_figure_of_masses_says_so():
    assert declared({"a": "mg/ml"})["dose_unit"] == "µg/ml"
    assert declared({"a": "%"})["dose_unit"] == "%"


def test_micromolar_is_no_news():
    assert "dose_unit" not in declared({"a": "nM", "b": "µM"})


def test_two_kinds_of_doses_are_not_drawn_together():
    with pytest.raises(UserError, match=r"panels\.lab\.doses: its datasets have concentrations in µM and µg/ml"):
        declared({"a": "nM", "b": "mg/ml"})


def test_an_unknown_unit_is_refused():
    with pytest.raises(UserError, match=r"config: screens\.s_a\.unit: 'parsec' is no unit"):
        declared({"a": "parsec"})
