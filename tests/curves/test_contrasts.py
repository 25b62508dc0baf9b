"""Differences of settings, paired by seed: what is true is found, and nothing where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import polygamma
from scipy.stats import t

from phenoviews.curves.contrasts import contrasts, every, front, interaction, inverse_trigamma, needed, shown
from phenoviews.errors import UserError


def test_changes_are_means_over_the_seeds_that_have_both():
    y = np.random.default_rng(0).normal(size=(4, 3, 2))
    y[0, 2], y[3, 1] = np.nan, np.nan
    found = contrasts(y)
    np.testing.assert_allclose(found.change[1, 2], (y[1:3, 2] - y[1:3, 1]).mean(axis=0))
    np.testing.assert_allclose(found.change, -found.change.swapaxes(0, 1))


def test_where_all_vary_alike_the_error_is_that_of_all():
    """That of least squares with an effect for each setting and seed."""
    y = np.random.default_rng(1).normal(size=(6, 30, 1))
    found = contrasts(y)
    left = y - y.mean(axis=0) - y.mean(axis=1, keepdims=True) + y.mean(axis=(0, 1))
    common = np.sqrt(2 * (left**2).sum() / (5 * 29) / 6)
    assert found.error[0, 1, 0] == pytest.approx(common, rel=0.1)
    assert found.df[0, 1, 0] == 5 * 29


def test_where_settings_vary_unlike_each_has_more_of_its_own():
    rng = np.random.default_rng(2)
    y = rng.normal(size=(6, 30, 1)) * np.repeat([1.0, 0.05], 15)[None, :, None]
    found = contrasts(y)
    assert np.median(found.error[15:, 15:]) < 0.2 * np.median(found.error[:15, :15])
    assert found.df[0, 1, 0] < 30


def test_a_trigamma_is_inverted():
    values = np.array([1e-3, 0.5, 1.6449, 40.0])
    np.testing.assert_allclose(polygamma(1, inverse_trigamma(values)), values, rtol=1e-8)


def test_a_seed_that_shifts_all_settings_says_nothing():
    rng = np.random.default_rng(1)
    y = rng.normal(size=(5, 4, 3))
    shifted = y + rng.normal(0, 100, (5, 1, 1))
    np.testing.assert_allclose(contrasts(y).error, contrasts(shifted).error, atol=1e-9)


def test_a_setting_that_never_trained_has_no_difference():
    y = np.random.default_rng(0).normal(size=(3, 3, 2))
    y[:, 1] = np.nan
    found = contrasts(y)
    assert np.isnan(found.change[0, 1]).all()
    assert np.isfinite(found.change[0, 2]).all()
    assert (shown(found, 0)[1] == 0).all()


def test_one_seed_is_refused():
    with pytest.raises(UserError, match="leave nothing to judge"):
        contrasts(np.zeros((1, 4, 2)))


def test_intervals_hold_the_truth_all_at_once():
    """Of 400 draws at most as many miss one of ten as .05 and three standard errors let."""
    rng = np.random.default_rng(2)
    missed = 0
    for _ in range(400):
        found = contrasts(rng.normal(size=(4, 11, 1)))
        missed += (np.abs(found.change[0, 1:, 0]) > found.reach(0.05, 10)[0, 1:, 0]).any()
    assert missed <= 400 * (0.05 + 3 * np.sqrt(0.05 * 0.95 / 400))


@pytest.mark.parametrize("spread", ["same", "of settings", "of classes that confuse", "nearly none of half of them"])
def test_nothing_is_shown_where_nothing_is(spread):
    """Also where settings differ in how much their trainings vary, and where one class gains what another loses."""
    rng = np.random.default_rng(3)
    false = 0
    for _ in range(200):
        y = rng.normal(size=(5, 12, 10))
        if spread == "of settings":
            y *= rng.uniform(0.5, 2, (1, 12, 1))
        if spread == "of classes that confuse":
            y[..., 5:] = 0.5 * y[..., 5:] - 0.9 * y[..., :5]
        if spread == "nearly none of half of them":
            y *= rng.permutation(np.repeat([1.0, 0.1], 6))[None, :, None]
        false += (shown(contrasts(y), 0, 0.025) != 0).any()
    assert false <= 18


def test_what_is_there_is_shown():
    rng = np.random.default_rng(4)
    y = rng.normal(size=(5, 12, 10))
    y[:, 3, 2] += 6
    y[:, 3, 7] -= 6
    signs = shown(contrasts(y), 0)
    assert signs[3, 2] == 1
    assert signs[3, 7] == -1
    assert (signs[0] == 0).all()


def test_a_change_is_shown_beyond_a_margin_only_where_it_is_larger():
    """By hand of one comparison; and with changes of exactly the margin, the least that it is wrong to show."""
    y = np.random.default_rng(4).normal(size=(6, 2, 1))
    y[:, 1] += 5
    found = contrasts(y)
    change, error, df = (float(of[0, 1, 0]) for of in (found.change, found.error, found.df))
    by_hand = t.sf((abs(change) - 2) / error, df) + t.sf((abs(change) + 2) / error, df)
    assert found.beyond(2)[0, 1, 0] == pytest.approx(by_hand)
    np.testing.assert_allclose(found.beyond(0), found.p)
    assert found.p[0, 1, 0] == pytest.approx(2 * t.sf(abs(change) / error, df))
    assert found.beyond(2)[0, 0, 0] == 1
    rng, wrong = np.random.default_rng(5), 0
    for _ in range(300):
        y = rng.normal(size=(6, 8, 3))
        y[:, 1:] += 2 * rng.choice([-1, 1], (7, 3))
        wrong += bool(shown(contrasts(y), 0, 0.05, margin=2).any())
    assert wrong <= 24  # 15 are expected at the most


def test_a_single_setting_has_nothing_to_compare():
    found = contrasts(np.random.default_rng(6).normal(size=(4, 1, 2)))
    assert found.change.shape == (1, 1, 2)
    assert (found.p == 1).all()


def test_the_front_has_what_none_beats():
    """b beats a; c trades one outcome for the other."""
    rng = np.random.default_rng(5)
    y = rng.normal(0, 0.1, (6, 3, 2)) + np.array([[0, 0], [5, 5], [9, 1]])
    signs = every(contrasts(y))
    np.testing.assert_array_equal(signs, -signs.swapaxes(0, 1))
    np.testing.assert_array_equal(front(signs), [False, True, True])


def test_an_interaction_is_what_both_do_beyond_each():
    rng = np.random.default_rng(6)
    y = rng.normal(0, 1, (8, 1, 1)) + np.array([0.0, 1, 2, 7])[None, :, None] + rng.normal(0, 1e-3, (8, 4, 1))
    change, error, df = interaction(y, 0, 1, 2, 3)
    assert change[0] == pytest.approx(4, abs=0.01)
    assert error[0] < 0.01
    assert df == 7


def test_four_times_the_seeds_halve_an_interval():
    assert needed(4.0, 3, 2.0) == 12
    assert needed(1.0, 3, 2.0) == 3


def test_the_same_change_in_every_seed_is_no_proof_while_seeds_are_few():
    """Of outcomes that count few things, as the mean precision of a mechanism with four treatments."""

    def told(seeds: int) -> int:
        rng = np.random.default_rng(3)
        y = 1 - 0.125 * (rng.random((seeds, 14, 8)) < 0.05)
        y[:, 0], y[:, 1, 0] = 1, 0.875
        found = contrasts(y)
        assert found.error[0, 1, 0] >= 0.125 / (seeds + 1)
        return int(shown(found, 0)[1, 0])

    assert told(4) == 0
    assert told(10) == -1
