"""VIbCReg (Lee & Aune 2021): VICReg with correlations for covariances, behind a head that whitens."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from phenoviews.methods.base import Method
from phenoviews.methods.parts import heads
from phenoviews.methods.parts.float32 import in_float32
from phenoviews.methods.parts.gelu import gelu
from phenoviews.methods.parts.iterative_norm import IterativeNorm
from phenoviews.methods.parts.variance import variance_term
from phenoviews.models.backbones import Backbone


class VIbCReg(Method):
    """Embeddings of two views agree, every dimension varies, no two dimensions correlate.

    `invariance`, `variance`, `covariance`: the terms' weights; `groups`, `iterations`: of `parts.iterative_norm`;
    `projector`: {head, hidden, out, batch_norm} of `parts.heads.projector`, with GELU, and iterative normalisation
    after its last layer.
    """

    def __init__(
        self,
        encoder: Backbone,
        invariance: float,
        variance: float,
        covariance: float,
        groups: int,
        iterations: int,
        projector: dict[str, Any],
    ):
        head = gelu(heads.projector(encoder.dim, **projector))
        super().__init__(encoder, heads.Head([*head, IterativeNorm(head.dim, groups, iterations)], head.dim))
        self.weights = (invariance, variance, covariance)

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        return vibcreg(self.embed(first), self.embed(second), *self.weights)


@in_float32
def vibcreg(first: Tensor, second: Tensor, invariance: float, variance: float, covariance: float) -> Tensor:
    """VIbCReg (Lee & Aune 2021, with solo-learn's factors) of embeddings (n, d), a scalar: invariance · mean squared
    difference + variance · (v(first) + v(second)) + covariance · (c(first) + c(second)), with v of `parts.variance`.
    """
    return (
        invariance * F.mse_loss(first, second)
        + variance * (variance_term(first) + variance_term(second))
        + covariance * (correlation_term(first) + correlation_term(second))
    )


@in_float32
def correlation_term(embeddings: Tensor) -> Tensor:
    """Sum of the squared correlations between two dimensions, over the number of dimensions squared: about 1 where all
    dimensions are alike, 0 where they are uncorrelated."""
    standard = F.normalize(embeddings - embeddings.mean(dim=0), dim=0)
    correlations = standard.T @ standard
    return (correlations - correlations.diag().diag()).square().mean()
