"""VICReg (Bardes et al. 2022)."""

from __future__ import annotations

from torch import Tensor, nn

from phenoviews.methods import losses, parts
from phenoviews.methods.base import Method


class VICReg(Method):
    """Embeddings of two views agree, every dimension varies, no two dimensions say the same.

    `invariance`, `variance`, `covariance`: the terms' weights; `projector`: {head, hidden, out,
    batch_norm} of `parts.projector`.
    """

    def __init__(self, encoder: nn.Module, invariance: float, variance: float, covariance: float, projector: dict):
        super().__init__(encoder, parts.projector(encoder.dim, **projector))
        self.weights = (invariance, variance, covariance)

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        embeddings = [self.projector(self.encode(view)) for view in (first, second)]
        return losses.vicreg(*embeddings, *self.weights)
