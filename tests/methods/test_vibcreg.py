"""VIbCReg: its loss against numpy's correlations and by hand, its head, ten steps by its equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightly.loss import VICRegLoss
from tests.methods.embeddings import D, N, embeddings
from tests.methods.equations import Equations, assert_ten_steps
from tests.methods.small import PARAMS, Encoder
from torch import nn

from phenoviews import methods
from phenoviews.methods.parts.iterative_norm import IterativeNorm
from phenoviews.methods.vibcreg import correlation_term, vibcreg

OURS = PARAMS["vibcreg"]


@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_the_correlation_term_is_numpys(scale):
    (x,) = embeddings(count=1, scale=scale)
    correlations = np.corrcoef(x.detach().numpy().T)
    np.fill_diagonal(correlations, 0)
    assert correlation_term(x).item() == pytest.approx((correlations**2).mean(), rel=1e-4)


def test_the_other_terms_are_lightlys_vicreg():
    """Of which the covariance term is left out."""
    first, second = embeddings(scale=0.5)
    theirs = VICRegLoss(lambda_param=25, mu_param=2 * 25, nu_param=0)
    torch.testing.assert_close(vibcreg(first, second, 25, 25, 0), theirs(first, second))


def test_the_correlation_term_by_hand():
    """Three dimensions, of which the first two are alike but for their scale, and the third goes its own way."""
    x = torch.tensor([[1.0, -5.0, 1.0], [1.0, -5.0, -1.0], [-1.0, 5.0, 1.0], [-1.0, 5.0, -1.0]])
    assert correlation_term(x).item() == pytest.approx(2 / 9)
    assert correlation_term(10 * x + 3).item() == pytest.approx(2 / 9)


def test_collapsed_embeddings_cost_the_variance():
    x = torch.ones(N, D)
    assert correlation_term(x).item() == 0
    assert vibcreg(x, x, 25, 25, 200).item() == pytest.approx(25 * 2 * 0.99)


def test_the_head_has_gelu_and_whitens_last():
    method = methods.build(OURS | {"projector": {"hidden": [24, 24], "out": 128, "batch_norm": True}, "groups": 64},
                           Encoder(), sets=1, images=1)  # fmt: skip
    hidden = [nn.Linear, nn.BatchNorm1d, nn.GELU]
    assert [type(layer) for layer in method.projector] == [*hidden, *hidden, nn.Linear, IterativeNorm]
    assert method.projector[-1].shape == (64, 2)
    assert method.projector[-1].iterations == OURS["iterations"]


class VIbCRegEquations(Equations):
    def __init__(self, method):
        super().__init__(method)
        self.groups = 4
        self.layers, self.white = nn.Sequential(*list(self.projector)[:-1]), self.projector[-1]

    def embed(self, images):
        """Iterative normalisation's algorithm 1, group by group."""
        x = self.layers(self.encoder(images))
        columns = []
        for group in x.chunk(self.groups, dim=1):
            centred = group - group.mean(0)
            size = centred.shape[1]
            sigma = centred.T @ centred / len(centred) + 1e-5 * torch.eye(size)
            scaled, p = sigma / torch.trace(sigma), torch.eye(size)
            for _ in range(OURS["iterations"]):
                p = (3 * p - torch.matrix_power(p, 3) @ scaled) / 2
            self.statistics.append((group.detach().mean(0), (p / torch.trace(sigma).sqrt()).detach()))
            columns.append(centred @ (p / torch.trace(sigma).sqrt()).T)
        return torch.cat(columns, dim=1) * self.white.weight + self.white.bias

    def loss(self, first, second, rows):
        self.statistics = []
        z = [self.embed(view) for view in (first, second)]
        total = OURS["invariance"] * ((z[0] - z[1]) ** 2).mean()
        for x in z:
            deviations = (x.var(0) + 1e-4).sqrt()
            total = total + OURS["variance"] * torch.clamp(1 - deviations, min=0).mean()
            correlations = torch.corrcoef(x.T) * (1 - torch.eye(x.shape[1]))
            total = total + OURS["covariance"] * (correlations**2).sum() / x.shape[1] ** 2
        return total

    @torch.no_grad()
    def end(self, progress):
        """Running averages with a momentum of 0.1, of one view after the other."""
        for number, (mean, whitening) in enumerate(self.statistics):
            group = number % self.groups
            for running, fresh in (
                (self.white.running_mean[group, :, 0], mean),
                (self.white.running_whitening[group], whitening),
            ):
                running.copy_(0.9 * running + 0.1 * fresh)


def test_ten_steps_by_the_equations():
    assert_ten_steps("vibcreg", VIbCRegEquations, rate=0.0001, groups=4)  # large gradients, large rounding
