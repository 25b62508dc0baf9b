"""Barlow Twins (Zbontar et al. 2021)."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from phenoviews.methods.base import Method
from phenoviews.methods.parts import heads
from phenoviews.methods.parts.float32 import in_float32
from phenoviews.models.backbones import Backbone


class BarlowTwins(Method):
    """Over the batch, each dimension of one view's embeddings correlates with the same one of the other's, and with no
    other.

    `redundancy`: the weight of the second; `scale`: of the whole loss; `projector`: {head, hidden, out, batch_norm} of
    `parts.heads.projector`.
    """

    def __init__(self, encoder: Backbone, redundancy: float, scale: float, projector: dict[str, Any]):
        super().__init__(encoder, heads.projector(encoder.dim, **projector))
        self.redundancy = redundancy
        self.scale = scale

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        return self.scale * barlow_twins(self.embed(first), self.embed(second), self.redundancy)


@in_float32
def barlow_twins(first: Tensor, second: Tensor, redundancy: float) -> Tensor:
    """Σ_i (1 - C_ii)² + redundancy · Σ_i≠j C_ij² (Zbontar et al. 2021, equation 1) of embeddings (n, d): a scalar.

    C (d, d) has the correlations over the batch between the dimensions of the first views' embeddings and those of the
    second's (equation 2), each standardised as batch normalisation does it, with 1e-5 beside the variance.
    """
    standard = [F.batch_norm(view, None, None, training=True) for view in (first, second)]
    correlations = standard[0].T @ standard[1] / len(first)
    same = correlations.diag()
    return (1 - same).square().sum() + redundancy * (correlations - same.diag()).square().sum()
