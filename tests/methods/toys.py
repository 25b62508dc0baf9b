"""The smallest methods that need what nine further methods need of the interface.

Barlow Twins and VIbCReg need no more than a pair's loss; ReSSL's unlike views are the transform's; NNCLR and
NNBYOL add a queue to a pair's loss. What is left: prototypes (SwAV, DINO), clustering by epochs (DeepCluster
v2), a group with a constant learning rate (SimSiam).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phenoviews.methods.base import Method
from phenoviews.methods.parts.float32 import unit
from phenoviews.methods.parts.heads import mlp
from phenoviews.methods.parts.regression import regression
from phenoviews.models import Backbone


class Prototypes(Method):
    """SwAV's and DINO's needs: prototypes, frozen for some epochs, of length 1 after every step; a temperature that
    goes by epochs."""

    def __init__(self, encoder: Backbone, prototypes: int, frozen_epochs: int):
        super().__init__(encoder, mlp(encoder.dim, [8], 4, True))
        self.prototypes = nn.Linear(4, prototypes, bias=False)
        self.frozen_epochs = frozen_epochs

    def enter_epoch(self, epoch: int) -> None:
        self.prototypes.requires_grad_(epoch >= self.frozen_epochs)
        self.temperature = 0.1 / (1 + epoch)

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        scores = [self.prototypes(unit(self.embed(view))) for view in (first, second)]
        return F.cross_entropy(scores[0], (scores[1].detach() / self.temperature).softmax(dim=1))

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        self.prototypes.weight.copy_(unit(self.prototypes.weight))


class Clustered(Method):
    """DeepCluster v2's needs: a memory per training image, which the first epoch fills without learning, and which is
    clustered from a random start as each of the others begins.

    `clusterings`: which epochs it was clustered for, in this process.
    """

    memory: Tensor
    assigned: Tensor
    centroids: Tensor

    def __init__(self, encoder: Backbone, clusters: int, images: int):
        super().__init__(encoder, mlp(encoder.dim, [], 4, False))
        self.register_buffer("memory", torch.zeros(images, 4))
        self.register_buffer("assigned", torch.zeros(images, dtype=torch.int64))
        self.register_buffer("centroids", torch.zeros(clusters, 4))
        self.clusterings: list[int] = []

    def enter_epoch(self, epoch: int) -> None:
        self.gathers = epoch == 0

    @torch.no_grad()
    def before_epoch(self, epoch: int, generator: torch.Generator) -> None:
        if epoch == 0:
            return
        self.clusterings.append(epoch)
        start = torch.randperm(len(self.memory), generator=generator)[: len(self.centroids)]
        self.centroids.copy_(self.memory[start])
        for _ in range(3):
            self.assigned.copy_(torch.cdist(self.memory, self.centroids).argmin(dim=1))
            for cluster in range(len(self.centroids)):
                members = self.memory[self.assigned == cluster]
                if len(members):
                    self.centroids[cluster] = members.mean(dim=0)
        # Torch's own generators are seeded, too: a network that is asked here may draw.
        self.centroids.copy_(unit(F.dropout(self.centroids + 1e-3, 0.2)))

    def forward(self, pairs: Sequence[tuple[float, Tensor, Tensor]], rows: Tensor) -> Tensor | None:
        if not self.gathers:
            return super().forward(pairs, rows)
        with torch.no_grad():
            self.memory.index_copy_(0, rows, unit(self.embed(pairs[0][1])))
        return None

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        embeddings = [unit(self.embed(view)) for view in (first, second)]
        self.memory.index_copy_(0, self.rows, embeddings[0].detach())
        targets = self.assigned[self.rows]
        losses = [F.cross_entropy(embedding @ self.centroids.T / 0.1, targets) for embedding in embeddings]
        return torch.stack(losses).sum()


class ConstantRate(Method):
    """SimSiam's need: a predictor whose learning rate stays."""

    def __init__(self, encoder: Backbone):
        super().__init__(encoder, mlp(encoder.dim, [], 4, False))
        self.predictor = mlp(4, [8], 4, True)

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        embeddings = [self.embed(view) for view in (first, second)]
        predictions = [self.predictor(embedding) for embedding in embeddings]
        return (regression(predictions[0], embeddings[1]) + regression(predictions[1], embeddings[0])) / 4

    def parameter_groups(self) -> list[dict[str, Any]]:
        predictor = list(self.predictor.parameters())
        rest = [*self.encoder.parameters(), *self.projector.parameters()]
        return [{"params": rest}, {"params": predictor, "scheduled": False}]


TOYS = {"prototypes": Prototypes, "clustered": Clustered, "constant_rate": ConstantRate}
PARAMS: dict[str, dict[str, Any]] = {
    "prototypes": {"kind": "prototypes", "prototypes": 5, "frozen_epochs": 1},
    "clustered": {"kind": "clustered", "clusters": 3},
    "constant_rate": {"kind": "constant_rate"},
}
