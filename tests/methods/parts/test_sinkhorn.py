"""Sinkhorn's codes against lightly's and by hand."""

from __future__ import annotations

import pytest
import torch
from lightly.loss.swav_loss import sinkhorn as lightlys

from phenoviews.methods.parts.sinkhorn import sinkhorn


@pytest.mark.parametrize("iterations", [1, 3])
@pytest.mark.parametrize(("n", "k"), [(12, 30), (40, 5)])
def test_codes_are_lightlys(n, k, iterations):
    scores = torch.rand(n, k) * 2 - 1
    torch.testing.assert_close(sinkhorn(scores, 0.05, iterations), lightlys(scores, iterations, 0.05))


def test_codes_by_hand():
    """exp(scores) is ((1, 1), (1, 3)). Columns over their sums 2 and 4: ((1/2, 1/4), (1/2, 3/4)); rows over theirs, 3/4
    and 5/4."""
    scores = torch.tensor([[1.0, 1.0], [1.0, 3.0]]).log().requires_grad_()
    codes = sinkhorn(scores, 1.0, 1)
    torch.testing.assert_close(codes, torch.tensor([[2 / 3, 1 / 3], [2 / 5, 3 / 5]]))
    assert not codes.requires_grad


def test_rows_sum_to_1_and_in_the_end_columns_are_alike():
    scores = torch.rand(20, 5)
    torch.testing.assert_close(sinkhorn(scores, 0.05, 1).sum(dim=1), torch.ones(20))
    torch.testing.assert_close(sinkhorn(scores, 0.05, 200).sum(dim=0), torch.full((5,), 4.0), rtol=1e-3, atol=0)


def test_a_small_epsilon_is_finite_and_chooses():
    """Where exp(scores / epsilon) is infinite in float32."""
    codes = sinkhorn(torch.eye(3), 1e-3, 3)
    torch.testing.assert_close(codes, torch.eye(3))
