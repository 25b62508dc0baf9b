"""BYOL (Grill et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from phenoviews.methods.base import Method
from phenoviews.methods.parts import heads
from phenoviews.methods.parts.momentum import Momentum
from phenoviews.methods.parts.regression import regression
from phenoviews.models.backbones import Backbone


class BYOL(Method):
    """From one view's embedding predict the momentum copy's embedding of the other; both directions added.

    `ema`: [base, final] of the momentum; `projector`: {head, hidden, out, batch_norm} of `parts.heads.projector`;
    `predictor`: {hidden, batch_norm} of `parts.heads.mlp`, its input and output as long as the projector's output.
    """

    def __init__(self, encoder: Backbone, ema: Sequence[float], projector: dict[str, Any], predictor: dict[str, Any]):
        super().__init__(encoder, heads.projector(encoder.dim, **projector))
        self.predictor = heads.mlp(self.projector.dim, **predictor, out=self.projector.dim)
        self.momentum = Momentum((self.encoder, self.projector), ema)

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        predictions = [self.predictor(self.embed(view)) for view in (first, second)]
        targets = [self.momentum(view) for view in (first, second)]
        return regression(predictions[0], targets[1]) + regression(predictions[1], targets[0])

    def after_step(self, progress: float) -> None:
        self.momentum.update((self.encoder, self.projector), progress)
