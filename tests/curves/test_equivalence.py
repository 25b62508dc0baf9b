from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from tests.curves.made_up import noise

from phenoviews.curves.equivalence import cross_fitted, equivalence
from phenoviews.errors import UserError

DRAWS = 200


def overall(rng, seeds: int, values: int, difference: float, sd: float = 0.5) -> np.ndarray:
    """(seeds, values) whose best and worst value are `difference` apart; seeds differ by more than that."""
    truth = difference * np.linspace(0, 1, values)
    return rng.normal(0, 3, (seeds, 1)) + rng.permutation(truth) + rng.normal(0, sd, (seeds, values))


def test_intervals_are_those_of_statsmodels():
    """acc ~ C(value) + C(seed): the smallest margin within which the 90 % intervals of all differences lie."""
    y = overall(np.random.default_rng(0), 4, 5, 1.0)
    found = equivalence(y)
    seed, value = (axis.ravel() for axis in np.indices(y.shape))
    fit = smf.ols("acc ~ C(value) + C(seed)", pd.DataFrame({"acc": y.ravel(), "value": value, "seed": seed})).fit()
    names = {k: f"C(value)[T.{k}]" for k in range(1, 5)}
    bounds = [fit.t_test(names[k]).conf_int(0.10) for k in names]
    bounds += [fit.t_test(f"{names[k]} - {names[j]}").conf_int(0.10) for j, k in itertools.combinations(names, 2)]
    assert found.passes == pytest.approx(np.abs(bounds).max())
    assert found.difference == pytest.approx(np.ptp(y.mean(axis=0)))
    assert found.equivalent(found.passes + 1e-9)
    assert not found.equivalent(found.passes - 1e-9)


def test_tukeys_interval():
    """Without an effect of seeds it is that of scipy's test, but for the degrees of freedom."""
    y = overall(np.random.default_rng(1), 5, 3, 20.0)
    found = equivalence(y)
    assert 0 < found.exceeds < found.difference < found.passes
    assert found.contradicted()
    assert not found.contradicted(found.exceeds)
    left = y - y.mean(axis=0) - y.mean(axis=1, keepdims=True) + y.mean()
    error = np.sqrt((left**2).sum() / 8 / 5)
    assert found.difference - found.exceeds == pytest.approx(stats.studentized_range.ppf(0.95, 3, 8) * error)
    assert equivalence(overall(np.random.default_rng(2), 5, 4, 0.0)).exceeds == 0


def test_values_that_never_differ_are_equivalent_within_nothing():
    found = equivalence(np.zeros((3, 4)))
    assert (found.difference, found.passes, found.exceeds) == (0, 0, 0)


@pytest.mark.parametrize(("seeds", "values", "sd"), [(5, 10, 0.3), (5, 10, 1.5), (3, 8, 0.5), (5, 2, 0.5)])
def test_a_true_difference_of_the_margin_is_seldom_equivalent(seeds, values, sd):
    """statistics.md, section 7: in at most 18 of 200 draws; nor is it contradicted."""
    rng = np.random.default_rng(seeds * values)
    found = [equivalence(overall(rng, seeds, values, 2.0, sd)) for _ in range(DRAWS)]
    equal, against = sum(one.equivalent(2.0) for one in found), sum(one.contradicted(2.0) for one in found)
    print(f"{seeds} seeds, {values} values, SD {sd}: equivalent in {equal} of {DRAWS}, contradicted in {against}")
    assert equal <= 18
    assert against <= 18


def test_small_differences_are_equivalent_and_large_ones_contradicted():
    rng = np.random.default_rng(3)
    assert np.mean([equivalence(overall(rng, 5, 10, 0.4)).equivalent() for _ in range(100)]) > 0.8
    assert np.mean([equivalence(overall(rng, 5, 10, 5.0)).contradicted() for _ in range(100)]) > 0.8


def test_cross_fitted_by_hand():
    y = np.array([[[1.0, 0], [2, 9], [4, 0]], [[1, 0], [5, 3], [2, 0]], [[0, 0], [1, 9], [6, 0]]])
    # Class 1: the other seeds always choose value 1 over value 0. Class 0: without seed 0, means .5, 3, 4: value 2 less
    # value 0 of seed 0, 3; without seed 1, .5, 1.5, 5: 1; without seed 2, 1, 3.5, 3: value 1 less value 0, 1.
    assert cross_fitted(y[..., :1]).tolist() == [3, 1, 1]
    assert cross_fitted(y[..., 1:]).tolist() == [9, 3, 9]
    assert cross_fitted(y, most=1).tolist() == [9, 3, 9]
    assert cross_fitted(y, most=2).tolist() == [6, 2, 5]


def test_noise_has_a_raw_range_and_no_cross_fitted_one():
    """statistics.md, section 3: raw ranges of pure noise are 7.1 points for the worst of 100 classes with an SD of 3
    over seeds, .4 for the mean with one of .3."""
    rng = np.random.default_rng(4)
    classes = [1.2 * noise(rng, 5, 10) for _ in range(50)]
    means = [rng.normal(0, 0.3, (5, 10, 1)) for _ in range(200)]
    raw = [np.mean([np.ptp(y.mean(axis=0), axis=0).max() for y in of]) for of in (classes, means)]
    fitted = [np.mean([cross_fitted(y, 5 if y.shape[2] > 1 else 1).mean() for y in of]) for of in (classes, means)]
    print(
        f"ranges of noise, of the worst class and the mean: raw {np.round(raw, 2)}, cross-fitted {np.round(fitted, 2)}"
    )
    assert raw == [pytest.approx(7.1, abs=0.3), pytest.approx(0.4, abs=0.05)]
    assert fitted == [pytest.approx(0, abs=0.6), pytest.approx(0, abs=0.06)]
    # A range that is there stays.
    y = means[0] + np.linspace(0, 8, 10)[:, None]
    assert cross_fitted(y).mean() == pytest.approx(8, abs=0.5)


def test_one_seed_is_refused():
    with pytest.raises(UserError, match=r"1 seed\(s\) at 6 value\(s\) cannot show"):
        equivalence(np.zeros((1, 6)))
    with pytest.raises(UserError, match="one seed leaves none to choose"):
        cross_fitted(np.zeros((1, 6, 2)))
