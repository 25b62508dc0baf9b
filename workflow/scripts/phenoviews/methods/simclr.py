"""SimCLR (Chen et al. 2020)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from phenoviews.methods.base import Method
from phenoviews.methods.parts import heads
from phenoviews.methods.parts.float32 import in_float32, unit
from phenoviews.models.backbones import Backbone


class SimCLR(Method):
    """Each view finds the other view of its image among all views of the batch.

    `temperature`; `projector`: {head, hidden, out, batch_norm} of `parts.heads.projector`.
    """

    def __init__(self, encoder: Backbone, temperature: float, projector: dict[str, Any]):
        super().__init__(encoder, heads.projector(encoder.dim, **projector))
        self.temperature = temperature

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        return nt_xent(self.embed(first), self.embed(second), self.temperature)


@in_float32
def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """NT-Xent (Chen et al. 2020, equation 1) of embeddings (n, d): a scalar, mean over all 2n of them.

    Each embedding has its other view as the positive and the 2n - 2 embeddings of the other images as
    negatives; similarity is the cosine over `temperature`.
    """
    n = len(first)
    embeddings = unit(torch.cat([first, second]))
    logits = embeddings @ embeddings.T / temperature
    itself = torch.eye(2 * n, dtype=torch.bool, device=logits.device)
    positives = torch.arange(2 * n, device=logits.device).roll(n)
    return F.cross_entropy(logits.masked_fill(itself, -torch.inf), positives)
