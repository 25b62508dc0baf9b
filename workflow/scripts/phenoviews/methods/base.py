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

    The loop calls, in this order: as an epoch begins `enter_epoch` and `before_epoch`; per step `forward`, the
    gradient and the optimizer's step over `parameter_groups()` (gradients reset to None), then `after_step`.
    A method fills in `pair_loss` and whichever of the others it needs.

    A training may be stopped between any two steps and go on in another process, from `state_dict()`, and must
    then end with the same bits. So:

    - what a later step depends on is in a buffer or a submodule; or it follows from the number of the epoch alone,
      and `enter_epoch`, which is called again after a resume, sets it;
    - what is computed or drawn for an epoch is computed in `before_epoch`, which is called once per epoch however
      often the training is interrupted, and kept in buffers.

    No step may wait for the device: no `.item()`, no branch on a tensor's value. `before_epoch` may.

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
        """Features (n, dim) of one view (n, C, H, W); one call per view, as BatchNorm's statistics are."""
        features: Tensor = self.encoder(images)
        self.observed = features.detach()
        return features

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (n, d) of one view: the projector's, of `encode`."""
        embeddings: Tensor = self.projector(self.encode(images))
        return embeddings

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        """The loss (scalar, float32) of one pair of views, each (n, C, H, W). `branch`: which of the summed
        sets of transformations they come from, 0 for the first; it chooses per-set state such as a queue."""
        raise NotImplementedError

    def forward(self, pairs: Sequence[tuple[float, Tensor, Tensor]], rows: Tensor) -> Tensor | None:
        """Σ weight · loss over (weight, first views, second views), one triple per set of transformations.

        `rows`: int64 (n,), the images' numbers among the training images, for methods that remember something
        per image (DeepCluster v2's assignments); they find it in `self.rows`.

        A method that in some epoch only looks at the images (DeepCluster v2 fills its memory in the first) returns
        None there: then there is no gradient and no step of the optimizer, and the history has no loss.
        """
        self.rows = rows
        losses = [weight * self.pair_loss(first, second, i) for i, (weight, first, second) in enumerate(pairs)]
        return torch.stack(losses).sum()

    def enter_epoch(self, epoch: int) -> None:
        """Called as epoch 0, 1, … begins, and again after a resume inside it: sets what follows from its number alone.
        For prototypes that are frozen at first (`requires_grad_`), a teacher's temperature, a queue that starts
        later."""

    def before_epoch(self, epoch: int, generator: torch.Generator) -> None:
        """Called once as epoch 0, 1, … begins, never after a resume inside it. For a clustering of the memory.

        `generator`: on the CPU, the same for the same run and epoch; whatever is drawn is drawn from it.
        """

    def after_step(self, progress: float) -> None:
        """Called at the end of each step, also of one without a loss; `progress` in (0, 1]: the share of all steps
        done. For momentum copies, queues, prototypes that are normalised again."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for the optimizer: here one, of all that is trained. A group with `"scheduled": False` keeps
        its learning rate constant (SimSiam's predictor)."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]
