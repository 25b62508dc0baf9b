from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.multivariate.manova import MANOVA

from phenoviews.curves.association import association
from phenoviews.errors import UserError

LABELS = np.array(["ascending", "descending", "random"])


def behaviours(rng, classes: int = 100, methods: int = 5, icc: float = 0.5) -> np.ndarray:
    """(methods, classes): by thirds of a normal number, of which classes share the part `icc` over methods."""
    number = np.sqrt(icc) * rng.normal(size=classes) + np.sqrt(1 - icc) * rng.normal(size=(methods, classes))
    return LABELS[np.digitize(number, stats.norm.ppf([1 / 3, 2 / 3]))]


def test_one_number_is_the_analysis_of_variance():
    rng = np.random.default_rng(0)
    found, number = behaviours(rng), rng.normal(size=100)
    result = association(number, found, rng, permutations=9)
    every = np.broadcast_to(number, found.shape)
    expected = stats.f_oneway(*(every[found == label] for label in LABELS))
    assert (result.f, result.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert result.df == (2, 497)
    assert result.pillai == pytest.approx(2 * result.f / (2 * result.f + 497))


@pytest.mark.parametrize(("numbers", "labels"), [(4, 3), (2, 3), (2, 2), (20, 2)])
def test_several_numbers_are_statsmodels_manova(numbers, labels):
    rng = np.random.default_rng(numbers)
    found = behaviours(rng, classes=40, methods=3)
    found[found == "random"] = "random" if labels == 3 else "ascending"
    spectrum = rng.lognormal(size=(40, numbers)) @ rng.normal(size=(numbers, numbers))
    result = association(spectrum, found, rng, permutations=9)
    table = pd.DataFrame(np.tile(spectrum, (3, 1)), columns=[f"y{k}" for k in range(numbers)])
    formula = " + ".join(table.columns) + " ~ C(label)"
    fit = MANOVA.from_formula(formula, table.assign(label=found.ravel())).mv_test()
    expected = fit.results["C(label)"]["stat"].loc["Pillai's trace"].astype(float)
    assert result.pillai == pytest.approx(expected["Value"])
    assert (result.f, result.p) == pytest.approx((expected["F Value"], expected["Pr > F"]))
    assert result.df == pytest.approx((expected["Num DF"], expected["Den DF"]))


def test_a_property_that_decides_the_behaviour_is_found():
    rng = np.random.default_rng(1)
    number = rng.normal(size=60)
    found = np.tile(LABELS[np.digitize(number, [-0.4, 0.4])], (5, 1))
    result = association(number, found, rng, permutations=199)
    assert result.permuted == 1 / 200
    assert result.p < 1e-20
    # What only tells the superclasses apart, which decide the behaviour, is found among all and not within them.
    groups = np.repeat(["a", "b", "c", "d", "e", "f"], 10)
    levels = np.repeat([0, 2, 4, 6, 8, 10], 10) + rng.normal(size=60)
    by_group = np.tile(LABELS[np.repeat([0, 0, 1, 1, 2, 2], 10)], (5, 1))
    assert association(levels, by_group, rng, permutations=199).permuted == 1 / 200
    assert association(levels, by_group, rng, within=groups, permutations=199).permuted == 1


@pytest.mark.parametrize("numbers", [1, 20])
@pytest.mark.parametrize(("icc", "nominal"), [(0.5, 0.23), (0.95, 0.46)])
def test_an_unrelated_property_is_seldom_found(icc, nominal, numbers):
    """statistics.md, section 7: by permutation in at most 18 of 200 draws. The published p takes methods for units of
    their own: with one number it rejects in 23 and 46 %, where classes behave alike over methods."""
    rng = np.random.default_rng(int(100 * icc))
    found = [
        association(rng.normal(size=(100, numbers)), behaviours(rng, icc=icc), rng, permutations=199)
        for _ in range(200)
    ]
    published, permuted = ([getattr(one, name) < 0.05 for one in found] for name in ("p", "permuted"))
    print(
        f"unrelated property of {numbers} number(s), ICC {icc}: p < .05 as published in {sum(published)} of 200, "
        f"permuted in {sum(permuted)}"
    )
    assert sum(permuted) <= 18
    if numbers == 1:
        assert np.mean(published) == pytest.approx(nominal, abs=0.1)


@pytest.mark.parametrize(
    ("properties", "found", "message"),
    [
        (np.arange(6.0), np.full((5, 6), "random"), "all classes are random with every method"),
        (
            np.ones(6),
            np.tile(LABELS[[0, 1, 2] * 2], (5, 1)),
            "are the same for all classes, or follow from one another",
        ),
        (np.tile(np.arange(6.0)[:, None], 2), np.tile(LABELS[[0, 1, 2] * 2], (5, 1)), "follow from one another"),
        (np.array([1, 2, np.nan, 4, 5, 6]), np.tile(LABELS[[0, 1, 2] * 2], (5, 1)), "not finite"),
        (
            np.eye(6)[:, :5],
            np.tile(LABELS[[0, 1, 2] * 2], (1, 1)),
            "6 behaviours are too few for a property of 5 numbers",
        ),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(properties, found, message):
    with pytest.raises(UserError, match=message):
        association(properties, found, np.random.default_rng(0), permutations=9)
