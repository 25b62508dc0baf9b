"""Prototypes against torch's weight normalisation with a gain of 1."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from phenoviews.methods.parts.float32 import unit
from phenoviews.methods.parts.prototypes import Prototypes


def test_prototypes_are_torchs_weight_normalisation_with_a_fixed_gain():
    """Equal scores and equal steps of the directions."""
    ours, theirs = Prototypes(30, 8), weight_norm(nn.Linear(8, 30, bias=False))
    theirs.parametrizations.weight.original0.requires_grad_(False).fill_(1)
    theirs.parametrizations.weight.original1.data.copy_(ours.weight.data)
    x = torch.randn(5, 8)
    scores = ours(x), theirs(unit(x))
    torch.testing.assert_close(*scores)
    for one in scores:
        one.square().sum().backward()
    torch.testing.assert_close(ours.weight.grad, theirs.parametrizations.weight.original1.grad)


def test_prototypes_start_like_a_linear_layer():
    """Their lengths say how fast they turn, so the spread counts."""
    weights = Prototypes(2000, 16).weight, nn.Linear(16, 2000, bias=False).weight
    torch.testing.assert_close(weights[0].std(), weights[1].std(), rtol=0.02, atol=0)
    assert weights[0].abs().max() <= 16**-0.5


def test_scores_are_cosines():
    prototypes = Prototypes(2, 2)
    prototypes.weight.data.copy_(torch.tensor([[3.0, 0.0], [0.0, 0.1]]))
    torch.testing.assert_close(prototypes(torch.tensor([[6.0, 8.0]])), torch.tensor([[0.6, 0.8]]))


def test_scores_are_float32_inside_autocast():
    prototypes, x = Prototypes(4, 3), torch.randn(5, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = prototypes(x)
    assert torch.equal(scores, prototypes(x))
