from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binom, ttest_1samp

from phenoviews.panels.verdicts import (
    CANNOT,
    CONTRADICTED,
    FEW,
    REPRODUCED,
    UNDECIDED,
    holm,
    interval,
    over_seeds,
    over_treatments,
    results,
    sign_flip,
    verdict,
)

NAN = float("nan")


def decided(margins) -> np.ndarray:
    """Whether a claim of one comparison is reproduced, for margins of shape (draws, seeds)."""
    p, against = over_seeds(margins)
    return verdict(results(p[None], against[None], margins.shape[-1]))


# ----------------------------------------------------------------------------------------------------------- over seeds
def test_one_seed_a_hair_on_the_other_side_does_not_outweigh_four():
    margins = np.array([[0.10, 0.12, 0.11, 0.13, -0.001]])
    assert decided(margins) == [REPRODUCED]
    assert decided(-margins) == [CONTRADICTED]
    assert decided(np.array([[0.10, 0.12, -0.11, 0.13, -0.1]])) == [UNDECIDED]
    assert sign_flip(margins[0]) == 2 / 32  # only with the small one turned round is the sum as large


def test_the_t_test_by_hand():
    margins = np.array([2.0, 4.0, 6.0])  # mean 4, sd 2, t = 4 / (2 / sqrt(3)) = 3.46 with 2 degrees of freedom
    t = 2 * np.sqrt(3)
    by_hand = 0.5 - t / (2 * np.sqrt(2 + t**2))  # Student's distribution function with two degrees of freedom
    above, below = over_seeds(margins)
    assert above == pytest.approx(by_hand)
    assert below == pytest.approx(1 - by_hand)
    # The quantile .95 of Student's t with two degrees of freedom is 2.91999.
    assert interval(margins) == pytest.approx((4 - 2.91999 * 2 / np.sqrt(3), 4 + 2.91999 * 2 / np.sqrt(3)), abs=1e-4)
    assert np.isnan(interval(margins[:1])).all()


@pytest.mark.parametrize(
    ("margins", "expected"),
    [
        ([0.1, 0.1], FEW),
        ([0.1, 0.2], FEW),
        ([0.1] * 3, FEW),  # no spread to judge by, and the sign-flip ends at 1/8
        ([0.1] * 4, FEW),
        ([0.1] * 5, REPRODUCED),  # 1/32
        ([-0.1] * 5, CONTRADICTED),
        ([0.0] * 5, UNDECIDED),
        ([0.9 - 0.8, 0.8 - 0.7, 0.7 - 0.6], FEW),  # equal but for rounding
        ([1e-17, -1e-17, 0, 0, 0], UNDECIDED),
    ],
)
def test_without_spread_the_sign_flip_decides_if_it_can(margins, expected):
    assert decided(np.array([margins])) == [expected]


def test_without_margins_nothing_can_be_said():
    assert verdict(results([NAN, 0.001], [NAN, 0.999], [0, 5])) == CANNOT


def test_the_sign_flip_is_that_of_all_signs():
    rng = np.random.default_rng(0)
    for values in (rng.normal(0.4, 1, 7), rng.integers(-3, 4, 9), np.array([1, 1, 1, 1, 1, -2])):
        totals = [np.dot(signs, values) for signs in itertools.product([1, -1], repeat=len(values))]
        assert sign_flip(values) == pytest.approx(np.mean(np.array(totals) >= values.sum() - 1e-9))
    assert sign_flip([]) == sign_flip([0, 0]) == 1
    # 38 compounds that all differ are 2^38 signs; 25 of them better by one: a binomial tail.
    ups = np.repeat([1, -1], [25, 13])
    assert sign_flip(ups) == pytest.approx(binom.sf(24, 38, 0.5))
    assert sign_flip(ups * 0.97) == pytest.approx(sign_flip(ups))
    # Nor do 30 seeds without a tie take 2^30 steps: all positive, and one turned round would be less.
    assert sign_flip(rng.random(30) + 0.1) == pytest.approx(2**-30)


def test_holm_by_hand_and_without_those_that_were_not_tested():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, NAN, 0.03]) == pytest.approx([0.02, NAN, 0.03], nan_ok=True)
    assert holm([0.9, 0.8]) == pytest.approx([1, 1])
    several = np.array([[0.01, 0.5], [0.04, 0.01], [0.03, 0.2]])
    assert holm(several)[:, 0] == pytest.approx([0.03, 0.06, 0.06])
    assert holm(several)[:, 1] == pytest.approx([0.5, 0.03, 0.4])


def test_a_claim_of_many_comparisons():
    """All have to be reproduced, each at the level; one is contradicted only after Holm."""
    assert verdict(results([0.04] * 18, [0.96] * 18, 5)) == REPRODUCED
    assert verdict(results([0.04] * 17 + [0.06], [0.96] * 18, 5)) == UNDECIDED
    assert verdict(results([0.04] * 17 + [0.97], [0.96] * 17 + [0.03], 5)) == UNDECIDED
    assert verdict(results([0.04] * 17 + [0.999], [0.96] * 17 + [0.002], 5)) == CONTRADICTED
    assert list(results([0.04, 0.6, 0.999], [0.96, 0.4, 0.001], 5)) == [REPRODUCED, UNDECIDED, CONTRADICTED]
    assert verdict(results([0.001, NAN], [0.999, NAN], [5, 2])) == FEW
    assert verdict(results([NAN, NAN, 0.999], [NAN, NAN, 0.001], [5, 0, 5])) == CONTRADICTED


@pytest.mark.parametrize(
    ("n", "margin", "power"),
    [(5, 1, 0.58), (5, 1.41, 0.82), (5, 2, 0.97), (3, 1, 0.32), (3, 1.41, 0.49), (3, 2, 0.71)],
)
def test_the_power_over_seeds(n, margin, power):
    """statistics.md, section 7: 200 draws each; the margin is in standard deviations over seeds."""
    draws = np.random.default_rng(int(100 * margin) + n).normal(margin, 1, (200, n))
    assert np.mean(decided(draws) == REPRODUCED) == pytest.approx(power, abs=0.09)


def test_noise_is_seldom_taken_for_an_effect():
    noise = np.random.default_rng(0).normal(0, 1, (18, 2000, 5))
    p, against = over_seeds(noise)
    found = results(p, against, 5)
    assert np.mean(found == REPRODUCED) == pytest.approx(0.05, abs=0.01)
    # Without Holm one of 18 comparisons would be contradicted by noise with probability 1 - .95^18 = .6.
    assert np.mean(np.any(against < 0.05, axis=0)) > 0.5
    assert np.mean(verdict(found) == CONTRADICTED) == pytest.approx(0.05, abs=0.02)
    assert np.mean(verdict(found) == REPRODUCED) == 0


def test_p_does_not_depend_on_what_is_judged_beside_it():
    margins = np.random.default_rng(1).normal(0.5, 1, (3, 4, 5))
    above, below = over_seeds(margins)
    assert above.shape == below.shape == (3, 4)
    assert above[2, 1] == pytest.approx(ttest_1samp(margins[2, 1], 0, alternative="greater").pvalue)


# ------------------------------------------------------------------------------------------------------ over treatments
def screen() -> tuple[np.ndarray, np.ndarray]:
    """Compounds and mechanisms of 103 treatments: 38 compounds of 2 or 3 doses, 12 mechanisms."""
    compounds = np.repeat(np.arange(38), [3] * 27 + [2] * 11)
    return compounds.astype(str), (compounds % 12).astype(str)


def test_one_training_by_hand():
    compounds, moas = list("aabbccddeeff"), list("uuvvwwxxyyyy")
    all_better = over_treatments(np.ones(12), compounds, moas)
    assert (all_better.compounds, all_better.moas) == (6, 5)
    assert all_better.p == 2**-5  # five mechanisms are the coarser, and decide
    assert all_better.against == 1
    assert all_better.mcnemar == pytest.approx(2**-12)
    # The doses of f cancel out; no compound with a sum of zero counts.
    one_less = over_treatments([*np.ones(10), 1, -1], compounds, list("uuvvwwxxyyzz"))
    assert (one_less.compounds, one_less.moas, one_less.p) == (5, 5, 2**-5)
    assert one_less.mcnemar == pytest.approx(13 / 2**12)
    few = over_treatments([*np.ones(8), 0, 0, 0, 0], compounds, moas)
    assert (few.compounds, few.moas) == (4, 4)
    assert np.isnan([few.p, few.against]).all()
    same = over_treatments(np.zeros(12), compounds, moas)
    assert (same.compounds, same.mcnemar) == (0, 1)


def frequencies(rng, draw) -> dict[str, np.ndarray]:
    """How often either side is found in 200 draws without a difference."""
    compounds, moas = screen()
    found = [over_treatments(draw(rng, compounds, moas), compounds, moas) for _ in range(200)]
    return {
        "p": np.sum([one.p < 0.05 for one in found]),
        "against": np.sum([one.against < 0.05 for one in found]),
        "mcnemar": np.sum([one.mcnemar < 0.05 for one in found]),
    }


def by_compound(rng, compounds, moas):
    """Whether a treatment is right is the same for all doses of its compound; A and B are equally good."""
    right = rng.random((2, 38)) < 0.7
    return (right[0].astype(int) - right[1])[compounds.astype(int)]


def by_moa(rng, compounds, moas):
    right = rng.random((2, 12)) < 0.7
    return (right[0].astype(int) - right[1])[moas.astype(int)]


@pytest.mark.parametrize("draw", [by_compound, by_moa])
def test_dependent_treatments_are_not_taken_for_many(draw):
    """statistics.md, section 7: no difference is found on either side in at most 18 of 200; McNemar finds more."""
    found = frequencies(np.random.default_rng(2), draw)
    assert found["p"] <= 18
    assert found["against"] <= 18
    assert found["mcnemar"] > 18


def test_a_real_difference_between_two_trainings_is_found():
    rng = np.random.default_rng(3)
    compounds, moas = screen()
    found = []
    for _ in range(50):
        right = rng.random((2, 38)) < np.array([[0.95], [0.6]])
        found.append(over_treatments((right[0].astype(int) - right[1])[compounds.astype(int)], compounds, moas).p)
    assert np.mean(np.array(found) < 0.05) > 0.8
