"""Heads, momentum copies and queues against cases computed by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from phenoviews.errors import UserError
from phenoviews.methods.parts import Momentum, Queue, mlp, momentum_tau, projector


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


def keys(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None] * torch.ones(1, 2)


def test_the_queue_starts_with_random_directions():
    entries = Queue(50, 8).entries
    torch.testing.assert_close(entries.norm(dim=1), torch.ones(50))
    assert entries.std(dim=0).min() > 0.2


def test_the_queue_wraps_around():
    """Length 5, batches of 2: the length is no multiple of the batch."""
    queue = Queue(5, 2)
    queue.enqueue(keys(1, 2))
    queue.enqueue(keys(3, 4))
    assert queue.pointer.item() == 4
    queue.enqueue(keys(5, 6))
    assert queue.entries[:, 0].tolist() == [6, 2, 3, 4, 5]
    assert queue.pointer.item() == 1
    queue.enqueue(keys(7, 8))
    assert queue.entries[:, 0].tolist() == [6, 7, 8, 4, 5]
    queue.enqueue(keys(9, 10))
    assert queue.entries[:, 1].tolist() == [6, 7, 8, 9, 10]
    assert queue.pointer.item() == 0


def test_a_batch_longer_than_the_queue_leaves_its_last_keys():
    queue = Queue(3, 2)
    queue.enqueue(keys(1))
    queue.enqueue(keys(2, 3, 4, 5, 6))
    assert sorted(queue.entries[:, 0].tolist()) == [4, 5, 6]
    queue.enqueue(keys(7))  # over the oldest
    assert sorted(queue.entries[:, 0].tolist()) == [5, 6, 7]


@pytest.mark.parametrize("length", [1, 4, 7])
@pytest.mark.parametrize("batches", [[3, 3, 3, 3], [1, 5, 2, 7]])
def test_the_queue_holds_the_last_keys(length, batches):
    queue = Queue(length, 2)
    sent: list[float] = []
    for size in batches:
        fresh = [float(len(sent) + i + 1) for i in range(size)]
        queue.enqueue(keys(*fresh))
        sent += fresh
        held = min(length, len(sent))
        assert set(sent[-held:]) <= set(queue.entries[:, 0].tolist())


def test_the_queue_takes_keys_of_lower_precision():
    queue = Queue(4, 2)
    queue.enqueue(keys(1, 2).bfloat16())
    assert queue.entries.dtype == torch.float32
