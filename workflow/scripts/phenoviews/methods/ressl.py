"""ReSSL (Zheng et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from phenoviews.methods.base import Method
from phenoviews.methods.parts import heads
from phenoviews.methods.parts.distillation import distillation
from phenoviews.methods.parts.float32 import in_float32, unit
from phenoviews.methods.parts.momentum import Momentum
from phenoviews.methods.parts.queue import Queue
from phenoviews.models.backbones import Backbone


class ReSSL(Method):
    """The first view is as similar to earlier embeddings as the momentum copy, the teacher, finds the second view to
    be. The loss has one direction: the second view is meant to be the weaker, and is the teacher's alone.

    `temperature`, `teacher_temperature`: of the first view's similarities, and of the second's; `queue`: how many of
    the momentum copy's embeddings are kept, of the first set where the losses of several sets of transformations are
    summed; `ema`: [base, final] of the momentum; `projector`: {head, hidden, out, batch_norm} of
    `parts.heads.projector`.

    solo-learn also shows the second view to the encoder and the first to the teacher; no gradient comes of it, but
    their running statistics of batch normalisation see those views, too. The paper's algorithm 1 does not.
    """

    def __init__(
        self,
        encoder: Backbone,
        temperature: float,
        teacher_temperature: float,
        queue: int,
        ema: Sequence[float],
        projector: dict[str, Any],
    ):
        super().__init__(encoder, heads.projector(encoder.dim, **projector))
        self.temperatures = (temperature, teacher_temperature)
        self.momentum = Momentum((self.encoder, self.projector), ema)
        self.queue = Queue(queue, self.projector.dim)

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        queries, keys = self.embed(first), self.momentum(second)
        if branch == 0:
            self._fresh = unit(keys)
        return relation(queries, keys, self.queue.entries, *self.temperatures)

    def after_step(self, progress: float) -> None:
        self.momentum.update((self.encoder, self.projector), progress)
        # Only now: an image must not be compared with itself, in another set's view either.
        self.queue.enqueue(self._fresh)


@in_float32
def relation(queries: Tensor, keys: Tensor, queue: Tensor, temperature: float, teacher_temperature: float) -> Tensor:
    """Cross-entropy between two distributions over the queue (m, d) (Zheng et al. 2021, equations 3 to 5), a scalar,
    mean over the n: the softmax of query i's cosines (n, d) over `temperature`, and of key i's over
    `teacher_temperature`. Queries and keys are scaled to length 1 here, the queue has been; only queries get a
    gradient."""
    scores, targets = (unit(views) @ queue.T for views in (queries, keys))
    return distillation(scores, (targets / teacher_temperature).softmax(dim=1), temperature)
