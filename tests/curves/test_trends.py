from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests
from tests.curves.made_up import noise, ramp, rising_and_falling

from phenoviews.curves.trends import (
    boundary,
    by_range,
    count_pairs,
    directions,
    directions_over_images,
    opposed,
    over_images,
    slopes,
)
from phenoviews.errors import UserError

DRAWS = 200


def design(seeds: int, values: int, x: np.ndarray) -> np.ndarray:
    """The swept value, and a column for each seed."""
    seed, value = (axis.ravel() for axis in np.indices((seeds, values)))
    return np.column_stack([x[value], seed[:, None] == np.arange(seeds)]).astype(float)


def test_slopes_are_those_of_statsmodels():
    rng = np.random.default_rng(0)
    x = np.array([0.0, 0.1, 0.4, 0.5, 0.7])
    y = rng.normal(size=(4, 5, 6)) + 10 * rng.normal(size=(4, 1, 6)) + x[:, None] * np.arange(6)
    found = slopes(x, y)
    low, high = found.interval(0.90)
    for k in range(6):
        fit = sm.OLS(y[..., k].ravel(), design(4, 5, x)).fit()
        assert found.change[k] == pytest.approx(0.7 * fit.params[0])
        assert found.error[k] == pytest.approx(0.7 * fit.bse[0])
        assert found.p[k] == pytest.approx(fit.pvalues[0])
        assert (low[k], high[k]) == pytest.approx(tuple(0.7 * fit.conf_int(0.10)[0]))
    assert found.df == fit.df_resid == 4 * 5 - 4 - 1


def test_one_seed_is_a_line_through_one_curve():
    x, y = np.linspace(0, 1, 8), np.random.default_rng(1).normal(size=(1, 8, 1))
    line = stats.linregress(x, y[0, :, 0])
    found = slopes(x, y)
    assert (found.change[0], found.error[0], found.p[0]) == pytest.approx((line.slope, line.stderr, line.pvalue))


def test_directions_are_by_benjamini_and_hochberg():
    rng = np.random.default_rng(2)
    y, _ = rising_and_falling(rng, 5, 10)
    found = slopes(np.linspace(0, 1, 10), y)
    reject = multipletests(found.p, 0.025, method="fdr_bh")[0]
    np.testing.assert_array_equal(directions(found), np.where(reject, np.sign(found.change), 0))
    assert 10 < reject.sum() < 40


def test_classes_that_never_change_or_change_without_noise():
    x = np.linspace(0, 1, 6)
    y = np.zeros((3, 6, 3)) + np.array([1.0, 5.0, 9.0])[:, None, None] / 3
    y[..., 1] += 2 * x
    found = slopes(x, y)
    assert found.p.tolist() == [1, 0, 1]
    assert directions(found).tolist() == [0, 1, 0]


def test_opposed_pairs_by_hand():
    found = opposed(np.array([1, 0, -1, -1, 1]))
    assert count_pairs(found) == 4  # two that rise with two that fall
    assert found[0].tolist() == [False, False, True, True, False]
    # In accuracy 0 is opposed to 2 and 3, in AUROC to 3 alone: with 2, a boundary has moved.
    only = boundary(np.array([1, 0, -1, -1]), np.array([1, 0, 0, -1]))
    assert np.argwhere(np.triu(only)).tolist() == [[0, 2]]


def test_a_class_that_rises_and_falls_back_is_seen_in_the_halves():
    rng = np.random.default_rng(3)
    x = np.linspace(0, 0.5, 9)
    y = noise(rng, 5, 9, classes=20, pairs=0)
    y[..., 0] += 30 * np.minimum(x, 0.5 - x)[None] * 4
    y[..., 1] -= 30 * np.minimum(x, 0.5 - x)[None] * 4
    found = by_range(x, y)
    assert [found[part][:2].tolist() for part in ("whole", "lower", "upper")] == [[0, 0], [1, -1], [-1, 1]]
    # The value in the middle is part of both halves.
    np.testing.assert_array_equal(found["lower"], directions(slopes(x[:5], y[:, :5]), 0.025 / 3))
    np.testing.assert_array_equal(found["upper"], directions(slopes(x[4:], y[:, 4:]), 0.025 / 3))


def test_too_few_trainings_are_refused():
    with pytest.raises(UserError, match="2 trainings leave nothing to judge a slope by"):
        slopes(np.array([0.0, 1.0]), np.zeros((1, 2, 3)))


# --------------------------------------------------------------------------------------------- statistics.md, section 7
@pytest.mark.parametrize("values", [8, 10, 20])
@pytest.mark.parametrize("rho", [0, -0.5, -0.75])
def test_noise_has_no_honest_pair(values, rho):
    """At most 18 of 200 draws have any, however strongly classes are confused."""
    rng = np.random.default_rng(values)
    x = np.linspace(0, 1, values)
    pairs = [count_pairs(opposed(directions(slopes(x, noise(rng, 5, values, rho))))) for _ in range(DRAWS)]
    parts = [
        sum(count_pairs(opposed(of)) for of in by_range(x, noise(rng, 5, values, rho)).values()) for _ in range(DRAWS)
    ]
    print(
        f"{values} values, rho {rho}: honest pairs in {np.count_nonzero(pairs)} of {DRAWS}, by range in "
        f"{np.count_nonzero(parts)}"
    )
    assert np.count_nonzero(pairs) <= 18
    assert np.count_nonzero(parts) <= 18


@pytest.mark.parametrize(("seeds", "values"), [(5, 8), (5, 10), (5, 20), (3, 10)])
def test_classes_that_rise_and_fall_by_three_points_are_found(seeds, values):
    """From three below their mean to three above it, or back: of the 100 opposed pairs .9 with five seeds, and about .7
    with three. Of the classes that are named, no more than .05 are others."""
    rng = np.random.default_rng(seeds * values)
    x = np.linspace(0, 1, values)
    wrong, power, classes = [], [], []
    for _ in range(DRAWS):
        y, truth = rising_and_falling(rng, seeds, values)
        found = directions(slopes(x, y))
        wrong.append(((found != truth) & (found != 0)).sum() / max(1, np.count_nonzero(found)))
        power.append((opposed(found) & opposed(truth)).sum() / opposed(truth).sum())
        classes.append((found == truth)[truth != 0].mean())
    print(
        f"{seeds} seeds, {values} values: false share {np.mean(wrong):.3f}, power {np.mean(power):.2f} of the opposed "
        f"pairs, {np.mean(classes):.2f} of the classes"
    )
    assert np.mean(wrong) <= 0.05
    assert np.mean(power) >= 0.9 if seeds == 5 else np.mean(power) == pytest.approx(0.7, abs=0.09)


@pytest.mark.parametrize("values", [8, 10, 20])
def test_a_trend_that_all_share_has_no_honest_pair(values):
    """Two points from end to end; none in at least 182 of 200 draws."""
    rng = np.random.default_rng(values)
    x = np.linspace(0, 1, values)
    none = [
        count_pairs(opposed(directions(slopes(x, noise(rng, 5, values, -0.5) + ramp(values))))) == 0
        for _ in range(DRAWS)
    ]
    print(f"{values} values, all rise by 2 points: no honest pair in {sum(none)} of {DRAWS}")
    assert sum(none) >= 182


# ------------------------------------------------------------------------------------------------------- for new images
def outcomes(rng, x, seeds: int, images: int, change: float = 0.0, training_sd: float = 0.03, image_sd: float = 0.1):
    """Whether the images of a class are recognised: each has its own ease and its own response to x, each training its
    own skill; on average the share changes by `change`."""
    ease, response = rng.normal(0.6, 0.2, images), rng.normal(change, image_sd, images)
    skill = rng.normal(0, training_sd, (seeds, len(x), 1))
    return rng.random((seeds, len(x), images)) < ease + response * (x - x.mean())[:, None] + skill


def test_errors_clustered_two_ways_are_those_of_statsmodels():
    rng = np.random.default_rng(4)
    x = np.linspace(0, 1, 6)
    right = outcomes(rng, x, 3, 80, image_sd=0.5, training_sd=0.1)
    change, error, p = over_images(x, right)
    seed, value, image = (axis.ravel() for axis in np.indices(right.shape))
    fit = sm.OLS(100.0 * right.ravel(), np.column_stack([x[value], *(seed == k for k in range(3))]).astype(float))
    groups = np.column_stack([6 * seed + value, image])
    result = fit.fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    assert (change, error) == pytest.approx((result.params[0], result.bse[0]))
    assert p == pytest.approx(2 * stats.t.sf(abs(change) / error, min(18, 80) - 1))
    # The slope itself is that of the accuracies.
    accuracy = 100 * right.mean(axis=2, keepdims=True)
    assert change == pytest.approx(slopes(x, accuracy).change[0])


def test_what_holds_for_these_images_need_not_for_others():
    """With responses that differ between images, and no change on average: trainings alone as units take the images'
    own for a finding; two-way errors seldom do."""
    rng = np.random.default_rng(5)
    x = np.linspace(0, 1, 6)
    found = []
    for _ in range(100):
        right = outcomes(rng, x, 5, 40, image_sd=0.5)
        found.append((over_images(x, right)[2], slopes(x, 100 * right.mean(axis=2, keepdims=True)).p[0]))
    images, trainings = (np.array(found) < 0.05).sum(axis=0)
    print(
        f"no change for new images: p < .05 in {images} of 100 with both as units, in {trainings} with trainings alone"
    )
    assert images <= 11 < trainings


def test_a_change_for_new_images_is_found():
    rng = np.random.default_rng(6)
    x = np.linspace(0, 1, 6)
    found = [over_images(x, outcomes(rng, x, 5, 100, change=0.15)) for _ in range(20)]
    assert np.mean([change for change, _, _ in found]) == pytest.approx(15, abs=3)
    assert np.mean([p < 0.05 for _, _, p in found]) > 0.9


def test_directions_for_new_images():
    rng = np.random.default_rng(7)
    x = np.linspace(0, 1, 6)
    right = [outcomes(rng, x, 5, images, change) for images, change in ((60, 0.3), (80, -0.3), (70, 0), (90, 0))]
    assert directions_over_images(x, right).tolist() == [1, -1, 0, 0]


def test_images_without_any_variation():
    x = np.linspace(0, 1, 5)
    assert over_images(x, np.ones((3, 5, 10), dtype=bool)) == (pytest.approx(0), pytest.approx(0), 1)
    with pytest.raises(UserError, match=r"1 image\(s\) of a class say nothing of new ones"):
        over_images(x, np.ones((3, 5, 1), dtype=bool))
