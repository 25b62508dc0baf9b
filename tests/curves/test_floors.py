from __future__ import annotations

import numpy as np
import pytest
from tests.curves.made_up import noise, ramp

from phenoviews.curves.floors import FLOORS, bootstrap, by_chance, chance, drawn, excess, without_class
from phenoviews.curves.opposition import flagged, opposite, points, shared
from phenoviews.curves.trends import count_pairs
from phenoviews.errors import UserError


def count(y) -> int:
    return int(flagged(points(y)).sum())


def pairs_and_classes(y) -> list[int]:
    found = opposite(points(y))
    return [int(found.any(axis=1).sum()), count_pairs(found)]


def test_by_chance_reorders_whole_trainings_within_each_seed():
    y = np.arange(5 * 8 * 3, dtype=float).reshape(5, 8, 3)
    draw = by_chance(y, np.random.default_rng(0))
    assert not np.array_equal(draw, y)
    np.testing.assert_array_equal(np.diff(draw, axis=2), 1)  # the classes of one training stay together
    for seed in range(5):
        assert sorted(draw[seed, :, 0]) == y[seed, :, 0].tolist()
    orders = [tuple(np.argsort(draw[seed, :, 0])) for seed in range(5)]
    assert len(set(orders)) > 1  # each seed has an order of its own


def test_without_class_by_hand():
    """Two seeds that differ by nothing but a constant leave the deviations as they are, whatever the order."""
    curve, levels, gap = np.array([1.0, 5.0, 2.0, 4.0, 3.0]), np.array([10.0, 60.0, 30.0]), np.array([2.0, -6.0, 4.0])
    y = np.stack([curve[:, None] + levels + gap, curve[:, None] + levels - gap])
    draw = without_class(y, np.random.default_rng(0))
    expected = np.stack([curve[:, None] + levels + side * np.sqrt(2) * gap for side in (1, -1)])
    np.testing.assert_allclose(draw, expected)


def test_without_class_has_the_spread_of_the_noise_and_nothing_of_the_classes():
    rng = np.random.default_rng(1)
    y = noise(rng, 5, 20) + 6 * ramp(20) * np.repeat([1, -1], 50) + 3 * ramp(20)
    draws = np.array([without_class(y, rng).mean(axis=0) for _ in range(50)])
    # The curves of the classes are the overall one, but for noise of SD / sqrt(5).
    around = (
        draws
        - draws.mean(axis=1, keepdims=True)
        - draws.mean(axis=2, keepdims=True)
        + draws.mean(axis=(1, 2), keepdims=True)
    )
    assert around.std() == pytest.approx(2.5 / np.sqrt(5), rel=0.05)
    np.testing.assert_allclose(draws.mean(axis=(0, 2)), y.mean(axis=(0, 2)), atol=0.2)
    slopes = np.einsum("v,dvc->dc", ramp(20)[:, 0], draws)
    assert abs(np.corrcoef(slopes.mean(axis=0), np.repeat([1, -1], 50))[0, 1]) < 0.5


@pytest.mark.parametrize("values", [8, 10, 20])
@pytest.mark.parametrize("rho", [0, -0.5, -0.75])
def test_the_floor_is_what_noise_counts(values, rho):
    """statistics.md, section 7: N0's mean is within 5 % of the null's count, in classes and in pairs."""
    rng = np.random.default_rng(values)
    null, floor = [], []
    for _ in range(60):
        y = noise(rng, 5, values, rho)
        null.append(pairs_and_classes(y))
        floor.append(drawn(y, by_chance, pairs_and_classes, rng, 3).mean(axis=0))
    ratio = np.mean(floor, axis=0) / np.mean(null, axis=0)
    print(f"{values} values, rho {rho}: null {np.mean(null, axis=0)} classes, pairs; N0 / null {ratio.round(3)}")
    assert ratio == pytest.approx([1, 1], abs=0.05)


def test_a_shared_trend_lowers_the_published_count_and_the_second_floor_with_it():
    rng = np.random.default_rng(2)
    y = noise(rng, 5, 10, rho=-0.5) + ramp(10)
    first, second = (drawn(y, floor, count, rng, 40).mean() for floor in (by_chance, without_class))
    print(f"all rise by 2 points: {count(y)} classes flagged, N0 {first:.0f}, N1 {second:.0f}")
    assert count(y) < 50 < first
    assert second == pytest.approx(count(y), abs=15)


def test_noise_is_not_told_from_noise_and_opposition_is():
    """Under both floors; p of noise is below .05 as often as it should be."""
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(60):
        y = noise(rng, 5, 10, rho=-0.5, classes=20, pairs=6)
        hits.append([chance(count(y), drawn(y, floor, count, rng, 39)) < 0.05 for floor in FLOORS.values()])
    print(f"noise of 20 classes has p < .05 in {np.mean(hits, axis=0)} of 60 draws under N0, N1")
    assert (np.sum(hits, axis=0) <= 8).all()
    y = noise(rng, 5, 10, classes=20, pairs=6) + 2 * ramp(10) * np.repeat([1, -1], 10)
    assert count(y) == 20
    found = [drawn(y, floor, count, rng, 39) for floor in FLOORS.values()]
    assert [chance(count(y), draws) for draws in found] == [1 / 40, 1 / 40]
    assert excess(count(y), found[1]) == pytest.approx(20 - found[1].mean())


def test_flags_of_several_methods_have_a_floor_together():
    rng = np.random.default_rng(4)
    methods = [noise(rng, 5, 10) for _ in range(3)]
    flags = np.array([flagged(points(y)) for y in methods])
    draws = np.stack([drawn(y, by_chance, lambda y: flagged(points(y)), rng, 19) for y in methods], axis=1)
    assert draws.shape == (19, 3, 100)
    assert shared(draws, 3).shape == (19,)
    assert chance(shared(flags, 3), shared(draws, 3)) >= 0.05


def test_chance_by_hand():
    assert chance(3, [1, 2, 3, 4]) == 3 / 5
    assert chance([3, 0], [[1, 1], [2, 1], [3, 1], [9, 1]]).tolist() == [3 / 5, 1]
    assert excess(3, [1, 2, 3, 4]) == 0.5


def test_counts_of_all_trainings_do_not_depend_on_the_values():
    """Ambiguity A-12: correlated over runs, the swept value has no part in the count, so N0 is the count itself."""
    rng = np.random.default_rng(5)
    y = noise(rng, 5, 10, rho=-0.75)
    of_runs = lambda y: flagged(points(y, "run")).sum()  # noqa: E731
    assert set(drawn(y, by_chance, of_runs, rng, 5).tolist()) == {of_runs(y)}


def test_intervals_are_over_seeds():
    rng = np.random.default_rng(6)
    y = np.repeat(noise(rng, 1, 10), 5, axis=0)  # five equal seeds have nothing to vary
    low, high = bootstrap(y, count, rng, 20)
    assert low == high == count(y)
    mean = lambda y: y.mean()  # noqa: E731
    seeds = np.arange(5.0)[:, None, None] + np.zeros((5, 6, 2))
    low, high = bootstrap(seeds, mean, rng, 999)
    # The mean of five draws from 0 to 4 has a standard deviation of sqrt(2 / 5).
    assert (low, high) == pytest.approx((2 - 1.645 * np.sqrt(0.4), 2 + 1.645 * np.sqrt(0.4)), abs=0.25)


def test_one_seed_is_refused():
    y = np.zeros((1, 6, 3))
    with pytest.raises(UserError, match="one seed has no spread"):
        without_class(y, np.random.default_rng(0))
    with pytest.raises(UserError, match="one seed has no interval"):
        bootstrap(y, count, np.random.default_rng(0))
