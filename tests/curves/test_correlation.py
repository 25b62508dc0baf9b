from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from phenoviews.curves.correlation import FORMS, correlations
from phenoviews.errors import UserError

SCIPY = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}
# Of 8 values p is exact here; 50 and 100 are all trainings of a sweep.
LENGTHS = [8, 10, 20, 33, 34, 100]


def with_ties(rng, values: int) -> np.ndarray:
    """20 curves with ties in half of them."""
    curves = rng.normal(size=(values, 20))
    curves[:, 10:] = curves[:, 10:].round(0)
    return curves


@pytest.mark.parametrize("values", LENGTHS)
@pytest.mark.parametrize("name", FORMS)
def test_every_pair_is_scipys(name, values):
    curves = with_ties(np.random.default_rng(values), values)
    coefficient, p = correlations(name, curves)
    for a, b in itertools.combinations(range(0, 20, 2), 2):
        expected = SCIPY[name](curves[:, a], curves[:, b])
        assert coefficient[a, b] == pytest.approx(expected.statistic, abs=1e-12)
        if name == "pearson" or values >= 10 or (name == "kendall" and max(a, b) < 10):
            assert p[a, b] == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-12)
    np.testing.assert_array_equal(p, p.T)


@pytest.mark.parametrize("values", [5, 6, 8])
@pytest.mark.parametrize("name", ["spearman", "kendall"])
def test_p_of_few_values_counts_all_orders(name, values):
    """Against scipy's test over all orders of one curve, ties or not."""
    rng = np.random.default_rng(values)
    curves = rng.integers(0, values - 1, size=(values, 5)).astype(float)
    curves[:, 0] = rng.permutation(values)
    p = correlations(name, curves)[1]
    pairs = itertools.combinations(range(5), 2) if values < 8 else [(0, 1), (2, 3)]
    for a, b in pairs:
        expected = stats.permutation_test(
            (curves[:, a],),
            lambda moved, axis, still=curves[:, b]: np.abs(SIZES[name](moved, still)),
            permutation_type="pairings",
            alternative="greater",
            n_resamples=np.inf,
            vectorized=True,
        )
        assert p[a, b] == pytest.approx(expected.pvalue)


# What the coefficients grow with, for one curve in many orders, (…, values), and one that stays.
SIZES = {
    "spearman": lambda moved, still: (stats.rankdata(moved, axis=-1) - (len(still) + 1) / 2) @ stats.rankdata(still),
    "kendall": lambda moved, still: np.sum(
        np.sign(moved[..., :, None] - moved[..., None, :]) * np.sign(still[:, None] - still), axis=(-1, -2)
    ),
}


def test_by_hand_where_scipys_p_is_zero():
    falling = np.column_stack([np.arange(8), -np.arange(8)]).astype(float)
    for name in ("spearman", "kendall"):
        coefficient, p = correlations(name, falling)
        assert coefficient[0, 1] == pytest.approx(-1)
        assert p[0, 1] == pytest.approx(2 / math.factorial(8))
    assert stats.spearmanr(*falling.T).pvalue == 0
    assert stats.spearmanr([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]).pvalue < 1e-20
    # Of five values in order, 4 of 120 have one neighbouring pair exchanged: rho 0.9, p = 2 (1 + 4) / 120.
    exchanged = np.array([[1, 2, 3, 4, 5], [2, 1, 3, 4, 5]], dtype=float).T
    assert correlations("spearman", exchanged)[1][0, 1] == pytest.approx(10 / 120)
    # Two heights, three values and two: rho and tau are 1 or -1 in 2 of 10 orders, for those of three against two
    # never -1, so in one of 10.
    steps = np.array([[0, 0, 0, 1, 1], [0, 0, 0, 1, 1]], dtype=float).T
    for name in ("spearman", "kendall"):
        assert correlations(name, steps)[1][0, 1] == pytest.approx(1 / 10)


def test_a_constant_curve_has_no_correlations():
    curves = np.random.default_rng(0).normal(size=(8, 3))
    curves[:, 1] = 0.7
    for name in FORMS:
        coefficient, p = correlations(name, curves)
        assert np.isnan(coefficient[1]).all()
        assert np.isnan(p[1]).all()
        assert np.isfinite(p[0, 2])


def test_few_values_are_refused():
    with pytest.raises(UserError, match="a sweep of 4 values is too short to correlate the curves of classes, 5 are"):
        correlations("pearson", np.zeros((4, 3)))
