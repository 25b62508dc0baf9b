"""SimCLR (Chen et al. 2020)."""

from __future__ import annotations

from torch import Tensor, nn

from phenoviews.methods import parts
from phenoviews.methods.base import Method
from phenoviews.methods.losses import nt_xent


class SimCLR(Method):
    """Each view finds the other view of its image among all views of the batch.

    `temperature`; `projector`: {head, hidden, out, batch_norm} of `parts.projector`.
    """

    def __init__(self, encoder: nn.Module, temperature: float, projector: dict):
        super().__init__(encoder, parts.projector(encoder.dim, **projector))
        self.temperature = temperature

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        embeddings = [self.projector(self.encode(view)) for view in (first, second)]
        return nt_xent(*embeddings, self.temperature)
