from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from phenoviews.errors import UserError
from phenoviews.measures.auroc import one_vs_rest_auroc


def test_it_is_scikit_learns_class_by_class():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, 500)
    scores = (rng.normal(size=(500, 7)) + 2 * np.eye(7)[labels]).round(1)  # with ties
    found = one_vs_rest_auroc(labels, scores)
    expected = [roc_auc_score(labels == label, scores[:, label]) for label in range(7)]
    np.testing.assert_allclose(found, expected)


def test_a_boundary_that_moves_changes_accuracy_alone():
    """A bias for one class against another: its accuracy rises, that of the other falls, both are told as before."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 3000)
    scores = rng.normal(size=(3000, 3)) + 1.5 * np.eye(3)[labels]
    moved = scores + np.array([0.7, -0.7, 0])
    np.testing.assert_array_equal(one_vs_rest_auroc(labels, moved), one_vs_rest_auroc(labels, scores))
    before, after = ([np.mean(of.argmax(axis=1)[labels == k] == k) for k in (0, 1)] for of in (scores, moved))
    assert after[0] - before[0] > 0.1
    assert before[1] - after[1] > 0.1


def test_by_hand_and_a_class_without_images():
    labels, scores = np.array([0, 0, 1, 1]), np.array([[3.0, 0, 0], [1, 0, 1], [2, 0, 2], [1, 0, 3]])
    # Class 0: 3 > 2, 3 > 1, 1 < 2, 1 = 1.
    np.testing.assert_array_equal(one_vs_rest_auroc(labels, scores), [2.5 / 4, 0.5, np.nan])
    np.testing.assert_array_equal(one_vs_rest_auroc(np.zeros(4, int), scores[:, :1]), [np.nan])


def test_what_is_no_score_is_refused():
    with pytest.raises(UserError, match=r"scores of shape \(3, 2\) for 4 images"):
        one_vs_rest_auroc(np.zeros(4), np.zeros((3, 2)))
    with pytest.raises(UserError, match="NaN or infinite"):
        one_vs_rest_auroc(np.zeros(2), np.array([[0, np.nan], [0, 1]]))
