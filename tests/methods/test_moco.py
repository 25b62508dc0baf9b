"""MoCo's loss against lightly's and by hand; the method by its definition, and its queues."""

from __future__ import annotations

import math

import pytest
import torch
from lightly.loss import NTXentLoss
from tests.methods.embeddings import D, N, assert_same, directions, embeddings
from tests.methods.small import PARAMS, build, loss_of, pair, sgd, step, views
from tests.methods.small import N as IMAGES

from phenoviews.methods.moco import info_nce
from phenoviews.methods.parts.float32 import unit


@pytest.mark.parametrize("temperature", [0.07, 0.2])
def test_info_nce_is_lightlys_with_a_memory_bank(temperature):
    negatives = directions()
    theirs = NTXentLoss(temperature=temperature, memory_bank_size=(len(negatives), D))
    theirs.memory_bank.bank = negatives.clone()
    queries, keys = embeddings(scale=3)
    keys = keys.detach()  # as a momentum network's are
    assert_same(lambda q: info_nce(q, keys, negatives, temperature), lambda q: theirs(q, keys), [queries])


def test_info_nce_by_hand():
    """Positive at cosine 0.6, negatives at 1 and 0."""
    queries, keys = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8]])
    value = info_nce(queries, keys, torch.eye(2), 0.1).item()
    assert value == pytest.approx(math.log(math.exp(6) + math.exp(10) + 1) - 6)


def test_collapsed_embeddings_are_as_bad_as_guessing():
    same = torch.ones(N, D)
    assert info_nce(same, same, unit(torch.ones(30, D)), 0.2).item() == pytest.approx(math.log(31))


def test_a_larger_queue_makes_it_harder():
    queries, keys = embeddings()
    negatives = directions(100)
    values = [info_nce(queries, keys, negatives[:n], 0.2) for n in (1, 10, 100)]
    assert values == sorted(values)


def test_keys_and_queue_get_no_gradient():
    queries, keys = embeddings()
    negatives = directions().requires_grad_()
    info_nce(queries, keys, negatives, 0.2).backward()
    assert queries.grad is not None
    assert keys.grad is None
    assert negatives.grad is None


def test_moco_by_its_definition():
    """First views look among the second views' keys, and the other way round; the mean of both."""
    method, temperature = build("moco"), PARAMS["moco"]["temperature"]
    first, second = views(), views()
    q = [method.projector(method.encoder(v)) for v in (first, second)]
    k = [method.momentum(v) for v in (first, second)]
    queues = [queue.entries.clone() for queue in method.queues[0]]
    expected = (info_nce(q[0], k[1], queues[1], temperature) + info_nce(q[1], k[0], queues[0], temperature)) / 2
    torch.testing.assert_close(loss_of(method, [(1.0, first, second)]), expected)


def test_exchanging_the_views_changes_nothing_while_the_queues_hold_the_same():
    method = build("moco")
    method.queues[0][1].load_state_dict(method.queues[0][0].state_dict())
    first, second = views(), views()
    torch.testing.assert_close(loss_of(method, [(1.0, first, second)]), loss_of(method, [(1.0, second, first)]))


def test_keys_join_their_views_queue_after_the_step():
    method = build("moco")
    first, second = views(), views()
    keys = [unit(method.momentum(v)) for v in (first, second)]
    before = [queue.entries.clone() for queue in method.queues[0]]
    loss_of(method, [(1.0, first, second)])
    assert all(torch.equal(q.entries, b) for q, b in zip(method.queues[0], before, strict=True))
    method.after_step(0.1)
    for queue, key, old in zip(method.queues[0], keys, before, strict=True):
        torch.testing.assert_close(queue.entries, torch.cat([key, old[IMAGES:]]))


def test_a_shared_queue_is_fed_by_the_first_set():
    method = build("moco", sets=2, queue_per_set=False)
    assert len(method.queues) == 1
    pairs = [*pair(), *pair()]
    keys = [unit(method.momentum(v)) for v in pairs[0][1:]]
    step(method, pairs, sgd(method), 0.1)
    for queue, key in zip(method.queues[0], keys, strict=True):
        assert queue.pointer.item() == IMAGES
        torch.testing.assert_close(queue.entries[:IMAGES], key)


def test_queues_per_set_are_fed_by_their_sets():
    method = build("moco", sets=2, queue_per_set=True)
    pairs = [*pair(), *pair()]
    keys = [[unit(method.momentum(v)) for v in views_] for _, *views_ in pairs]
    step(method, pairs, sgd(method), 0.1)
    for set_queues, set_keys in zip(method.queues, keys, strict=True):
        for queue, key in zip(set_queues, set_keys, strict=True):
            torch.testing.assert_close(queue.entries[:IMAGES], key)
