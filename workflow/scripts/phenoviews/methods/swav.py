"""SwAV (Caron et al. 2020), without small crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from phenoviews.methods.base import Method
from phenoviews.methods.parts import heads
from phenoviews.methods.parts.distillation import distillation
from phenoviews.methods.parts.float32 import unit
from phenoviews.methods.parts.prototypes import Prototypes
from phenoviews.methods.parts.queue import Queue
from phenoviews.methods.parts.sinkhorn import sinkhorn
from phenoviews.models.backbones import Backbone


class SwAV(Method):
    """From one view's scores over the prototypes tell the code of the other; mean of both directions. Codes are shared
    out such that all prototypes are used alike, by the batch, and later by earlier embeddings of the same view, too.

    `temperature`: of the scores; `prototypes`: how many; `frozen_epochs`: for how many they keep their start; `queue`:
    how many embeddings are kept per view (of the first set where the losses of several sets of transformations are
    summed), from the first step on; `queue_from_epoch`: the first in which codes are shared out with them; `epsilon`,
    `iterations`: of `parts.sinkhorn`; `projector`: {head, hidden, out, batch_norm} of `parts.heads.projector`.
    """

    def __init__(
        self,
        encoder: Backbone,
        temperature: float,
        prototypes: int,
        frozen_epochs: int,
        queue: int,
        queue_from_epoch: int,
        epsilon: float,
        iterations: int,
        projector: dict[str, Any],
    ):
        super().__init__(encoder, heads.projector(encoder.dim, **projector))
        self.prototypes = Prototypes(prototypes, self.projector.dim)
        self.queues = nn.ModuleList(Queue(queue, self.projector.dim) for _ in range(2))
        self.temperature = temperature
        self.frozen_epochs, self.queue_from_epoch = frozen_epochs, queue_from_epoch
        self.epsilon, self.iterations = epsilon, iterations

    def enter_epoch(self, epoch: int) -> None:
        self.prototypes.requires_grad_(epoch >= self.frozen_epochs)
        self.queued = epoch >= self.queue_from_epoch

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        embeddings = [self.embed(view) for view in (first, second)]
        scores = [self.prototypes(embedding) for embedding in embeddings]
        codes = [self._codes(score, queue) for score, queue in zip(scores, self._queues, strict=True)]
        if branch == 0:
            self._fresh = [unit(embedding.detach()) for embedding in embeddings]
        return (
            distillation(scores[0], codes[1], self.temperature) + distillation(scores[1], codes[0], self.temperature)
        ) / 2

    def after_step(self, progress: float) -> None:
        for queue, fresh in zip(self._queues, self._fresh, strict=True):
            queue.enqueue(fresh)

    @property
    def _queues(self) -> Sequence[Queue]:
        return cast(Sequence[Queue], self.queues)

    @torch.no_grad()
    def _codes(self, scores: Tensor, queue: Queue) -> Tensor:
        together = torch.cat([scores, self.prototypes(queue.entries)]) if self.queued else scores
        return sinkhorn(together, self.epsilon, self.iterations)[: len(scores)]
