"""The cross-entropy of distributions by hand and against its formula."""

from __future__ import annotations

import math

import pytest
import torch
from tests.methods.embeddings import assert_same, embeddings

from phenoviews.methods.parts.distillation import distillation


def test_the_loss_is_its_formula():
    scores, targets = embeddings()
    targets = targets.softmax(1).detach()

    def formula(x):
        p = torch.exp(x / 0.1) / torch.exp(x / 0.1).sum(1, keepdim=True)
        return -(targets * p.log()).sum(1).mean()

    assert_same(lambda x: distillation(x, targets, 0.1), formula, [scores])


def test_the_loss_by_hand():
    """All of the target on the first of two; scores of 1 and 0 over a temperature of 1/2."""
    targets, scores = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    assert distillation(scores, targets, 0.5).item() == pytest.approx(math.log(1 + math.exp(-2)))


def test_targets_get_no_gradient():
    scores, targets = embeddings()
    distillation(scores, targets.softmax(1), 0.1).backward()
    assert scores.grad is not None
    assert targets.grad is None
