"""Losses against lightly's on the same inputs, in values and gradients; their properties and limits."""

from __future__ import annotations

import math

import pytest
import torch
from lightly.loss import NegativeCosineSimilarity, NTXentLoss, VICRegLoss
from torch import Tensor

from phenoviews.methods import losses

N, D = 12, 20


def embeddings(*, count: int = 2, n: int = N, dim: int = D, scale: float = 1.0) -> list[Tensor]:
    return [(scale * torch.randn(n, dim)).requires_grad_() for _ in range(count)]


def assert_same(ours, theirs, inputs: list[Tensor]) -> None:
    """Equal values, and equal gradients with respect to every input."""
    values = [ours(*inputs), theirs(*inputs)]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*(torch.autograd.grad(v, inputs, allow_unused=True) for v in values))


def queue(length: int = 30) -> Tensor:
    return losses.unit(torch.randn(length, D))


# ------------------------------------------------------------------------------------------------ against lightly


@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
def test_nt_xent_is_lightlys(temperature):
    theirs = NTXentLoss(temperature=temperature)
    assert_same(lambda a, b: losses.nt_xent(a, b, temperature), theirs, embeddings(scale=3))


@pytest.mark.parametrize("temperature", [0.07, 0.2])
def test_info_nce_is_lightlys_with_a_memory_bank(temperature):
    negatives = queue()
    theirs = NTXentLoss(temperature=temperature, memory_bank_size=(len(negatives), D))
    theirs.memory_bank.bank = negatives.clone()
    queries, keys = embeddings(scale=3)
    keys = keys.detach()  # as a momentum network's are
    assert_same(lambda q: losses.info_nce(q, keys, negatives, temperature), lambda q: theirs(q, keys), [queries])


def test_regression_is_2_plus_twice_lightlys():
    predictions, targets = embeddings(scale=3)
    targets = targets.detach()
    theirs = NegativeCosineSimilarity()
    assert_same(lambda p: losses.regression(p, targets), lambda p: 2 + 2 * theirs(p, targets), [predictions])


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
@pytest.mark.parametrize(("n", "dim"), [(12, 20), (64, 8)])
def test_vicreg_is_lightlys_with_twice_the_variance_weight(scale, n, dim):
    theirs = VICRegLoss(lambda_param=25, mu_param=2 * 25, nu_param=1)
    assert_same(lambda a, b: losses.vicreg(a, b, 25, 25, 1), theirs, embeddings(n=n, dim=dim, scale=scale))


# ------------------------------------------------------------------------------------------------------ by hand


def test_nt_xent_by_hand():
    """Two images, views at right angles: each view has its positive at cosine 1, two negatives at 0."""
    views = torch.eye(2)
    expected = math.log(math.exp(1 / 0.5) + 2) - 1 / 0.5
    assert losses.nt_xent(views, views, 0.5).item() == pytest.approx(expected)


def test_info_nce_by_hand():
    """Positive at cosine 0.6, negatives at 1 and 0."""
    queries, keys = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8]])
    value = losses.info_nce(queries, keys, torch.eye(2), 0.1).item()
    assert value == pytest.approx(math.log(math.exp(6) + math.exp(10) + 1) - 6)


def test_variance_and_covariance_by_hand():
    x = torch.tensor([[0.0, 0.0], [1.0, 2.0]])  # variances 1/2 and 2, covariance 1
    assert losses.variance_term(x).item() == pytest.approx((1 - math.sqrt(0.5 + 1e-4)) / 2)
    assert losses.covariance_term(x).item() == pytest.approx(2 * 1**2 / 2)


# --------------------------------------------------------------------------------------------------- properties

PAIRS = {
    "nt_xent": lambda a, b: losses.nt_xent(a, b, 0.2),
    "info_nce": lambda a, b: losses.info_nce(a, b, losses.unit(torch.ones(3, D).triu()), 0.2),
    "regression": losses.regression,
    "vicreg": lambda a, b: losses.vicreg(a, b, 25, 25, 1),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_order_of_the_batch_does_not_matter(name):
    first, second = embeddings()
    order = torch.randperm(N)
    torch.testing.assert_close(PAIRS[name](first[order], second[order]), PAIRS[name](first, second))


@pytest.mark.parametrize("name", ["nt_xent", "regression", "vicreg"])
def test_the_views_may_be_exchanged(name):
    first, second = embeddings()
    torch.testing.assert_close(PAIRS[name](first, second), PAIRS[name](second, first))


@pytest.mark.parametrize("name", ["nt_xent", "info_nce", "regression"])
def test_only_directions_count(name):
    first, second = embeddings()
    lengths = torch.rand(2, N, 1) * 9 + 0.1
    torch.testing.assert_close(PAIRS[name](first * lengths[0], second * lengths[1]), PAIRS[name](first, second))


def test_vicreg_does_not_see_a_shift_of_both_views():
    first, second = embeddings()
    torch.testing.assert_close(PAIRS["vicreg"](first + 3, second + 3), PAIRS["vicreg"](first, second))


@pytest.mark.parametrize("name", PAIRS)
def test_the_mismatched_pairs_cost_more(name):
    first = embeddings(count=1)[0]
    second = first + 0.1 * torch.randn(N, D)
    assert PAIRS[name](first, second) < PAIRS[name](first, second.roll(1, dims=0))


def test_perfect_alignment():
    x = embeddings(count=1)[0]
    assert losses.regression(x, 5 * x).item() == pytest.approx(0, abs=1e-6)
    assert losses.regression(x, -x).item() == pytest.approx(4)
    assert losses.nt_xent(torch.eye(N), torch.eye(N), 0.01).item() == pytest.approx(0, abs=1e-6)


def test_collapsed_embeddings():
    """All the same: as bad as guessing for the contrastive losses, 1 - sqrt(1e-4) for VICReg's variance."""
    x = torch.ones(N, D)
    assert losses.nt_xent(x, x, 0.2).item() == pytest.approx(math.log(2 * N - 1))
    assert losses.info_nce(x, x, losses.unit(torch.ones(30, D)), 0.2).item() == pytest.approx(math.log(31))
    assert losses.variance_term(x).item() == pytest.approx(0.99)
    assert losses.covariance_term(x).item() == 0
    assert losses.vicreg(x, x, 25, 25, 1).item() == pytest.approx(25 * 2 * 0.99)


def test_spread_and_independent_embeddings_cost_nothing_in_vicreg():
    x = torch.cat([torch.eye(D), -torch.eye(D)]) * D  # centred, uncorrelated, standard deviation above 1
    assert losses.vicreg(x, x, 25, 25, 1).item() == pytest.approx(0, abs=1e-5)


def test_a_larger_queue_makes_it_harder():
    queries, keys = embeddings()
    negatives = queue(100)
    values = [losses.info_nce(queries, keys, negatives[:n], 0.2) for n in (1, 10, 100)]
    assert values == sorted(values)


def test_targets_keys_and_queue_get_no_gradient():
    first, second = embeddings()
    negatives = queue().requires_grad_()
    (losses.regression(first, second) + losses.info_nce(first, second, negatives, 0.2)).backward()
    assert first.grad is not None
    assert second.grad is None
    assert negatives.grad is None


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
