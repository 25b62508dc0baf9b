"""Doses with their units in the header, beside the number, in a column, or nowhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phenoviews.doses import converted, is_concentration, may_be_concentration, unit_of_header
from phenoviews.errors import UserError


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("concentration", ""),
        ("Concentration (nM)", "nM"),
        ("conc_uM", "uM"),
        ("Dose [mg/ml]", "mg/ml"),
        ("dose mg per ml", "mg/per/ml"),
        ("Metadata_Concentration", ""),
        ("Metadata_concentration_µM", "µM"),
        ("mmoles_per_liter", "mM"),
    ],
)
def test_units_of_headers(name, unit):
    assert unit_of_header(name).replace(" ", "") in (unit, unit.replace("/per/", "per"))
    assert may_be_concentration(name) or name == "mmoles_per_liter"


def test_which_columns_are_doses():
    assert all(map(is_concentration, ["concentration", "CONC.", "dose (nM)", "Metadata_Concentration", "conc_µg/mL"]))
    assert not any(map(is_concentration, ["concentration_unit", "final conc", "dosage", "compound", "doses per well"]))
    assert all(map(may_be_concentration, ["final conc", "dosage", "nM", "amount uM", "ug/ml"]))
    assert not any(map(may_be_concentration, ["well", "compound", "moa", "batch", "gene", "column", "Number"]))


def found(values, given="", wanted="µM"):
    return converted(Path("map.csv"), "dose", pd.Series(values), given, wanted).tolist()


def test_units_beside_the_numbers_and_those_of_the_header():
    values = ["300 nM", "0.1uM", "2 mM", "5", "1e-3", "0,3"]
    assert found(values, "nM") == [0.3, 0.1, 2000, 0.005, 1e-6, 0.0003]
    assert found(["100", "200"], pd.Series(["nM", "µM"])) == [0.1, 200]
    assert found(["1", "500 ng/ml"], "mg/ml", "ug/ml") == [1000, 0.5]
    assert found(["3"], "", "nM") == [0.003]


def test_nothing_is_nothing():
    assert np.isnan(found(["", "NA", "-", "n/a"])).all()


@pytest.mark.parametrize(
    ("values", "given", "said"),
    [
        (["1 mg/ml"], "", "dose is in µg/ml where the screen's `unit` is µM; set `unit: µg/ml`"),
        (["1"], "mg/ml", "dose is in µg/ml"),
        (["1 parsec"], "", "dose is '1 parsec', not a number"),
        (["high"], "", "dose is 'high', not a number"),
        (["1,000"], "", "dose is '1,000', not a number"),
    ],
)
def test_what_is_no_dose_is_refused(values, given, said):
    with pytest.raises(UserError, match=f"map.csv: {said}"):
        found(values, given)
