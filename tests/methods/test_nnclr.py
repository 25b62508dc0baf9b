"""NNCLR: its loss by hand and against its formula, its queue, ten steps by its equations."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from lightly.models.modules.heads import NNCLRPredictionHead, NNCLRProjectionHead
from tests.methods.embeddings import D, N, assert_same, embeddings
from tests.methods.equations import Equations, assert_ten_steps, parameters
from tests.methods.small import IMAGES, PARAMS, Encoder, build, loss_of, pair, sgd, step, views
from tests.methods.small import N as BATCH
from torch.nn import functional as F

from phenoviews import methods
from phenoviews.methods.nnclr import neighbour_nce
from phenoviews.methods.parts.float32 import unit


@pytest.mark.parametrize("temperature", [0.07, 0.2])
def test_the_loss_is_the_authors_formula(temperature):
    """-log(exp(nn_i · p_i / τ) / Σ_k exp(nn_i · p_k / τ)), of unit vectors."""
    neighbours, predictions = embeddings(scale=3)
    neighbours = neighbours.detach()

    def formula(p):
        similarity = F.cosine_similarity(neighbours[:, None], p[None], dim=2) / temperature
        return -torch.log(similarity.exp().diag() / similarity.exp().sum(1)).mean()

    assert_same(lambda p: neighbour_nce(neighbours, p, temperature), formula, [predictions])


def test_the_loss_by_hand():
    """The neighbours at a cosine of 1 to their own prediction, 0 to the other's."""
    x = torch.eye(2)
    assert neighbour_nce(x, 3 * x, 0.5).item() == pytest.approx(math.log(1 + math.exp(-2)))
    same = torch.ones(N, D)
    assert neighbour_nce(same, same, 0.2).item() == pytest.approx(math.log(N))


def test_neighbours_get_no_gradient():
    neighbours, predictions = embeddings()
    neighbour_nce(neighbours, predictions, 0.2).backward()
    assert neighbours.grad is None
    assert predictions.grad is not None


def test_the_heads_are_lightlys():
    settings = {"projector": {"hidden": [24, 24], "out": 16, "batch_norm": True}}
    method = methods.build({**PARAMS["nnclr"], **settings, "predictor": {"hidden": [8], "batch_norm": True}},
                           Encoder(), sets=1, images=1)  # fmt: skip
    projector, predictor = NNCLRProjectionHead(12, 24, 16), NNCLRPredictionHead(16, 8, 16)
    for ours, theirs in ((method.projector, projector.layers), (method.predictor, predictor.layers)):
        assert [type(layer) for layer in ours] == [type(layer) for layer in theirs]
        fitting = theirs.state_dict()
        ours.load_state_dict({key: fitting.get(key, value) for key, value in ours.state_dict().items()})
        inputs = torch.randn(10, ours[0].in_features)
        torch.testing.assert_close(ours(inputs), theirs(inputs))


def test_an_image_does_not_find_itself():
    """The queue is as it was until the step is done; then it holds the first views' embeddings."""
    method = build("nnclr")
    before = method.queue.entries.clone()
    first, second = views(), views()
    embeddings = unit(copy.deepcopy(method).embed(first))
    loss_of(method, [(1.0, first, second)])
    assert torch.equal(method.queue.entries, before)
    method.after_step(0.1)
    torch.testing.assert_close(method.queue.entries, torch.cat([embeddings, before[BATCH:]]))


def test_the_queue_is_fed_by_the_first_set():
    method = build("nnclr", sets=2)
    pairs = [*pair(), *pair()]
    embeddings = unit(copy.deepcopy(method).embed(pairs[0][1])).detach()
    step(method, pairs, sgd(method), 0.1)
    assert method.queue.pointer.item() == BATCH
    torch.testing.assert_close(method.queue.entries[:BATCH], embeddings)


class NNCLREquations(Equations):
    def __init__(self, method):
        super().__init__(method)
        self.predictor = copy.deepcopy(method.predictor)
        self.trained = parameters(self.encoder, self.projector, self.predictor)
        self.queue = list(method.queue.entries.clone())

    def loss(self, first, second, rows):
        """Equations 2 and 3, made symmetric; a queue that loses its oldest, as in algorithm 1."""
        temperature = PARAMS["nnclr"]["temperature"]
        z = [self.embed(view) for view in (first, second)]
        p = [self.predictor(one) for one in z]
        z, p = ([x / x.norm(dim=1, keepdim=True) for x in each] for each in (z, p))
        total = torch.zeros(())
        for one, other in ((0, 1), (1, 0)):
            for i in range(len(first)):
                neighbour = max(self.queue, key=lambda entry, i=i, one=one: float(entry @ z[one][i].detach()))
                similar = [torch.exp(neighbour @ p[other][k] / temperature) for k in range(len(first))]
                total = total - torch.log(similar[i] / sum(similar))
        self.fresh = list(z[0].detach())
        return total / 2 / len(first)

    def end(self, progress):
        self.queue = (self.queue + self.fresh)[len(self.fresh) :]


def test_ten_steps_by_the_equations():
    """Longer than the queue, which is no multiple of the batch."""
    assert PARAMS["nnclr"]["queue"] % BATCH
    assert PARAMS["nnclr"]["queue"] < IMAGES
    assert_ten_steps("nnclr", NNCLREquations)
