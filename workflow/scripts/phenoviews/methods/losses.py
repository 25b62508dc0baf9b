"""Losses of embeddings, as pure functions: (n, d) tensors in, a scalar in float32 out.

All are computed in float32, autocast or not: a temperature of 0.07 multiplies bf16's rounding by 14.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def _in_float32(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Cast tensor arguments to float32 and switch autocast off inside `function`."""

    @functools.wraps(function)
    def wrapped(*args: Tensor | float) -> Tensor:
        args = tuple(a.float() if isinstance(a, Tensor) else a for a in args)
        with torch.autocast(args[0].device.type, enabled=False):
            return function(*args)

    return wrapped


@_in_float32
def unit(embeddings: Tensor) -> Tensor:
    """The rows scaled to Euclidean length 1."""
    return F.normalize(embeddings, dim=1)


@_in_float32
def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """SimCLR's NT-Xent (Chen et al. 2020, equation 1), mean over all 2n embeddings.

    Each embedding has its other view as the positive and the 2n - 2 embeddings of the other images as
    negatives; similarity is the cosine over `temperature`.
    """
    n = len(first)
    embeddings = unit(torch.cat([first, second]))
    logits = embeddings @ embeddings.T / temperature
    itself = torch.eye(2 * n, dtype=torch.bool, device=logits.device)
    positives = torch.arange(2 * n, device=logits.device).roll(n)
    return F.cross_entropy(logits.masked_fill(itself, -torch.inf), positives)


@_in_float32
def info_nce(queries: Tensor, keys: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """MoCo's InfoNCE (He et al. 2020, equation 1), mean over the n queries: query i against key i as the
    positive and the queue (m, d) as negatives. Queries and keys are scaled to length 1 here, the queue has
    been; keys and queue get no gradient."""
    queries, keys = unit(queries), unit(keys).detach()
    positive = (queries * keys).sum(dim=1, keepdim=True)
    logits = torch.cat([positive, queries @ queue.detach().T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(queries), dtype=torch.int64, device=logits.device))


@_in_float32
def regression(predictions: Tensor, targets: Tensor) -> Tensor:
    """BYOL's 2 - 2·cos (Grill et al. 2020, equation 2), mean over the n rows; targets get no gradient.

    Equals 2 + 2 · lightly's `NegativeCosineSimilarity`. The method adds both directions, so it lies in [0,
    8].
    """
    return 2 - 2 * (unit(predictions) * unit(targets).detach()).sum(dim=1).mean()


@_in_float32
def vicreg(first: Tensor, second: Tensor, invariance: float, variance: float, covariance: float) -> Tensor:
    """VICReg (Bardes et al. 2022, equations 1 to 6, with solo-learn's factors):

    invariance · mean squared difference + variance · (v(first) + v(second)) + covariance · (c(first) +
    c(second)).

    Factors: the squared difference is averaged over the dimensions too (the paper sums them); the two
    variance terms are added as in the paper and solo-learn, where lightly and the authors' code halve the
    sum, so lightly's `VICRegLoss` agrees at `mu_param = 2 · variance`.
    """
    return (
        invariance * F.mse_loss(first, second)
        + variance * (variance_term(first) + variance_term(second))
        + covariance * (covariance_term(first) + covariance_term(second))
    )


@_in_float32
def variance_term(embeddings: Tensor) -> Tensor:
    """Mean over the dimensions of max(0, 1 - sqrt(Var + 1e-4)), with the unbiased variance over the batch:
    0.99 where all embeddings are equal, 0 where each dimension has a standard deviation of at least 1."""
    return F.relu(1 - torch.sqrt(embeddings.var(dim=0) + 1e-4)).mean()


@_in_float32
def covariance_term(embeddings: Tensor) -> Tensor:
    """Sum of the squared covariances (unbiased) between two dimensions, over the number of dimensions."""
    n, dim = embeddings.shape
    centred = embeddings - embeddings.mean(dim=0)
    covariance = centred.T @ centred / (n - 1)
    return (covariance - covariance.diag().diag()).square().sum() / dim
