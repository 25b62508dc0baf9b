"""What the training loop knows of a method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from phenoviews.methods.parts.heads import Head
from phenoviews.models.backbones import Backbone


class Method(nn.Module):
    """A loss over pairs of views of the same images.

    The loop calls, in this order: `before_epoch` at the start of every epoch; per step `forward`, the
    gradient and the optimizer's step over `parameter_groups()` (gradients reset to None), then `after_step`.
    A method fills in `pair_loss` and whichever of the others it needs.

    Whatever a later step depends on is in a buffer or submodule, so that `state_dict()`, taken between two
    steps, is the whole state. Nothing here may wait for the device: no `.item()`, no branch on a tensor's
    value.

    `encoder`, `projector`: the trained networks, images → features → embeddings. `observed`: the features of
    the last view encoded, (n, dim), without gradient, for the spread. `rows`: see `forward`.
    """

    observed: Tensor
    rows: Tensor

    def __init__(self, encoder: Backbone, projector: Head):
        super().__init__()
        self.encoder = encoder
        self.projector = projector

    def encode(self, images: Tensor) -> Tensor:
        """Features (n, dim) of one view (n, 3, H, W); one call per view, as BatchNorm's statistics are."""
        features: Tensor = self.encoder(images)
        self.observed = features.detach()
        return features

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (n, d) of one view: the projector's, of `encode`."""
        embeddings: Tensor = self.projector(self.encode(images))
        return embeddings

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        """The loss (scalar, float32) of one pair of views, each (n, 3, H, W). `branch`: which of the summed
        sets of transformations they come from, 0 for the first; it chooses per-set state such as a queue."""
        raise NotImplementedError

    def forward(self, pairs: Sequence[tuple[float, Tensor, Tensor]], rows: Tensor) -> Tensor:
        """Σ weight · loss over (weight, first views, second views), one triple per set of transformations.

        `rows`: int64 (n,), the images' numbers among the training images, for methods that remember something
        per image (DeepCluster v2's assignments); they find it in `self.rows`.
        """
        self.rows = rows
        losses = [weight * self.pair_loss(first, second, i) for i, (weight, first, second) in enumerate(pairs)]
        return torch.stack(losses).sum()

    def before_epoch(self, epoch: int) -> None:
        """Called at the start of epoch 0, 1, … and again after a resume inside one, so a second call with the
        same number must change nothing. For what goes by epochs: prototypes frozen at first
        (`requires_grad_`), a teacher's temperature, a queue that starts later, a clustering of the memory."""

    def after_step(self, progress: float) -> None:
        """Called after each step of the optimizer; `progress` in (0, 1]: the share of all steps done. For
        momentum copies, queues, prototypes that are normalised again."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for the optimizer: here one, of all that is trained. A group with `"scheduled": False` keeps
        its learning rate constant (SimSiam's predictor)."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]
