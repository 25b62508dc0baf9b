"""NNBYOL: its loss against lightly's parts, its queue, ten steps by its equations."""

from __future__ import annotations

import copy

import torch
from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules import NNMemoryBankModule
from tests.methods.equations import EMA, STEPS, Equations, assert_ten_steps, follow, parameters, tau
from tests.methods.small import PARAMS, N, build, loss_of, pair, sgd, step, views

from phenoviews.methods.parts.float32 import unit


def test_the_loss_is_of_lightlys_parts():
    """2 - 2 cos of either prediction to the neighbour of the other view's embedding."""
    method = build("nnbyol")
    first, second = views(), views()
    twin = copy.deepcopy(method)
    bank = NNMemoryBankModule(size=tuple(method.queue.entries.shape))
    bank.bank = method.queue.entries.clone()
    predictions = [twin.predictor(twin.projector(twin.encoder(view))) for view in (first, second)]
    targets = [bank(twin.momentum(view), update=False) for view in (first, second)]
    theirs = NegativeCosineSimilarity()
    expected = 4 + 2 * theirs(predictions[0], targets[1]) + 2 * theirs(predictions[1], targets[0])
    torch.testing.assert_close(loss_of(method, [(1.0, first, second)]), expected)


def test_the_momentum_copys_embeddings_of_first_views_join_the_queue_after_the_step():
    method = build("nnbyol", sets=2)
    pairs = [*pair(), *pair()]
    before = method.queue.entries.clone()
    embeddings = unit(copy.deepcopy(method).momentum(pairs[0][1]))
    loss_of(copy.deepcopy(method), pairs)
    step(method, pairs, sgd(method), 0.1)
    torch.testing.assert_close(method.queue.entries, torch.cat([embeddings, before[N:]]))


class NNBYOLEquations(Equations):
    def __init__(self, method):
        super().__init__(method)
        self.predictor = copy.deepcopy(method.predictor)
        self.target = copy.deepcopy((self.encoder, self.projector))
        self.trained = parameters(self.encoder, self.projector, self.predictor)
        self.queue = method.queue.entries.clone()

    def loss(self, first, second, rows):
        """BYOL's equation 2 with targets by NNCLR's equation 2."""
        p = [self.predictor(self.embed(view)) for view in (first, second)]
        encoder, projector = self.target
        with torch.no_grad():
            z = [projector(encoder(view)) for view in (first, second)]
        self.fresh = z[0] / z[0].norm(dim=1, keepdim=True)
        total = torch.zeros(())
        for one, other in ((0, 1), (1, 0)):
            for prediction, embedding in zip(p[one], z[other], strict=True):
                distances = ((embedding / embedding.norm() - self.queue) ** 2).sum(1)
                total = total + ((prediction / prediction.norm() - self.queue[distances.argmin()]) ** 2).sum()
        return total / len(first)

    def end(self, progress):
        follow(parameters(*self.target), parameters(self.encoder, self.projector), tau(progress))
        self.queue = torch.cat([self.queue, self.fresh])[N:]


def test_ten_steps_by_the_equations():
    assert PARAMS["nnbyol"]["queue"] < STEPS * N
    assert_ten_steps("nnbyol", NNBYOLEquations, ema=EMA)
