"""VICReg (Bardes et al. 2022)."""

from __future__ import annotations

from torch import Tensor, nn

from phenoviews.methods import losses
from phenoviews.methods.base import Method
from phenoviews.methods.parts import mlp


class VICReg(Method):
    """Embeddings of two views agree, every dimension varies, no two dimensions say the same.

    `invariance`, `variance`, `covariance`: the terms' weights; `projector`: {hidden, out, batch_norm} of
    `mlp`.
    """

    def __init__(self, encoder: nn.Module, invariance: float, variance: float, covariance: float, projector: dict):
        super().__init__(encoder, mlp(encoder.dim, **projector))
        self.weights = (invariance, variance, covariance)

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        embeddings = [self.projector(self.encode(view)) for view in (first, second)]
        return losses.vicreg(*embeddings, *self.weights)
