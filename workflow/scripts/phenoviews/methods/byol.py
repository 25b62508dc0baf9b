"""BYOL (Grill et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from phenoviews.methods import parts
from phenoviews.methods.base import Method
from phenoviews.methods.losses import regression
from phenoviews.methods.parts import Momentum, mlp


class BYOL(Method):
    """From one view's embedding predict the momentum copy's embedding of the other; both directions added.

    `ema`: [base, final] of the momentum; `projector`: {head, hidden, out, batch_norm} of `parts.projector`;
    `predictor`: {hidden, batch_norm} of `parts.mlp`, its input and output as long as the projector's output.
    """

    def __init__(self, encoder: nn.Module, ema: Sequence[float], projector: dict, predictor: dict):
        super().__init__(encoder, parts.projector(encoder.dim, **projector))
        self.predictor = mlp(self.projector.dim, **predictor, out=self.projector.dim)
        self.momentum = Momentum((self.encoder, self.projector), ema)

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        predictions = [self.predictor(self.projector(self.encode(view))) for view in (first, second)]
        targets = [self.momentum(view) for view in (first, second)]
        return regression(predictions[0], targets[1]) + regression(predictions[1], targets[0])

    def after_step(self, progress: float) -> None:
        self.momentum.update((self.encoder, self.projector), progress)
