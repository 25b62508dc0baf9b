"""Barlow Twins: its loss against lightly's and by hand, ten steps by its equations."""

from __future__ import annotations

import pytest
import torch
from lightly.loss import BarlowTwinsLoss
from tests.methods.embeddings import D, N, assert_same, embeddings
from tests.methods.equations import Equations, assert_ten_steps
from tests.methods.small import PARAMS

from phenoviews.methods.barlow import barlow_twins


@pytest.mark.parametrize("scale", [0.1, 3.0])
@pytest.mark.parametrize(("n", "dim"), [(12, 20), (64, 8)])
def test_barlow_twins_is_lightlys(scale, n, dim):
    theirs = BarlowTwinsLoss(lambda_param=0.0051)
    assert_same(lambda a, b: barlow_twins(a, b, 0.0051), theirs, embeddings(n=n, dim=dim, scale=scale))


def test_barlow_twins_by_hand():
    """The first dimension is the same in both views, the second is reversed; the two are uncorrelated."""
    first = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    second = first * torch.tensor([1.0, -1.0])
    assert barlow_twins(first, second, 0.5).item() == pytest.approx((1 - 1) ** 2 + (1 + 1) ** 2, abs=1e-3)
    # Both dimensions say the same: correlations of 1 on and off the diagonal.
    same = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    assert barlow_twins(same, same, 0.5).item() == pytest.approx(0.5 * 2, abs=1e-3)


def test_scale_and_shift_of_a_dimension_are_not_seen():
    first, second = embeddings(n=64)
    changed = first * (torch.rand(D) + 0.5) + torch.randn(D)
    torch.testing.assert_close(barlow_twins(changed, second, 0.1), barlow_twins(first, second, 0.1), rtol=1e-3, atol=0)


def test_collapsed_embeddings_cost_the_diagonal():
    x = torch.ones(N, D)
    assert barlow_twins(x, x, 0.0051).item() == pytest.approx(D)


class BarlowTwinsEquations(Equations):
    def loss(self, first, second, rows):
        """Equations 1 and 2, with batch normalisation's 1e-5, and solo-learn's scale."""
        redundancy, scale = PARAMS["barlow"]["redundancy"], PARAMS["barlow"]["scale"]
        z = [self.embed(view) for view in (first, second)]
        z = [(x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt() for x in z]
        total = torch.zeros(())
        for i in range(z[0].shape[1]):
            for j in range(z[0].shape[1]):
                correlation = (z[0][:, i] * z[1][:, j]).mean()
                total = total + ((1 - correlation) ** 2 if i == j else redundancy * correlation**2)
        return scale * total


def test_ten_steps_by_the_equations():
    assert_ten_steps("barlow", BarlowTwinsEquations)
