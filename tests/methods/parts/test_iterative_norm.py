"""Iterative normalisation against eigenvectors, batch normalisation and by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from phenoviews.methods.parts.iterative_norm import EPSILON, IterativeNorm, covariance, inverse_root


def covariances(count: int = 3, dim: int = 4) -> torch.Tensor:
    x = torch.randn(count, dim, 20, dtype=torch.float64)
    return x @ x.mT / 20


def test_newtons_iterations_end_at_the_inverse_root():
    matrices = covariances()
    values, vectors = torch.linalg.eigh(matrices)
    exact = vectors @ torch.diag_embed(values**-0.5) @ vectors.mT
    errors = [(inverse_root(matrices.float(), steps) - exact.float()).norm().item() for steps in (1, 3, 5, 20)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3 * exact.norm()
    assert (inverse_root(matrices.float(), 200) - exact.float()).norm() < 1e-3 * exact.norm()


def test_one_iteration_by_hand():
    """Of diag(1, 3): scaled to (1/4, 3/4), from 1: 3/2 - 1/2 · (1/4, 3/4), over the root of the trace."""
    found = inverse_root(torch.diag(torch.tensor([1.0, 3.0])), 1)
    torch.testing.assert_close(found, torch.diag(torch.tensor([1.375, 1.125])) / 2)


def test_groups_are_white_after_many_iterations_and_know_nothing_of_each_other():
    mixed = torch.randn(200, 12) @ torch.randn(12, 12) + torch.randn(12)
    white = IterativeNorm(12, groups=3, iterations=30)(mixed)
    torch.testing.assert_close(white.mean(0), torch.zeros(12), rtol=0, atol=1e-4)
    found = white.T @ white / 200
    for start in (0, 4, 8):
        block = slice(start, start + 4)
        torch.testing.assert_close(found[block, block], torch.eye(4), rtol=0, atol=1e-2)
        alone = IterativeNorm(4, groups=1, iterations=30)(mixed[:, block])
        torch.testing.assert_close(white[:, block], alone, rtol=1e-3, atol=1e-3)
    assert found[:4, 4:].abs().max() > 0.05


def test_with_a_group_for_each_dimension_it_is_batch_normalisation():
    """A matrix of one number scaled to a trace of 1 has its root at once. Their running variances are unlike: here the
    whitening itself is averaged."""
    ours, theirs = IterativeNorm(6, groups=6, iterations=5), nn.BatchNorm1d(6, eps=EPSILON)
    x = torch.randn(40, 6) * torch.rand(6) * 5 + 3
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.running_mean.flatten(), theirs.running_mean)
    expected = 0.9 + 0.1 * (x.var(0, correction=0) + EPSILON) ** -0.5
    torch.testing.assert_close(ours.running_whitening.flatten(), expected)


def test_in_evaluation_the_running_statistics_count():
    norm, x = IterativeNorm(8, groups=2, iterations=5), torch.randn(50, 8) @ torch.randn(8, 8) + 1
    for _ in range(150):
        trained = norm(x)
    norm.eval()
    torch.testing.assert_close(norm(x), trained, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(torch.cat([norm(one) for one in x.split(1)]), norm(x))
    assert not norm(x + 1).mean(0).allclose(trained.mean(0))


def test_weight_and_bias_are_of_the_dimensions():
    norm, x = IterativeNorm(8, groups=2, iterations=5), torch.randn(50, 8)
    plain = norm(x)
    weight, bias = torch.rand(8), torch.randn(8)
    norm.weight.data.copy_(weight)
    norm.bias.data.copy_(bias)
    torch.testing.assert_close(norm(x), plain * weight + bias)


@pytest.mark.parametrize(
    ("dim", "groups", "shape"),
    [(2048, 64, (64, 32)), (512, 64, (64, 8)), (16, 64, (16, 1)), (12, 5, (4, 3)), (12, 2, (2, 6)), (100, 8, (100, 1))],
)
def test_the_size_of_groups_divides_the_dimensions(dim, groups, shape):
    """The authors' rule: rounded up, and halved until it does: 12 / 5 → 3 divides; 100 / 8 → 13 → 6 → 3 → 1."""
    assert IterativeNorm(dim, groups, 1).shape == shape


def test_gradients_go_through_the_whitening():
    """Against differences of the function itself, in float64."""
    x = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)

    def white(x):
        centred = (x - x.mean(0)).T
        return (inverse_root(covariance(centred[None]), 5)[0] @ centred).T

    assert torch.autograd.gradcheck(white, x)


def test_it_computes_in_float32_inside_autocast():
    norm, x = IterativeNorm(8, groups=2, iterations=5), torch.randn(50, 8).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        white = norm(x)
    torch.testing.assert_close(white, norm(x.float()))
    assert white.dtype == torch.float32
