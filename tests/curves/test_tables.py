from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phenoviews.curves.tables import curves, mean_curves
from phenoviews.errors import UserError


def tidy() -> pd.DataFrame:
    """Two classes at three values with two seeds, in no order: the number says which."""
    rows = [
        {
            "swept": "hue",
            "at": at,
            "seed": seed,
            "class": name,
            "value": 100 * seed + 10 * at + (name == "wolf"),
            "reason": "",
        }
        for at in (0.5, 0.0, 0.25)
        for seed in (6, 5)
        for name in ("wolf", "lion")
    ]
    return pd.DataFrame(rows)


def failed(at: float, seed: int) -> pd.DataFrame:
    """The table in which one training has collapsed."""
    table = tidy()
    gone = (table["at"] == at) & (table["seed"] == seed)
    row = {"swept": "hue", "at": at, "seed": seed, "class": "", "value": np.nan, "reason": "it has collapsed"}
    return pd.concat([table[~gone], pd.DataFrame([row])], ignore_index=True)


def test_every_number_is_in_its_place():
    found = curves(tidy())
    assert (found.classes, found.seeds, found.x.tolist()) == (("lion", "wolf"), (5, 6), [0, 0.25, 0.5])
    expected = [[[100 * s + 10 * at + c for c in (0, 1)] for at in (0, 0.25, 0.5)] for s in (5, 6)]
    np.testing.assert_array_equal(found.y, expected)
    assert found.left_out == {}


def test_classes_may_be_something_else():
    table = tidy().rename(columns={"class": "superclass"})
    assert curves(table, of="superclass").classes == ("lion", "wolf")


def test_a_value_at_which_a_training_failed_is_left_out_and_named():
    found = curves(failed(0.25, 6))
    assert found.x.tolist() == [0, 0.5]
    assert found.left_out == {0.25: "it has collapsed"}
    np.testing.assert_array_equal(found.y, curves(tidy()).y[:, [0, 2]])


def test_a_training_of_which_nothing_is_known_is_missed_as_well():
    table = tidy()
    found = curves(table[~((table["at"] == 0.5) & (table["seed"] == 5))])
    assert found.left_out == {0.5: ""}


def test_equal_means_are_ties():
    y = np.array([0.1, 0.2, 0.3, 0.3, 0.2, 0.1]).reshape(2, 3, 1).swapaxes(0, 1)
    assert np.ptp(y.mean(axis=0)) >= 0
    assert mean_curves(np.array([[[0.1], [0.3]], [[0.2], [0.2]], [[0.3], [0.1]]])).ravel().tolist() == [0.2, 0.2]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (lambda: tidy()[lambda t: t["at"] == 0.5], "hue: 1 of 1 values have .* need two; give it more values"),
        (lambda: failed(0.25, 6)[lambda t: t["at"] != 0], r"1 of 2 values .* \(it has collapsed\)"),
        (lambda: tidy().assign(value=np.nan, reason="no encoder"), r"hue: no training has a number .*\(no encoder\)"),
        (lambda: pd.concat([tidy(), tidy().head(1)]), "two numbers of class 'wolf' at 0.5, seed 6; choose one"),
        (
            lambda: tidy().assign(value=lambda t: t["value"].where(t["class"] == "lion"), reason="no test image"),
            r"hue: no training has a number of class 'wolf' \(no test image\)",
        ),
        (lambda: tidy().assign(at=np.nan), "hue: a training has no value of the sweep"),
    ],
)
def test_what_is_no_sweep_is_refused_in_one_line(table, message):
    with pytest.raises(UserError, match=message):
        curves(table())
