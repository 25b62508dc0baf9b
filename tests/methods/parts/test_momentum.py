"""Momentum copies against cases computed by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from phenoviews.methods.parts.momentum import Momentum, momentum_tau


def test_tau_goes_from_base_to_final_along_a_cosine():
    assert momentum_tau((0.99, 1.0), 0) == pytest.approx(0.99)
    assert momentum_tau((0.99, 1.0), 0.25) == pytest.approx(1 - 0.01 * (2**0.5 / 2 + 1) / 2)
    assert momentum_tau((0.99, 1.0), 0.5) == pytest.approx(0.995)
    assert momentum_tau((0.99, 1.0), 1) == 1
    assert momentum_tau((0.999, 0.999), 0.3) == 0.999


def test_the_momentum_copy_follows_the_parameters():
    first, second = nn.Linear(2, 2), nn.Linear(2, 1)
    momentum = Momentum((first, second), ema=(0.9, 0.9))
    start = [p.detach().clone() for p in momentum.parameters()]
    with torch.no_grad():
        for p in (*first.parameters(), *second.parameters()):
            p.add_(1.0)
    momentum.update((first, second), progress=0.3)
    for p, before in zip(momentum.parameters(), start, strict=True):
        torch.testing.assert_close(p.detach(), before + 0.1)
        assert not p.requires_grad
    momentum.update((first, second), progress=0.6)
    for p, before in zip(momentum.parameters(), start, strict=True):
        torch.testing.assert_close(p.detach(), before + 0.1 + 0.1 * 0.9)


def test_at_tau_1_the_copy_stands_still():
    network = nn.Linear(2, 2)
    momentum = Momentum((network,), ema=(0.99, 1.0))
    start = momentum.network[0].weight.clone()
    with torch.no_grad():
        network.weight.add_(1)
    momentum.update((network,), progress=1.0)
    assert torch.equal(momentum.network[0].weight, start)


def test_the_copys_batch_statistics_are_its_own():
    """From its own forward passes, not averaged from the trained network's."""
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    momentum = Momentum((network,), ema=(0.5, 0.5))
    reference = copy.deepcopy(network)
    seen, other = torch.randn(8, 3), torch.randn(8, 3) + 5
    network(other)
    momentum.update((network,), progress=0.5)
    torch.testing.assert_close(momentum(seen), reference(seen).detach())
    for name, value in reference[1].named_buffers():
        torch.testing.assert_close(momentum.network[0][1].get_buffer(name), value)
    assert not momentum(seen).requires_grad
