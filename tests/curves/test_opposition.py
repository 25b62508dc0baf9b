from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from tests.curves.made_up import noise

from phenoviews.curves.opposition import flagged, opposite, pairs, points, shared
from phenoviews.errors import UserError


@pytest.mark.parametrize("values", [10, 20, 50])
def test_the_papers_criterion_pair_by_pair(values):
    """Below -0.3 with p < .05 by the same coefficient, as scipy has them."""
    curves = np.random.default_rng(values).normal(size=(values, 14))
    curves[:, :5] = curves[:, :5].round(0)
    found = opposite(curves)
    for a, b in itertools.combinations(range(14), 2):
        tests = [test(curves[:, a], curves[:, b]) for test in (stats.pearsonr, stats.spearmanr, stats.kendalltau)]
        expected = any(test.statistic < -0.3 and test.pvalue < 0.05 for test in tests)
        assert found[a, b] == found[b, a] == expected
    assert not found.diagonal().any()
    np.testing.assert_array_equal(flagged(curves), found.any(axis=1))
    assert 0 < found.sum() < found.size


def test_each_coefficient_by_itself_and_two_sets_of_curves():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(8, 12)), rng.normal(size=(8, 7))
    each = [opposite(first, second, [name]) for name in ("pearson", "spearman", "kendall")]
    np.testing.assert_array_equal(np.any(each, axis=0), opposite(first, second))
    assert opposite(first, second).shape == (12, 7)
    np.testing.assert_array_equal(opposite(second, first), opposite(first, second).T)
    np.testing.assert_array_equal(opposite(first, first), opposite(first))


def test_the_table_of_pairs():
    curves = np.random.default_rng(2).normal(size=(10, 100))
    table = pairs(curves, [f"class {k}" for k in range(100)])
    assert len(table) == 4950
    row = table[(table["first"] == "class 3") & (table["second"] == "class 71")].iloc[0]
    for name, test in {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}.items():
        expected = test(curves[:, 3], curves[:, 71])
        assert (row[name], row[f"{name}_p"]) == pytest.approx((expected.statistic, expected.pvalue))
    assert table["opposite"].sum() == np.triu(opposite(curves), 1).sum()


def test_a_class_that_never_changes_is_opposed_to_none():
    curves = np.random.default_rng(3).normal(size=(10, 50))
    curves[:, 7] = 1.0
    assert not flagged(curves)[7]
    assert pairs(curves, [str(k) for k in range(50)]).query("first == '7'")["pearson"].isna().all()


def test_means_or_trainings():
    y = np.random.default_rng(4).normal(size=(5, 8, 3))
    np.testing.assert_allclose(points(y), y.mean(axis=0), atol=1e-9)
    assert points(y, "run").shape == (40, 3)
    np.testing.assert_array_equal(points(y, "run")[8 * 2 + 3], y[2, 3])
    with pytest.raises(ValueError, match="none of mean, run"):
        points(y, "median")


def test_shared_counts_by_hand():
    flags = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 0, 0]], dtype=bool)
    assert [shared(flags, at_least) for at_least in (3, 2, 1)] == [1, 2, 3]
    assert shared(np.stack([flags, ~flags]), 3).tolist() == [1, 1]


def test_few_values_are_refused():
    with pytest.raises(UserError, match="a sweep of 4 values is too short"):
        flagged(np.zeros((4, 3)))


@pytest.mark.parametrize("values", [8, 10, 20])
def test_noise_alone_flags_nearly_all_of_100_classes(values):
    """Ambiguity A-14: the published ratio is near one where nothing depends on the transformation."""
    rng = np.random.default_rng(values)
    ratio = np.mean([flagged(points(noise(rng, 5, values))).mean() for _ in range(20)])
    few = np.mean([flagged(points(noise(rng, 5, values, classes=10, pairs=3))).mean() for _ in range(200)])
    print(f"{values} values: {100 * ratio:.1f} of 100 classes flagged by noise; of 10 classes {10 * few:.1f}")
    assert ratio > 0.9
    assert 0.15 < few < 0.45
