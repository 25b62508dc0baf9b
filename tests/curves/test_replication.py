from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control, pearsonr
from tests.curves.made_up import noise, rising_and_falling

from phenoviews.curves.correlation import correlations
from phenoviews.curves.floors import by_chance, chance, drawn
from phenoviews.curves.opposition import opposite
from phenoviews.curves.replication import crosswise, replicated, splits
from phenoviews.curves.trends import count_pairs
from phenoviews.errors import UserError

PEARSON = ("pearson",)


def test_all_splits_each_once():
    assert splits(2) == [((0,), (1,))]
    assert splits(3) == [((0,), (1, 2)), ((1,), (0, 2)), ((2,), (0, 1))]
    assert splits(4) == [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    assert len(splits(5)) == 10
    assert {len(part) for part, _ in splits(5)} == {2}
    with pytest.raises(UserError, match="one seed cannot be split"):
        splits(1)


def test_crosswise_by_hand():
    """One class in some seeds against the other in the rest, and the reverse; both have to be opposite."""
    y = noise(np.random.default_rng(0), 3, 6, classes=8, pairs=0)
    y[..., :4] += 12 * np.linspace(-1, 1, 6)[:, None]
    y[..., 4:] -= 12 * np.linspace(-1, 1, 6)[:, None]
    shares = crosswise(y, PEARSON)
    for a, b in [(0, 5), (1, 4), (0, 1), (3, 7)]:
        count = 0
        for part, other in [((0,), (1, 2)), ((1,), (0, 2)), ((2,), (0, 1))]:
            first, second = y[list(part)].mean(axis=0), y[list(other)].mean(axis=0)
            tests = [pearsonr(first[:, a], second[:, b]), pearsonr(second[:, a], first[:, b])]
            count += all(test.statistic < -0.3 and test.pvalue < 0.05 for test in tests)
        assert shares[a, b] == shares[b, a] == count / 3
    assert shares[:4, 4:].mean() > 0.5 > shares[:4, :4].mean()
    assert replicated(y, PEARSON) == pytest.approx(np.triu(shares, 1).sum())


def test_confusable_classes_replicate_in_halves_of_the_same_seeds_and_not_crosswise():
    """statistics.md, section 4: noise alone, rho = -.75 in 30 pairs of classes, 20 values. False discovery control over
    the p of Pearson finds 16 pairs, halves of the same seeds 32, crosswise 3, which is as much as its floor."""
    rng = np.random.default_rng(1)
    controlled, halves, cross, floor = [], [], [], []
    upper = np.triu_indices(100, 1)
    for _ in range(20):
        y = noise(rng, 5, 20, rho=-0.75)
        r, p = (matrix[upper] for matrix in correlations("pearson", y.mean(axis=0)))
        controlled.append(np.count_nonzero((false_discovery_control(p) < 0.05) & (r < 0)))
        parts = [[opposite(y[list(half)].mean(axis=0), None, PEARSON) for half in split] for split in splits(5)]
        halves.append(np.mean([count_pairs(first & second) for first, second in parts]))
        cross.append(replicated(y, PEARSON))
        floor.append(drawn(y, by_chance, lambda y: replicated(y, PEARSON), rng, 2).mean())
    means = [float(np.mean(of)) for of in (controlled, halves, cross, floor)]
    print(f"false pairs by BH over Pearson, halves of the same seeds, crosswise, and its N0: {np.round(means, 1)}")
    assert means == pytest.approx([16, 32, 3, 3], abs=3)
    assert min(controlled) > 0


def test_opposed_classes_replicate_crosswise():
    rng = np.random.default_rng(2)
    y, truth = rising_and_falling(rng, 5, 10)
    floor = drawn(y, by_chance, replicated, rng, 19)
    print(f"ten rising and ten falling classes: {replicated(y):.1f} pairs replicate, N0 {floor.mean():.1f}")
    assert chance(replicated(y), floor) == 1 / 20
    shares = crosswise(y)
    assert shares[np.outer(truth, truth) < 0].mean() > 0.25
    assert shares[np.outer(truth, truth) > 0].mean() < 0.01
