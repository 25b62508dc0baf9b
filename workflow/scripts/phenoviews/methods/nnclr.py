"""NNCLR (Dwibedi et al. 2021)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phenoviews.methods.base import Method
from phenoviews.methods.parts import heads
from phenoviews.methods.parts.float32 import in_float32, unit
from phenoviews.methods.parts.neighbours import nearest
from phenoviews.methods.parts.queue import Queue
from phenoviews.models.backbones import Backbone


class NNCLR(Method):
    """The nearest earlier embedding of one view finds the prediction from the other view of its image among those of
    the batch; mean of both directions.

    `temperature`; `queue`: how many embeddings are kept, of first views, and of the first set where the losses of
    several sets of transformations are summed; `projector`: {head, hidden, out, batch_norm} of
    `parts.heads.projector`, with batch normalisation after its last layer; `predictor`: {hidden, batch_norm} of
    `parts.heads.mlp`, its input and output as long as the projector's output.
    """

    def __init__(
        self, encoder: Backbone, temperature: float, queue: int, projector: dict[str, Any], predictor: dict[str, Any]
    ):
        head = heads.projector(encoder.dim, **projector)
        super().__init__(encoder, heads.Head([*head, nn.BatchNorm1d(head.dim)], head.dim))
        self.temperature = temperature
        self.predictor = heads.mlp(head.dim, **predictor, out=head.dim)
        self.queue = Queue(queue, head.dim)

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        embeddings = [self.embed(view) for view in (first, second)]
        predictions = [self.predictor(embedding) for embedding in embeddings]
        neighbours = [nearest(embedding, self.queue.entries) for embedding in embeddings]
        if branch == 0:
            self._fresh = unit(embeddings[0].detach())
        return (
            neighbour_nce(neighbours[0], predictions[1], self.temperature)
            + neighbour_nce(neighbours[1], predictions[0], self.temperature)
        ) / 2

    def after_step(self, progress: float) -> None:
        # Only now: an image must not find itself, in another set's view either.
        self.queue.enqueue(self._fresh)


@in_float32
def neighbour_nce(neighbours: Tensor, predictions: Tensor, temperature: float) -> Tensor:
    """InfoNCE of nearest neighbours (Dwibedi et al. 2021, equation 3), a scalar, mean over the n of them (n, d):
    neighbour i against prediction i as the positive and the batch's other predictions as negatives. Neighbours get no
    gradient."""
    logits = unit(neighbours).detach() @ unit(predictions).T / temperature
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
