from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from phenoviews.measures.agreement import agreement, linear_cka


def hsic_cka(x: np.ndarray, y: np.ndarray) -> float:
    """The definition by Gram matrices (Kornblith et al. 2019, equations 3 and 4 there)."""
    n = len(x)
    centring = np.eye(n) - 1 / n

    def hsic(k: np.ndarray, other: np.ndarray) -> float:
        return np.trace(k @ centring @ other @ centring)

    k, other = x @ x.T, y @ y.T
    return hsic(k, other) / np.sqrt(hsic(k, k) * hsic(other, other))


def test_it_is_the_definition_by_gram_matrices():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6)) + 3
    y = x @ rng.normal(size=(6, 9)) + rng.normal(size=(40, 9))
    assert linear_cka(x, y) == pytest.approx(hsic_cka(x, y), rel=1e-10)


def test_turned_scaled_and_moved_is_the_same_and_unrelated_is_near_nothing():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2000, 5))
    turn, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    assert linear_cka(x, 3 * x @ turn + 7) == pytest.approx(1)
    assert linear_cka(x, rng.normal(size=(2000, 5))) < 0.02
    assert np.isnan(linear_cka(x, np.ones((2000, 5))))


def test_the_mean_over_seeds_is_that_of_the_pairs_and_a_seed_without_embeddings_has_none():
    rng = np.random.default_rng(2)
    shared = rng.normal(size=(60, 4))
    seeds = [shared + scale * rng.normal(size=(60, 4)) for scale in (0.1, 0.5, 1, 2)]
    pairs = [linear_cka(seeds[one], seeds[other]) for one in range(4) for other in range(one)]
    found = agreement(seeds)
    assert found.mean() == pytest.approx(np.mean(pairs))
    assert (np.diff(found) < 0).all(), "the seed with the most noise agrees least"
    with_gap = agreement([seeds[0], None, *seeds[1:]])
    np.testing.assert_allclose(with_gap[[0, 2, 3, 4]], found)
    assert np.isnan(with_gap[1])
    assert np.isnan(agreement(seeds[:2])).all()


def test_seeds_are_fit_to_judge_by():
    """Two settings whose seeds agree alike differ by a t test over seeds in 5 % of cases or less. By each seed's mean
    with the others, taken for independent, they do in more than 15 %: that is what the pseudo-values are for."""
    rng = np.random.default_rng(3)
    images, false, naive = rng.normal(size=(40, 3)), 0, 0
    for _ in range(300):
        of = []
        for _ in range(2):
            seeds = [images + rng.gamma(2, 0.5) * rng.normal(size=(40, 3)) for _ in range(6)]
            of.append(seeds)
        false += ttest_rel(agreement(of[0]), agreement(of[1])).pvalue < 0.05
        means = [
            [np.mean([linear_cka(one, other) for other in seeds if other is not one]) for one in seeds] for seeds in of
        ]
        naive += ttest_rel(*means).pvalue < 0.05
    assert false <= 24  # of 15 expected, the upper 2.5 % of a binomial's 23
    assert naive > 45
