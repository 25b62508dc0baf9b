"""NNBYOL: BYOL with nearest neighbours for targets (Dwibedi et al. 2021, section 4.4), in solo-learn's form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from phenoviews.methods.base import Method
from phenoviews.methods.parts import heads
from phenoviews.methods.parts.float32 import unit
from phenoviews.methods.parts.momentum import Momentum
from phenoviews.methods.parts.neighbours import nearest
from phenoviews.methods.parts.queue import Queue
from phenoviews.methods.parts.regression import regression
from phenoviews.models.backbones import Backbone


class NNBYOL(Method):
    """From one view's embedding predict the nearest earlier neighbour of the momentum copy's embedding of the other;
    both directions added.

    `queue`: how many of the momentum copy's embeddings are kept, of first views, and of the first set where the losses
    of several sets of transformations are summed; `ema`: [base, final] of the momentum; `projector`: {head, hidden,
    out, batch_norm} of `parts.heads.projector`; `predictor`: {hidden, batch_norm} of `parts.heads.mlp`, its input and
    output as long as the projector's output.
    """

    def __init__(
        self,
        encoder: Backbone,
        queue: int,
        ema: Sequence[float],
        projector: dict[str, Any],
        predictor: dict[str, Any],
    ):
        super().__init__(encoder, heads.projector(encoder.dim, **projector))
        self.predictor = heads.mlp(self.projector.dim, **predictor, out=self.projector.dim)
        self.momentum = Momentum((self.encoder, self.projector), ema)
        self.queue = Queue(queue, self.projector.dim)

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        predictions = [self.predictor(self.embed(view)) for view in (first, second)]
        embeddings = [self.momentum(view) for view in (first, second)]
        targets = [nearest(embedding, self.queue.entries) for embedding in embeddings]
        if branch == 0:
            self._fresh = unit(embeddings[0])
        return regression(predictions[0], targets[1]) + regression(predictions[1], targets[0])

    def after_step(self, progress: float) -> None:
        self.momentum.update((self.encoder, self.projector), progress)
        # Only now: an image must not find itself, in another set's view either.
        self.queue.enqueue(self._fresh)
