"""SwAV: its loss against lightly's, its queues and prototypes by epochs, ten steps by its equations."""

from __future__ import annotations

import copy

import torch
from lightly.loss import SwaVLoss
from lightly.loss.swav_loss import sinkhorn as lightlys
from tests.methods.embeddings import N, assert_same, directions
from tests.methods.equations import Equations, assert_ten_steps, parameters
from tests.methods.small import PARAMS, begin, build, loss_of, new, pair, sgd, step, views
from tests.methods.small import N as BATCH

from phenoviews.methods.parts.distillation import distillation
from phenoviews.methods.parts.float32 import unit
from phenoviews.methods.parts.sinkhorn import sinkhorn

OURS = PARAMS["swav"]


def test_the_loss_is_lightlys():
    theirs = SwaVLoss(temperature=0.1, sinkhorn_iterations=3, sinkhorn_epsilon=0.05)
    scores = [(directions(N) @ directions(7).T).requires_grad_() for _ in range(2)]

    def ours(a, b):
        codes = [sinkhorn(view, 0.05, 3) for view in (a, b)]
        return (distillation(a, codes[1], 0.1) + distillation(b, codes[0], 0.1)) / 2

    assert_same(ours, lambda a, b: theirs([a, b], [])[0], scores)


def test_the_loss_with_a_queue_is_lightlys():
    theirs = SwaVLoss(temperature=OURS["temperature"], sinkhorn_iterations=3, sinkhorn_epsilon=0.05)
    method = build("swav")
    first, second = views(), views()
    twin = copy.deepcopy(method)
    with torch.no_grad():
        scores = [twin.prototypes(twin.embed(view)) for view in (first, second)]
        queued = [twin.prototypes(queue.entries) for queue in twin.queues]
    torch.testing.assert_close(loss_of(method, [(1.0, first, second)]).detach(), theirs(scores, [], queued)[0])


def test_prototypes_are_frozen_at_first():
    method = new("swav")
    optimizer = sgd(method)
    start = method.prototypes.weight.detach().clone()
    for epoch in range(OURS["frozen_epochs"] + 1):
        assert torch.equal(method.prototypes.weight, start)
        begin(method, epoch)
        step(method, pair(), optimizer, 0.1)
    assert not torch.equal(method.prototypes.weight, start)


def test_a_queue_is_filled_from_the_first_step_and_used_from_its_epoch_on():
    method = new("swav")
    begin(method, 0)
    first, second = views(), views()
    before = [queue.entries.clone() for queue in method.queues]
    embeddings = [unit(copy.deepcopy(method).embed(view)).detach() for view in (first, second)]
    unqueued = loss_of(method, [(1.0, first, second)])
    method.after_step(0.1)
    for queue, fresh, old in zip(method.queues, embeddings, before, strict=True):
        torch.testing.assert_close(queue.entries, torch.cat([fresh, old[BATCH:]]))
    begin(method, OURS["queue_from_epoch"] - 1)
    torch.testing.assert_close(loss_of(method, [(1.0, first, second)]), unqueued)
    begin(method, OURS["queue_from_epoch"])
    assert not torch.isclose(loss_of(method, [(1.0, first, second)]), unqueued)


def test_the_queues_are_fed_by_the_first_set():
    method = build("swav", sets=2)
    pairs = [*pair(), *pair()]
    embeddings = [unit(copy.deepcopy(method).embed(view)).detach() for view in pairs[0][1:]]
    step(method, pairs, sgd(method), 0.1)
    for queue, fresh in zip(method.queues, embeddings, strict=True):
        torch.testing.assert_close(queue.entries[:BATCH], fresh)


class SwAVEquations(Equations):
    """With prototypes of length 1, each a direction times a length that does not count."""

    def __init__(self, method):
        super().__init__(method)
        self.directions = method.prototypes.weight.detach().clone().requires_grad_()
        self.queues = [queue.entries.clone() for queue in method.queues]

    def begin(self, epoch, generator):
        self.trained = parameters(self.encoder, self.projector)
        if epoch >= OURS["frozen_epochs"]:
            self.trained.append(self.directions)
        self.queued = epoch >= OURS["queue_from_epoch"]

    def loss(self, first, second, rows):
        """Equations 1 to 5; the code's first rows are the batch's."""
        prototypes = self.directions / self.directions.norm(dim=1, keepdim=True)
        z = [self.embed(view) for view in (first, second)]
        z = [x / x.norm(dim=1, keepdim=True) for x in z]
        codes = []
        for embeddings, queue in zip(z, self.queues, strict=True):
            samples = torch.cat([embeddings, queue]) if self.queued else embeddings
            codes.append(lightlys((samples @ prototypes.T).detach(), OURS["iterations"], OURS["epsilon"]))
        self.fresh = [x.detach() for x in z]
        total = torch.zeros(())
        for one, other in ((0, 1), (1, 0)):
            similar = torch.exp(z[one] @ prototypes.T / OURS["temperature"])
            p = similar / similar.sum(1, keepdim=True)
            total = total - (codes[other][: len(first)] * p.log()).sum(1).mean()
        return total / 2

    def end(self, progress):
        self.queues = [torch.cat([queue, fresh])[BATCH:] for queue, fresh in zip(self.queues, self.fresh, strict=True)]


def test_ten_steps_by_the_equations():
    """Two epochs with frozen prototypes and without a queue, three with both."""
    method = assert_ten_steps("swav", SwAVEquations)
    assert method.queued
    assert method.prototypes.weight.requires_grad
