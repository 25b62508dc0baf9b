"""SimCLR's loss against lightly's and by hand; the method by its definition."""

from __future__ import annotations

import math

import pytest
import torch
from lightly.loss import NTXentLoss
from tests.methods.embeddings import D, N, assert_same, embeddings
from tests.methods.small import PARAMS, build, loss_of, views

from phenoviews.methods.simclr import nt_xent


@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
def test_nt_xent_is_lightlys(temperature):
    theirs = NTXentLoss(temperature=temperature)
    assert_same(lambda a, b: nt_xent(a, b, temperature), theirs, embeddings(scale=3))


def test_nt_xent_by_hand():
    """Two images, views at right angles: each view has its positive at cosine 1, two negatives at 0."""
    views_ = torch.eye(2)
    expected = math.log(math.exp(1 / 0.5) + 2) - 1 / 0.5
    assert nt_xent(views_, views_, 0.5).item() == pytest.approx(expected)


def test_aligned_and_collapsed_embeddings():
    """Nothing left to pull together; and all the same, which is as bad as guessing."""
    assert nt_xent(torch.eye(N), torch.eye(N), 0.01).item() == pytest.approx(0, abs=1e-6)
    same = torch.ones(N, D)
    assert nt_xent(same, same, 0.2).item() == pytest.approx(math.log(2 * N - 1))


def test_simclr_without_a_head_compares_the_features():
    method = build("simclr", projector={**PARAMS["simclr"]["projector"], "head": "identity"})
    first, second = views(), views()
    expected = nt_xent(method.encoder(first), method.encoder(second), PARAMS["simclr"]["temperature"])
    torch.testing.assert_close(loss_of(method, [(1.0, first, second)]), expected)
