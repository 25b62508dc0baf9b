"""VICReg's loss against lightly's and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from lightly.loss import VICRegLoss
from tests.methods.embeddings import D, N, assert_same, embeddings

from phenoviews.methods.parts.variance import variance_term
from phenoviews.methods.vicreg import covariance_term, vicreg


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
@pytest.mark.parametrize(("n", "dim"), [(12, 20), (64, 8)])
def test_vicreg_is_lightlys_with_twice_the_variance_weight(scale, n, dim):
    theirs = VICRegLoss(lambda_param=25, mu_param=2 * 25, nu_param=1)
    assert_same(lambda a, b: vicreg(a, b, 25, 25, 1), theirs, embeddings(n=n, dim=dim, scale=scale))


def test_variance_and_covariance_by_hand():
    x = torch.tensor([[0.0, 0.0], [1.0, 2.0]])  # variances 1/2 and 2, covariance 1
    assert variance_term(x).item() == pytest.approx((1 - math.sqrt(0.5 + 1e-4)) / 2)
    assert covariance_term(x).item() == pytest.approx(2 * 1**2 / 2)


def test_a_shift_of_both_views_is_not_seen():
    first, second = embeddings()
    torch.testing.assert_close(vicreg(first + 3, second + 3, 25, 25, 1), vicreg(first, second, 25, 25, 1))


def test_collapsed_embeddings_cost_the_variance():
    x = torch.ones(N, D)
    assert variance_term(x).item() == pytest.approx(0.99)
    assert covariance_term(x).item() == 0
    assert vicreg(x, x, 25, 25, 1).item() == pytest.approx(25 * 2 * 0.99)


def test_spread_and_independent_embeddings_cost_nothing():
    x = torch.cat([torch.eye(D), -torch.eye(D)]) * D  # centred, uncorrelated, standard deviation above 1
    assert vicreg(x, x, 25, 25, 1).item() == pytest.approx(0, abs=1e-5)
