"""BYOL's loss against lightly's; the method by its definition."""

from __future__ import annotations

import copy

import pytest
import torch
from lightly.loss import NegativeCosineSimilarity
from tests.methods.embeddings import assert_same, embeddings
from tests.methods.small import build, loss_of, views

from phenoviews.methods.byol import regression


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


def test_byol_by_its_definition():
    method = build("byol")
    first, second = views(), views()
    twin = copy.deepcopy(method)
    predictions = [twin.predictor(twin.projector(twin.encoder(v))) for v in (first, second)]
    targets = [twin.momentum(v) for v in (first, second)]
    cosines = [torch.cosine_similarity(predictions[i], targets[1 - i]).mean() for i in range(2)]
    torch.testing.assert_close(loss_of(method, [(1.0, first, second)]), 4 - 2 * cosines[0] - 2 * cosines[1])
