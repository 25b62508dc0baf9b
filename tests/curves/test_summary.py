from __future__ import annotations

import numpy as np
import pytest
from tests.curves.made_up import noise, ramp, rising_and_falling

from phenoviews.curves.floors import beside
from phenoviews.curves.opposition import flagged, points, shared
from phenoviews.curves.replication import replicated
from phenoviews.curves.summary import summary
from phenoviews.errors import UserError

X = np.linspace(0, 0.5, 10)


def test_a_sweep_that_does_something():
    """Ten classes rise, ten fall: the published count is as large by noise, the honest one finds them."""
    y, truth = rising_and_falling(np.random.default_rng(0), 5, 10)
    found = summary(X, y, np.random.default_rng(1), draws=39)
    assert found.tally.counted.observed == flagged(points(y)).sum() > 90
    assert found.tally.counted.largest >= 0.05  # noise flags as many of 100
    assert found.pairs >= 70
    assert (found.directions != 0)[truth != 0].mean() > 0.9
    assert found.replicated == replicated(y) > 3 * found.replicated_by_chance
    assert found.replicated_p == 1 / 40
    assert found.boundary is None
    assert found.tally.resampled.shape == (39, 100)
    assert {name: of.shape for name, of in found.tally.floors.items()} == {
        "by_chance": (39, 100),
        "without_class": (39, 100),
    }
    assert (
        found.tally.counted.excess
        == found.tally.counted.observed - found.tally.floors["without_class"].sum(axis=1).mean()
    )
    assert shared(np.array([found.tally.flags, found.tally.flags]), 2) == found.tally.counted.observed


def test_a_sweep_that_does_nothing():
    found = summary(X, noise(np.random.default_rng(2), 5, 10, rho=-0.75), np.random.default_rng(3), draws=39)
    assert found.tally.counted.observed > 90  # as published, nearly all classes are opposed
    assert found.tally.counted.largest >= 0.05
    assert (found.pairs, found.pairs_by_range) == (0, 0)
    assert found.replicated_p >= 0.05


def test_what_is_opposed_in_accuracy_alone_is_a_boundary():
    rng = np.random.default_rng(4)
    y = noise(rng, 5, 10, classes=10, pairs=0) + 6 * ramp(10) * np.array([1, 1, -1, -1, 0, 0, 0, 0, 0, 0])
    auroc = noise(rng, 5, 10, classes=10, pairs=0) / 100 + 0.06 * ramp(10) * np.array([1, 0, -1, 0, 0, 0, 0, 0, 0, 0])
    found = summary(X, y, rng, auroc=auroc, draws=9)
    assert (found.pairs, found.boundary) == (4, 3)


def test_the_floor_that_reaches_the_count_decides():
    found = beside(5, {"by_chance": np.array([5, 1, 1]), "without_class": np.array([2, 2, 5])})
    assert (found.p, found.largest) == ({"by_chance": 0.5, "without_class": 0.5}, 0.5)
    assert found.means == pytest.approx({"by_chance": 7 / 3, "without_class": 3})
    assert found.excess == 2


def test_the_seed_decides_every_draw():
    y = noise(np.random.default_rng(5), 3, 8, classes=12, pairs=3)
    first, again = (summary(np.arange(8.0), y, np.random.default_rng(6), draws=9) for _ in range(2))
    assert first.tally.counted == again.tally.counted
    assert (first.tally.resampled == again.tally.resampled).all()
    assert first.replicated_p == again.replicated_p


def test_what_cannot_be_counted_is_refused():
    rng = np.random.default_rng(7)
    with pytest.raises(UserError, match="a sweep of 4 values is too short"):
        summary(np.arange(4.0), noise(rng, 5, 4), rng)
    with pytest.raises(UserError, match="one seed has no spread"):
        summary(X, noise(rng, 1, 10), rng, draws=3)
