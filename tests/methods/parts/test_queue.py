"""Queues against cases computed by hand."""

from __future__ import annotations

import pytest
import torch

from phenoviews.methods.parts.queue import Queue


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
