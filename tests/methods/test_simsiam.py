"""SimSiam: its loss against lightly's, its heads, its constant rate, ten steps by its equations."""

from __future__ import annotations

import copy

import pytest
import torch
from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead
from tests.methods.equations import Equations, assert_ten_steps, parameters
from tests.methods.small import PARAMS, Encoder, build, loss_of, views
from torch import nn

from phenoviews import methods


def test_the_loss_is_the_mean_of_lightlys_in_both_directions():
    method = build("simsiam")
    first, second = views(), views()
    twin = copy.deepcopy(method)
    z = [twin.projector(twin.encoder(view)) for view in (first, second)]
    p = [twin.predictor(one) for one in z]
    theirs = NegativeCosineSimilarity()
    expected = (theirs(p[0], z[1].detach()) + theirs(p[1], z[0].detach())) / 2
    torch.testing.assert_close(loss_of(method, [(1.0, first, second)]), expected)


def test_the_heads_are_lightlys():
    """But for the biases of linear layers before a normalisation, which it takes away again."""
    settings = {"projector": {"hidden": [24, 24], "out": 16, "batch_norm": True}}
    method = methods.build({**PARAMS["simsiam"], **settings, "predictor": {"hidden": [8], "batch_norm": True}},
                           Encoder(), sets=1, images=1)  # fmt: skip
    projector, predictor = SimSiamProjectionHead(12, 24, 16), SimSiamPredictionHead(16, 8, 16)
    for ours, theirs in ((method.projector, projector.layers), (method.predictor, predictor.layers)):
        assert [type(layer) for layer in ours] == [type(layer) for layer in theirs]
        fitting = theirs.state_dict()
        ours.load_state_dict({key: fitting.get(key, value) for key, value in ours.state_dict().items()})
        inputs = torch.randn(10, ours[0].in_features)
        torch.testing.assert_close(ours(inputs), theirs(inputs))
    assert [layer.affine for layer in method.projector if isinstance(layer, nn.BatchNorm1d)] == [True, True, False]


def test_only_the_predictors_rate_is_constant():
    method = build("simsiam")
    rest, predictor = method.parameter_groups()
    assert not predictor["scheduled"]
    assert rest.get("scheduled", True)
    assert {id(p) for p in predictor["params"]} == {id(p) for p in method.predictor.parameters()}
    assert len(rest["params"]) + len(predictor["params"]) == len(list(method.parameters()))


def test_a_perfect_prediction_costs_minus_one():
    method = build("simsiam")
    method.predictor = nn.Identity()
    same = views()
    assert loss_of(method, [(1.0, same, same)]).item() == pytest.approx(-1)


class SimSiamEquations(Equations):
    def __init__(self, method):
        super().__init__(method)
        self.predictor = copy.deepcopy(method.predictor)
        self.trained = parameters(self.encoder, self.projector, self.predictor)

    def loss(self, first, second, rows):
        """D of equation 1, with the stopped gradient of equation 4."""
        z = [self.embed(view) for view in (first, second)]
        p = [self.predictor(one) for one in z]

        def distance(p, z):
            z = z.detach()
            return -((p / p.norm(dim=1, keepdim=True)) * (z / z.norm(dim=1, keepdim=True))).sum(1).mean()

        return distance(p[0], z[1]) / 2 + distance(p[1], z[0]) / 2


def test_ten_steps_by_the_equations():
    assert_ten_steps("simsiam", SimSiamEquations)
