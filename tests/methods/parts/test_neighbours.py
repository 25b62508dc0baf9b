"""Nearest neighbours against lightly's and by hand."""

from __future__ import annotations

import torch
from lightly.models.modules import NNMemoryBankModule
from tests.methods.embeddings import D, directions, embeddings

from phenoviews.methods.parts.neighbours import nearest


def test_neighbours_are_lightlys():
    support, (x,) = directions(), embeddings(count=1, scale=3)
    theirs = NNMemoryBankModule(size=(len(support), D))
    theirs.bank = support.clone()
    assert torch.equal(nearest(x, support), theirs(x.detach(), update=False))


def test_neighbours_by_hand():
    """By direction, not by distance; without gradient."""
    support = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-0.6, 0.8]])
    x = torch.tensor([[9.0, 1.0], [0.1, 0.2], [-1.0, 1.0]], requires_grad=True)
    found = nearest(x, support)
    assert found.tolist() == support[[0, 1, 2]].tolist()
    assert not found.requires_grad


def test_neighbours_are_found_in_float32():
    """Two entries that bfloat16 does not tell apart."""
    support = torch.nn.functional.normalize(torch.tensor([[1.0, 1e-3], [1.0, 0.0], [1.0, -1e-3]]), dim=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(nearest(torch.tensor([[2.0, -4e-3]]), support), support[2:])
