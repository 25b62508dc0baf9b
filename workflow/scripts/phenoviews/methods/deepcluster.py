"""DeepCluster v2 (Caron et al. 2020, section 4 and appendix), without small crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from phenoviews.errors import UserError
from phenoviews.methods.base import Method
from phenoviews.methods.parts import heads
from phenoviews.methods.parts.float32 import in_float32, unit
from phenoviews.methods.parts.kmeans import spherical_k_means
from phenoviews.models.backbones import Backbone

NONE = -1  # what an image is assigned to that no batch of the last epoch had


class DeepCluster(Method):
    """Tell from either view to which cluster its image belongs. As each epoch begins, the embeddings of the last one
    are clustered, several times over, and the centroids are the prototypes for this one; the first epoch only gathers
    embeddings.

    `temperature`: of the cosines to the prototypes; `prototypes`: how many of each clustering; `clusterings`, of first
    and of second views in turn, whose losses are averaged; `iterations`: of each; `projector`: {head, hidden, out,
    batch_norm} of `parts.heads.projector`. Where the losses of several sets of transformations are summed, it is the
    first set's embeddings that are clustered.

    `memory`: (2, images, dim), the embeddings of both views in this epoch; 0 of an image that it has not had.
    `assigned`: (clusterings, images) int64. Of an epoch that drops the remainder of the images these have no target in
    the next, as in solo-learn.
    """

    memory: Tensor
    assigned: Tensor
    prototypes: Tensor

    def __init__(
        self,
        encoder: Backbone,
        temperature: float,
        prototypes: int,
        clusterings: int,
        iterations: int,
        projector: dict[str, Any],
        images: int,
    ):
        super().__init__(encoder, heads.projector(encoder.dim, **projector))
        self.temperature = temperature
        self.iterations = iterations
        dim = self.projector.dim
        self.register_buffer("memory", torch.zeros(2, images, dim))
        self.register_buffer("assigned", torch.full((clusterings, images), NONE))
        self.register_buffer("prototypes", torch.zeros(clusterings, prototypes, dim))

    def enter_epoch(self, epoch: int) -> None:
        self.gathers = epoch == 0

    @torch.no_grad()
    def before_epoch(self, epoch: int, generator: torch.Generator) -> None:
        """Raises `UserError` where there are fewer images than prototypes."""
        seen = torch.arange(self.memory.shape[1]) if epoch == 0 else self.memory[0].any(dim=1).nonzero()[:, 0]
        if len(seen) < self.prototypes.shape[1]:
            raise UserError(
                f"DeepCluster v2: {len(seen)} images in an epoch, fewer than its {self.prototypes.shape[1]} "
                "`prototypes`; lower these"
            )
        if epoch == 0:
            return
        self.assigned.fill_(NONE)
        for number, (prototypes, assigned) in enumerate(zip(self.prototypes, self.assigned, strict=True)):
            points = self.memory[number % 2, seen]
            centroids, nearest = spherical_k_means(points, len(prototypes), self.iterations, generator)
            prototypes.copy_(centroids)
            assigned.index_copy_(0, seen, nearest)
        self.memory.zero_()

    def forward(self, pairs: Sequence[tuple[float, Tensor, Tensor]], rows: Tensor) -> Tensor | None:
        if not self.gathers:
            return super().forward(pairs, rows)
        self.rows = rows
        with torch.no_grad():
            self._remember([self.embed(view) for view in pairs[0][1:]])
        return None

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        embeddings = [self.embed(view) for view in (first, second)]
        if branch == 0:
            self._remember(embeddings)
        both, targets = torch.cat(embeddings), self.assigned[:, self.rows].repeat(1, 2)
        losses = [
            assignment_loss(both, prototypes, self.temperature, assigned=assigned)
            for prototypes, assigned in zip(self.prototypes, targets, strict=True)
        ]
        return torch.stack(losses).mean()

    def _remember(self, embeddings: Sequence[Tensor]) -> None:
        for memory, fresh in zip(self.memory, embeddings, strict=True):
            memory.index_copy_(0, self.rows, unit(fresh.detach()))


@in_float32
def assignment_loss(embeddings: Tensor, prototypes: Tensor, temperature: float, *, assigned: Tensor) -> Tensor:
    """Cross-entropy between the softmax of the cosines of embeddings (n, d) to prototypes (k, d) of length 1, over
    `temperature`, and the numbers (n) of the prototypes that they are assigned to: a scalar, mean over those that are
    assigned to one; 0 where none is."""
    logits = unit(embeddings) @ prototypes.T / temperature
    total = F.cross_entropy(logits, assigned, ignore_index=NONE, reduction="sum")
    return total / (assigned != NONE).sum().clamp(min=1)
