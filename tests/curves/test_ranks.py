"""Whether early changes rank settings as those in the end do."""

from __future__ import annotations

import numpy as np
import pytest

from phenoviews.curves.ranks import between_halves, ranks


def test_the_same_order_is_one_and_its_reverse_minus_one_whatever_the_scale():
    last = np.array([[1.0, 2, 3, 5, 9, 10], [3.0, 4, 5, 7, 11, 12]])
    same, reverse = ranks(np.exp(last), last), ranks(-last, last)
    assert same.settings == 6
    assert (same.spearman, same.kendall, same.between) == pytest.approx((1, 1, 1))
    assert (reverse.spearman, reverse.kendall, reverse.between) == pytest.approx((-1, -1, -1))
    # Six settings in the same order do not prove that all are.
    assert 0 < same.spearman_low < 0.99
    assert 0 < same.kendall_low < 0.99
    assert (same.spearman_high, reverse.spearman_low) == pytest.approx((1, -1))


def test_one_exchange_by_hand():
    """Of five: Spearman 1 - 6 · 2/(5 · 24) = .9, Kendall (9 - 1)/10 = .8."""
    found = ranks(np.array([[1.0, 2, 3, 5, 4]]), np.array([[1.0, 2, 3, 4, 5]]))
    assert found.spearman == pytest.approx(0.9)
    assert found.kendall == pytest.approx(0.8)
    # tanh(atanh .9 ± 1.959964 √((1 + .81/2)/2)), tanh(atanh .8 ± 1.959964 √.437)
    assert (found.spearman_low, found.spearman_high) == pytest.approx((-0.1689, 0.9961), abs=1e-4)
    assert (found.kendall_low, found.kendall_high) == pytest.approx((-0.1945, 0.9835), abs=1e-4)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_the_interval_of_spearmans_covers_the_truth_of_normal_changes(rho):
    """Its truth is 6/π · asin(ρ/2); 95 % of 500 draws, less three standard errors."""
    rng = np.random.default_rng(0)
    truth, covered = 6 / np.pi * np.arcsin(rho / 2), 0
    for _ in range(500):
        one, other = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], 15).T
        found = ranks(one[None], other[None])
        covered += found.spearman_low <= truth <= found.spearman_high
    assert covered >= 500 * (0.95 - 3 * np.sqrt(0.95 * 0.05 / 500))


def test_noise_that_early_and_last_share_is_not_taken_for_prediction():
    """Where no setting does anything, a training's noise is there early and in the end: they rank alike within the same
    seeds, and not between them."""
    rng = np.random.default_rng(1)
    within, between = [], []
    for _ in range(50):
        noise = rng.normal(size=(4, 12))
        found = ranks(noise + rng.normal(0, 0.5, noise.shape), noise)
        within.append(found.spearman)
        between.append(found.between)
    assert np.mean(within) > 0.8
    assert abs(np.mean(between)) < 0.15


def test_what_is_missing_does_not_count_and_too_few_are_not_told():
    last = np.arange(12.0).reshape(2, 6)
    early = last.copy()
    early[0, 0] = np.nan
    assert ranks(early, last).settings == 6
    early[:, :2] = np.nan
    few = ranks(early, last)
    assert few.settings == 4
    assert np.isnan([few.spearman, few.kendall, few.between]).all()
    assert np.isnan(ranks(np.zeros((2, 6)), last).spearman)
    assert np.isnan(between_halves(last[:1], last[:1]))
