from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from tests.curves.made_up import noise, ramp, rising_and_falling

from phenoviews.curves.behaviour import agreement, ceiling, net, published, shown
from phenoviews.curves.trends import slopes


def test_as_the_paper_sorts():
    """Against scipy's line through the means over seeds."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 0.5, 10)
    y, _ = rising_and_falling(rng, 5, 10, 1.0)
    found = published(x, y)
    for label, curve in zip(found, y.mean(axis=0).T, strict=True):
        line = stats.linregress(x, curve)
        way = "ascending" if line.slope > 0 else "descending"
        assert label == (way if line.pvalue < 0.05 else "random")
    assert set(found) == {"ascending", "descending", "random"}


def test_a_class_may_be_shown_to_be_flat():
    rng = np.random.default_rng(1)
    x = np.linspace(0, 1, 10)
    y = noise(rng, 5, 10, classes=40, pairs=0) / 5  # a standard deviation of half a point
    y[..., 30:] *= 10
    y[..., :10] += 3 * ramp(10)
    y[..., 10:20] -= 3 * ramp(10)
    found = shown(x, y, margin=2)
    assert set(found[:10]) == {"ascending"}
    assert set(found[10:20]) == {"descending"}
    assert set(found[20:30]) == {"flat"}
    assert set(found[30:]) == {"undetermined"}
    low, high = slopes(x, y).interval(0.90)
    assert (np.maximum(-low, high)[20:30] <= 2).all()
    # With a margin that is narrower than the intervals, nothing is.
    assert set(shown(x, y, margin=0.2)[20:30]) == {"undetermined"}


def test_net_of_the_overall_curve():
    """All rise, one of them less: by itself it is ascending, beside the others descending."""
    rng = np.random.default_rng(2)
    x = np.linspace(0, 1, 10)
    y = noise(rng, 5, 10, classes=20, pairs=0) / 5 + 6 * ramp(10)
    y[..., 0] -= 4 * ramp(10)[:, 0]
    assert shown(x, y, 2)[0] == "ascending"
    assert shown(x, net(y), 2)[0] == "descending"
    np.testing.assert_allclose(net(y).mean(axis=2), 0, atol=1e-9)


def test_agreement_is_cohens_kappa():
    rng = np.random.default_rng(3)
    first, second = rng.choice(["ascending", "random", "descending"], (2, 60), p=[0.6, 0.3, 0.1])
    share, kappa = agreement(first, second)
    assert share == np.mean(first == second)
    assert kappa == pytest.approx(cohen_kappa_score(first, second))
    assert agreement(first, first) == (1, pytest.approx(1))
    same = np.array(["random"] * 5)
    assert agreement(same, same) == (1, pytest.approx(np.nan, nan_ok=True))


def test_the_ceiling_is_what_a_regime_has_with_itself():
    """Strong trends are sorted alike by any seeds, noise by chance; two regimes can agree no better than that."""
    rng = np.random.default_rng(4)
    x = np.linspace(0, 1, 10)
    strong, _ = rising_and_falling(rng, 5, 10, 12.0)
    strong[..., :80] += np.array([1, 0, -1])[rng.integers(3, size=80)] * 12 * ramp(10)
    share, kappa = ceiling(x, strong, published)
    assert share > 0.95 < kappa + 0.05
    share, kappa = ceiling(x, noise(rng, 5, 10), published)
    assert share == pytest.approx(0.95**2 + 2 * 0.025**2, abs=0.04)
    assert abs(kappa) < 0.15
