"""The regression of directions against lightly's loss and at its limits."""

from __future__ import annotations

import pytest
from lightly.loss import NegativeCosineSimilarity
from tests.methods.embeddings import assert_same, embeddings

from phenoviews.methods.parts.regression import regression


def test_regression_is_2_plus_twice_lightlys():
    predictions, targets = embeddings(scale=3)
    targets = targets.detach()
    theirs = NegativeCosineSimilarity()
    assert_same(lambda p: regression(p, targets), lambda p: 2 + 2 * theirs(p, targets), [predictions])


def test_it_lies_between_alignment_and_opposition():
    (x,) = embeddings(count=1)
    assert regression(x, 5 * x).item() == pytest.approx(0, abs=1e-6)
    assert regression(x, -x).item() == pytest.approx(4)


def test_targets_get_no_gradient():
    predictions, targets = embeddings()
    regression(predictions, targets).backward()
    assert predictions.grad is not None
    assert targets.grad is None
