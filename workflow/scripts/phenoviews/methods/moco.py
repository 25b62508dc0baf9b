"""MoCo v2+: MoCo v2 (Chen et al. 2020) with a symmetric loss, in solo-learn's form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phenoviews.methods.base import Method
from phenoviews.methods.parts import heads
from phenoviews.methods.parts.float32 import in_float32, unit
from phenoviews.methods.parts.momentum import Momentum
from phenoviews.methods.parts.queue import Queue
from phenoviews.models.backbones import Backbone


class MoCo(Method):
    """Each view finds the momentum copy's key of the other view among a queue of earlier keys; mean of both
    directions. There is one queue for the first views' keys and one for the second views'.

    `temperature`; `queue`: keys kept per view; `ema`: [base, final] of the momentum; `projector`: {head,
    hidden, out, batch_norm} of `parts.heads.projector`; `queue_per_set`: where the losses of several sets of
    transformations are summed, whether each set has queues of its own, or all share those that the first set's
    keys fill (No Free Lunch, D.4; A-27).
    """

    def __init__(
        self,
        encoder: Backbone,
        temperature: float,
        queue: int,
        ema: Sequence[float],
        projector: dict[str, Any],
        queue_per_set: bool,
        sets: int,
    ):
        super().__init__(encoder, heads.projector(encoder.dim, **projector))
        self.temperature = temperature
        self.momentum = Momentum((self.encoder, self.projector), ema)
        self.queues = nn.ModuleList(
            nn.ModuleList(Queue(queue, self.projector.dim) for _ in range(2))
            for _ in range(sets if queue_per_set else 1)
        )
        self._keys: dict[int, list[Tensor]] = {}

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        queries = [self.embed(view) for view in (first, second)]
        keys = [unit(self.momentum(view)) for view in (first, second)]
        shared = len(self.queues) == 1
        queues = self._queues(0 if shared else branch)
        if branch < len(self.queues):
            self._keys[branch] = keys
        return (
            info_nce(queries[0], keys[1], queues[1].entries, self.temperature)
            + info_nce(queries[1], keys[0], queues[0].entries, self.temperature)
        ) / 2

    def after_step(self, progress: float) -> None:
        self.momentum.update((self.encoder, self.projector), progress)
        # Only now: a queue shared by several sets must not offer an image's key of this step as its own
        # negative, and the gradient needs the entries as they were.
        for branch, keys in self._keys.items():
            for queue, fresh in zip(self._queues(branch), keys, strict=True):
                queue.enqueue(fresh)

    def _queues(self, number: int) -> Sequence[Queue]:
        return cast(Sequence[Queue], self.queues[number])


@in_float32
def info_nce(queries: Tensor, keys: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """InfoNCE (He et al. 2020, equation 1), a scalar, mean over the n queries (n, d): query i against key i as the
    positive and the queue (m, d) as negatives. Queries and keys are scaled to length 1 here, the queue has
    been; keys and queue get no gradient."""
    queries, keys = unit(queries), unit(keys).detach()
    positive = (queries * keys).sum(dim=1, keepdim=True)
    logits = torch.cat([positive, queries @ queue.detach().T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(queries), dtype=torch.int64, device=logits.device))
