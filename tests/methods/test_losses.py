"""What every loss of a pair promises, whichever method it is of."""

from __future__ import annotations

import pytest
import torch
from tests.methods.embeddings import D, N, embeddings

from phenoviews.methods.barlow import barlow_twins
from phenoviews.methods.moco import info_nce
from phenoviews.methods.nnclr import neighbour_nce
from phenoviews.methods.parts.float32 import unit
from phenoviews.methods.parts.regression import regression
from phenoviews.methods.ressl import relation
from phenoviews.methods.simclr import nt_xent
from phenoviews.methods.vibcreg import vibcreg
from phenoviews.methods.vicreg import vicreg

PAIRS = {
    "nt_xent": lambda a, b: nt_xent(a, b, 0.2),
    "info_nce": lambda a, b: info_nce(a, b, unit(torch.ones(3, D).triu()), 0.2),
    "regression": regression,
    "vicreg": lambda a, b: vicreg(a, b, 25, 25, 1),
    "barlow_twins": lambda a, b: barlow_twins(a, b, 0.0051),
    "neighbour_nce": lambda a, b: neighbour_nce(b, a, 0.2),
    "vibcreg": lambda a, b: vibcreg(a, b, 25, 25, 200),
    "relation": lambda a, b: relation(a, b, unit(torch.ones(3, D).triu()), 0.1, 0.04),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_order_of_the_batch_does_not_matter(name):
    first, second = embeddings()
    order = torch.randperm(N)
    torch.testing.assert_close(PAIRS[name](first[order], second[order]), PAIRS[name](first, second))


@pytest.mark.parametrize("name", ["nt_xent", "regression", "vicreg", "barlow_twins", "vibcreg"])
def test_the_views_may_be_exchanged(name):
    first, second = embeddings()
    torch.testing.assert_close(PAIRS[name](first, second), PAIRS[name](second, first))


@pytest.mark.parametrize("name", ["nt_xent", "info_nce", "regression", "neighbour_nce", "relation"])
def test_only_directions_count(name):
    first, second = embeddings()
    lengths = torch.rand(2, N, 1) * 9 + 0.1
    torch.testing.assert_close(PAIRS[name](first * lengths[0], second * lengths[1]), PAIRS[name](first, second))


@pytest.mark.parametrize("name", PAIRS)
def test_the_mismatched_pairs_cost_more(name):
    first = embeddings(count=1)[0]
    second = first + 0.1 * torch.randn(N, D)
    assert PAIRS[name](first, second) < PAIRS[name](first, second.roll(1, dims=0))


@pytest.mark.parametrize("name", PAIRS)
def test_float32_inside_autocast(name):
    """Autocast changes nothing but the inputs' own rounding."""
    first, second = (x.detach().bfloat16() for x in embeddings(scale=10))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = PAIRS[name](first, second)
    assert value.dtype == torch.float32
    assert torch.equal(value, PAIRS[name](first.float(), second.float()))


@pytest.mark.parametrize("name", PAIRS)
def test_finite_at_the_limits(name):
    """Zero vectors, equal views, huge values: finite values and gradients."""
    for first in (torch.zeros(N, D), torch.ones(N, D), torch.randn(N, D) * 1e4):
        first = first.requires_grad_()
        value = PAIRS[name](first, first.detach().clone())
        value.backward()
        assert value.isfinite()
        assert first.grad.isfinite().all()
