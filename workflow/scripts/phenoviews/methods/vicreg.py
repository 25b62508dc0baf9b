"""VICReg (Bardes et al. 2022)."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from phenoviews.methods.base import Method
from phenoviews.methods.parts import heads
from phenoviews.methods.parts.float32 import in_float32
from phenoviews.methods.parts.variance import variance_term
from phenoviews.models.backbones import Backbone


class VICReg(Method):
    """Embeddings of two views agree, every dimension varies, no two dimensions say the same.

    `invariance`, `variance`, `covariance`: the terms' weights; `projector`: {head, hidden, out,
    batch_norm} of `parts.heads.projector`.
    """

    def __init__(
        self, encoder: Backbone, invariance: float, variance: float, covariance: float, projector: dict[str, Any]
    ):
        super().__init__(encoder, heads.projector(encoder.dim, **projector))
        self.weights = (invariance, variance, covariance)

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        return vicreg(self.embed(first), self.embed(second), *self.weights)


@in_float32
def vicreg(first: Tensor, second: Tensor, invariance: float, variance: float, covariance: float) -> Tensor:
    """VICReg (Bardes et al. 2022, equations 1 to 6, with solo-learn's factors) of embeddings (n, d), a scalar:

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


@in_float32
def covariance_term(embeddings: Tensor) -> Tensor:
    """Sum of the squared covariances (unbiased) between two dimensions, over the number of dimensions."""
    n, dim = embeddings.shape
    centred = embeddings - embeddings.mean(dim=0)
    covariance = centred.T @ centred / (n - 1)
    return (covariance - covariance.diag().diag()).square().sum() / dim
