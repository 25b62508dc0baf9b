from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pycytominer.operations.transform import Spherize
from scipy.linalg import inv, sqrtm

from phenoviews.errors import UserError
from phenoviews.profiles.postprocess import coral, postprocessed, whiten


@pytest.fixture
def full():
    """80 wells of 6 correlated features, 50 of them controls: more controls than features."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 6)) @ rng.normal(size=(6, 6)) + rng.normal(size=6) * 5
    return x, np.arange(80) < 50, np.arange(80) % 2


@pytest.fixture
def wide():
    """30 wells of 100 features, 12 of them controls: most directions are not in the controls."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(30, 100)) * np.linspace(0.1, 3, 100) + 2, np.arange(30) < 12, np.arange(30) % 3


def cosines(x):
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return unit @ unit.T


def up_to_sign(a, b):
    return a * np.sign((a * b).sum(axis=0))


@pytest.mark.parametrize("reg", [0.0, 0.1, 1.0])
def test_whitening_is_its_formula(full, reg):
    x, control, _ = full
    centred = x - x[control].mean(0)
    values, vectors = np.linalg.eigh(centred[control].T @ centred[control] / control.sum())
    expected = (centred @ vectors / np.sqrt(values + reg))[:, ::-1]
    np.testing.assert_allclose(up_to_sign(whiten(x, control, reg), expected), expected, atol=1e-9)


def test_without_a_regulariser_it_is_pycytominers_but_for_n_minus_1(full):
    x, control, _ = full
    theirs = Spherize(epsilon=0, method="PCA", return_numpy=True).fit(pd.DataFrame(x[control]))
    theirs = theirs.transform(pd.DataFrame(x)) / np.sqrt(1 - 1 / control.sum())
    np.testing.assert_allclose(up_to_sign(whiten(x, control, 0), theirs), theirs, atol=1e-9)


def test_with_few_controls_it_is_pycytominers_along_the_controls_and_not_elsewhere(wide):
    x, control, _ = wide
    theirs = Spherize(epsilon=0, method="PCA", return_numpy=True).fit(pd.DataFrame(x[control]))
    theirs = theirs.transform(pd.DataFrame(x)) / np.sqrt(1 - 1 / control.sum())
    ours = whiten(x, control, reg=1e-12)
    np.testing.assert_allclose(up_to_sign(ours[:, :11], theirs[:, :11]), theirs[:, :11], rtol=1e-6, atol=1e-6)
    # Elsewhere pycytominer divides by the smallest deviation that the controls have, and we by the root of `reg`.
    smallest = np.sqrt(np.linalg.svd(x[control] - x[control].mean(0))[1][10] ** 2 / 12)
    far = np.linalg.norm(ours[:, 11:], axis=1)
    np.testing.assert_allclose(
        far[~control] * 1e-6, np.linalg.norm(theirs[~control, 11:], axis=1) * smallest, rtol=1e-6
    )


def test_directions_without_controls_keep_their_geometry(wide):
    x, control, _ = wide
    found = whiten(x, control, 1.0)
    centred = x - x[control].mean(0)
    values, vectors = np.linalg.eigh(centred[control].T @ centred[control] / control.sum())
    expected = centred @ vectors / np.sqrt(np.maximum(values, 0) + 1)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-8)
    assert found.shape[1] <= 29


def test_medians_do_not_depend_on_the_axes_that_a_library_happens_to_take(wide):
    # Rotated features are the same wells; so the medians of wells have to be the same, up to the sign of an axis.
    x, control, _ = wide
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(100, 100)))[0]
    groups = np.arange(18) // 3
    medians = [
        np.stack([np.median(whiten(values, control)[~control][groups == g], axis=0) for g in range(6)])
        for values in (x, x @ rotation)
    ]
    np.testing.assert_allclose(cosines(medians[0]), cosines(medians[1]), atol=1e-8)


def test_coral_is_its_formula(full):
    x, control, batch = full
    found = coral(x, control, batch, reg=1.0)
    moment = lambda rows: x[rows].T @ x[rows] / rows.sum() + np.eye(6)  # noqa: E731
    for name in (0, 1):
        here = batch == name
        expected = x[here] @ inv(sqrtm(moment(here & control))) @ sqrtm(moment(control))
        np.testing.assert_allclose(found[here], expected, atol=1e-9)


def test_tvn_gives_the_controls_of_every_batch_the_same_second_moments(full):
    x, control, batch = full
    x = x * np.where(batch, 1, 4)[:, None] + 3 * batch[:, None]  # batches of different spread and place
    whitened = whiten(x, control, 0)
    moments = lambda values, rows: values[rows].T @ values[rows] / rows.sum()  # noqa: E731
    before = [moments(whitened, control & (batch == name)) for name in (0, 1)]
    assert np.abs(before[0] - before[1]).max() > 0.5
    found = coral(whitened, control, batch, reg=0)
    for name in (0, 1):
        np.testing.assert_allclose(moments(found, control & (batch == name)), moments(whitened, control), atol=1e-9)
    # With the regulariser of the paper they come nearer.
    after = [moments(coral(whitened, control, batch), control & (batch == name)) for name in (0, 1)]
    assert np.abs(after[0] - after[1]).max() < np.abs(before[0] - before[1]).max()


def test_tvn_of_one_batch_is_whitening(wide):
    x, control, _ = wide
    found, undefined = postprocessed(x, control, np.zeros(30))
    np.testing.assert_allclose(found["tvn"], found["whitening"], atol=1e-9)
    assert not undefined


def test_coral_with_few_controls_is_its_formula_too(wide):
    x, control, batch = wide
    found = coral(x, control, batch)
    here = batch == 2
    moment = lambda rows: x[rows].T @ x[rows] / rows.sum() + np.eye(100)  # noqa: E731
    expected = x[here] @ inv(sqrtm(moment(here & control))) @ sqrtm(moment(control))
    np.testing.assert_allclose(found[here], expected, atol=1e-8)


def test_a_constant_feature_changes_nothing_and_the_control_mean_is_zero(full):
    x, control, batch = full
    more = np.insert(x, 2, 0.1, axis=1)
    plain, extended = (postprocessed(values, control, batch)[0] for values in (x, more))
    for name in ("whitening", "tvn"):
        np.testing.assert_allclose(cosines(extended[name]), cosines(plain[name]), atol=1e-9)
    np.testing.assert_allclose(plain["whitening"][control].mean(0), 0, atol=1e-9)
    assert whiten(np.full((20, 3), 0.1), np.arange(20) < 9).shape == (20, 0)


def test_what_cannot_be_is_said(full, wide):
    x, control, batch = full
    with pytest.raises(UserError, match="at least two wells of the negative control, and there are 1"):
        whiten(x, np.arange(80) == 3)
    with pytest.raises(UserError, match="the 12 controls vary in 11 directions and the wells in 18 more"):
        whiten(wide[0], wide[1], reg=0)
    with pytest.raises(UserError, match=r"in every batch; there are none in 1 \(7\)"):
        coral(x, control, np.where(control, batch, 7))
    with pytest.raises(UserError, match="give a positive regulariser"):
        coral(*wide, reg=0)
    for reg in (-1, -1e-9):
        with pytest.raises(UserError, match="must not be negative"):
            whiten(x, control, reg)
    found, undefined = postprocessed(x, control, None)
    assert set(found) == {"none", "whitening"}
    assert "needs the batch" in undefined["tvn"]
    found, undefined = postprocessed(x, np.zeros(80, dtype=bool), batch)
    assert set(found) == {"none"}
    assert set(undefined) == {"whitening", "tvn"}


def test_the_batches_may_have_a_regulariser_of_their_own(wide):
    """As the paper's code: 1 for the batches' controls, `reg` for all controls."""
    x, control, batch = wide
    found = coral(x, control, batch, reg=0.1, source_reg=1.0)
    moment = lambda rows, reg: x[rows].T @ x[rows] / rows.sum() + reg * np.eye(100)  # noqa: E731
    here = batch == 1
    expected = x[here] @ inv(sqrtm(moment(here & control, 1.0))) @ sqrtm(moment(control, 0.1))
    np.testing.assert_allclose(found[here], expected, atol=1e-8)
    np.testing.assert_array_equal(coral(x, control, batch, 0.5, 0.5), coral(x, control, batch, 0.5))
    tvn = postprocessed(x, control, batch, 1.0, 0.1, 1.0)[0]["tvn"]
    np.testing.assert_array_equal(tvn, coral(whiten(x, control), control, batch, 0.1, 1.0))
