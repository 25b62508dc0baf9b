"""Heads against their forms in solo-learn and in the papers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from phenoviews.errors import UserError
from phenoviews.methods.parts.heads import mlp, projector


def kinds(head: nn.Sequential) -> list[str]:
    return [f"{m.in_features}-{m.out_features}" if isinstance(m, nn.Linear) else type(m).__name__ for m in head]


def test_heads_have_solo_learns_forms():
    assert kinds(mlp(512, hidden=[2048], out=256, batch_norm=False)) == ["512-2048", "ReLU", "2048-256"]
    assert kinds(mlp(512, [4096], 256, True)) == ["512-4096", "BatchNorm1d", "ReLU", "4096-256"]
    assert kinds(mlp(512, [2048, 1024], 128, True)) == [
        *("512-2048", "BatchNorm1d", "ReLU"),
        *("2048-1024", "BatchNorm1d", "ReLU"),
        "1024-128",
    ]
    assert kinds(mlp(8, [], 4, True)) == ["8-4"]
    assert kinds(mlp(8, [6], 4, False, activation=nn.GELU)) == ["8-6", "GELU", "6-4"]


@pytest.mark.parametrize(
    ("settings", "layers", "dim"),
    [
        ({"hidden": [2048], "out": 256, "batch_norm": False}, ["512-2048", "ReLU", "2048-256"], 256),
        # Paper B's three, for a ResNet18: "2048x256, ReLU" is d-d-256 (its ambiguity B-10).
        ({"head": "mlp", "hidden": ["encoder"], "out": 256, "batch_norm": False}, ["512-512", "ReLU", "512-256"], 256),
        ({"head": "linear", "hidden": ["encoder"], "out": 256, "batch_norm": True}, ["512-256"], 256),
        ({"head": "identity", "hidden": ["encoder"], "out": 256, "batch_norm": True}, [], 512),
    ],
)
def test_the_heads_of_a_projector(settings, layers, dim):
    head = projector(512, **settings)
    assert kinds(head) == layers
    assert head.dim == dim
    features = torch.randn(3, 512)
    assert head(features).shape == (3, dim)
    if not layers:
        assert torch.equal(head(features), features)
        assert not head.state_dict()


def test_an_unknown_head_is_named():
    with pytest.raises(UserError, match="'mpl' is none of mlp, linear, identity"):
        projector(8, hidden=[], out=4, batch_norm=False, head="mpl")
