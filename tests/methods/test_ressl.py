"""ReSSL: its loss by hand and against its formula, its queue, ten steps by its equations."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from tests.methods.embeddings import D, N, assert_same, directions, embeddings
from tests.methods.equations import EMA, Equations, assert_ten_steps, follow, parameters, tau
from tests.methods.small import PARAMS, build, loss_of, pair, sgd, step, views
from tests.methods.small import N as BATCH

from phenoviews.methods.parts.float32 import unit
from phenoviews.methods.ressl import relation


def test_the_loss_is_the_authors_formula():
    """-Σ_j p_j log q_j over the queue, with its own temperature for either."""
    queries, keys = embeddings(scale=3)
    keys, queue = keys.detach(), directions()

    def formula(x):
        student = torch.exp(unit(x) @ queue.T / 0.1)
        teacher = torch.exp(unit(keys) @ queue.T / 0.04)
        q, p = (e / e.sum(1, keepdim=True) for e in (student, teacher))
        return -(p * q.log()).sum(1).mean()

    assert_same(lambda x: relation(x, keys, queue, 0.1, 0.04), formula, [queries])


def test_the_loss_by_hand():
    """Against two entries at right angles, the query half-way between them, the key on the first."""
    queue = torch.eye(2)
    between, on_first = torch.tensor([[1.0, 1.0]]), torch.tensor([[5.0, 0.0]])
    assert relation(between, on_first, queue, 0.1, 0.04).item() == pytest.approx(math.log(2))
    # The other way round: the teacher is undecided, the student is not.
    expected = math.log(1 + math.exp(-10)) + 10 / 2
    assert relation(on_first, between, queue, 0.1, 0.04).item() == pytest.approx(expected)


def test_only_queries_get_a_gradient():
    queries, keys = embeddings()
    relation(queries, keys, directions(), 0.1, 0.04).backward()
    assert queries.grad is not None
    assert keys.grad is None


def test_the_least_loss_is_the_teachers_entropy():
    """At equal temperatures, where the student says what the teacher says."""
    (x,) = embeddings(count=1)
    queue = directions()
    teacher = (unit(x) @ queue.T / 0.1).softmax(1)
    torch.testing.assert_close(relation(x, x, queue, 0.1, 0.1), -(teacher * teacher.log()).sum(1).mean())
    assert relation(torch.randn(N, D), x, queue, 0.1, 0.1) > relation(x, x, queue, 0.1, 0.1)


def test_the_student_sees_the_first_view_and_the_teacher_the_second():
    method = build("ressl")
    first, second = views(), views()
    twin = copy.deepcopy(method)
    expected = relation(
        twin.projector(twin.encoder(first)),
        twin.momentum(second),
        method.queue.entries.clone(),
        PARAMS["ressl"]["temperature"],
        PARAMS["ressl"]["teacher_temperature"],
    )
    torch.testing.assert_close(loss_of(method, [(1.0, first, second)]), expected)
    torch.testing.assert_close(method.encoder.state_dict(), twin.encoder.state_dict())


def test_keys_of_the_first_set_join_the_queue_after_the_step():
    method = build("ressl", sets=2)
    pairs = [*pair(), *pair()]
    before = method.queue.entries.clone()
    keys = unit(copy.deepcopy(method).momentum(pairs[0][2]))
    loss_of(method, pairs)
    assert torch.equal(method.queue.entries, before)
    step(method, pairs, sgd(method), 0.1)
    torch.testing.assert_close(method.queue.entries, torch.cat([keys, before[BATCH:]]))


class ReSSLEquations(Equations):
    def __init__(self, method):
        super().__init__(method)
        self.teacher = copy.deepcopy((self.encoder, self.projector))
        self.queue = method.queue.entries.clone()

    def loss(self, first, second, rows):
        """Equations 3 to 5 and algorithm 1: distributions over the queue, of which the student's has the higher
        temperature."""
        student, teacher = PARAMS["ressl"]["temperature"], PARAMS["ressl"]["teacher_temperature"]
        encoder, projector = self.teacher
        with torch.no_grad():
            z2 = projector(encoder(second))
        z1 = self.embed(first)
        z1, self.fresh = (z / z.norm(dim=1, keepdim=True) for z in (z1, z2))
        total = torch.zeros(())
        for query, key in zip(z1, self.fresh, strict=True):
            p1 = torch.exp(self.queue @ query / student) / torch.exp(self.queue @ query / student).sum()
            p2 = torch.exp(self.queue @ key / teacher) / torch.exp(self.queue @ key / teacher).sum()
            total = total - (p2 * p1.log()).sum()
        return total / len(first)

    def end(self, progress):
        follow(parameters(*self.teacher), self.trained, tau(progress))
        self.queue = torch.cat([self.queue, self.fresh])[BATCH:]


def test_ten_steps_by_the_equations():
    assert_ten_steps("ressl", ReSSLEquations, ema=EMA)
