"""DINO (Caron et al. 2021), without small crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from phenoviews.methods.base import Method
from phenoviews.methods.parts import heads
from phenoviews.methods.parts.centre import Centre
from phenoviews.methods.parts.distillation import distillation
from phenoviews.methods.parts.float32 import in_float32
from phenoviews.methods.parts.gelu import gelu
from phenoviews.methods.parts.momentum import Momentum
from phenoviews.methods.parts.prototypes import Prototypes
from phenoviews.models.backbones import Backbone


class DINO(Method):
    """One view's distribution over the prototypes becomes that of the momentum copy, the teacher, for the other view;
    mean of both directions. The teacher's is centred and sharper.

    `temperature`: of the encoder's distribution; `teacher_temperature`: [first, last] of the teacher's, the last from
    the end of `teacher_warmup_epochs` on; `prototypes`: how many; `frozen_epochs`: for how many they keep their start;
    `centre_momentum`: of `parts.centre`; `ema`: [base, final] of the teacher; `projector`: {head, hidden, out,
    batch_norm} of `parts.heads.projector`, with GELU, weights of a standard deviation of 0.02 and no biases at first.
    """

    def __init__(
        self,
        encoder: Backbone,
        temperature: float,
        teacher_temperature: Sequence[float],
        teacher_warmup_epochs: int,
        prototypes: int,
        frozen_epochs: int,
        centre_momentum: float,
        ema: Sequence[float],
        projector: dict[str, Any],
    ):
        super().__init__(encoder, gelu(heads.projector(encoder.dim, **projector)))
        for layer in self.projector:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.prototypes = Prototypes(prototypes, self.projector.dim)
        self.momentum = Momentum(self._student, ema)
        self.centre = Centre(prototypes, centre_momentum)
        self.temperature = temperature
        self.teacher = (teacher_temperature, teacher_warmup_epochs)
        self.frozen_epochs = frozen_epochs
        self._outputs: dict[int, list[Tensor]] = {}

    @property
    def _student(self) -> tuple[nn.Module, ...]:
        return self.encoder, self.projector, self.prototypes

    def enter_epoch(self, epoch: int) -> None:
        self.prototypes.requires_grad_(epoch >= self.frozen_epochs)
        self.teacher_temperature = warmed(epoch, *self.teacher)

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        scores = [self.prototypes(self.embed(view)) for view in (first, second)]
        outputs = self._outputs[branch] = [self.momentum(view) for view in (first, second)]
        targets = [sharpened(output, self.centre.value, self.teacher_temperature) for output in outputs]
        return (
            distillation(scores[0], targets[1], self.temperature)
            + distillation(scores[1], targets[0], self.temperature)
        ) / 2

    def after_step(self, progress: float) -> None:
        self.momentum.update(self._student, progress)
        # Of all sets of transformations, and only now: what centres a step's outputs is of earlier ones.
        self.centre.update(torch.cat([output for outputs in self._outputs.values() for output in outputs]))


def warmed(epoch: int, temperatures: Sequence[float], epochs: int) -> float:
    """The teacher's temperature: from the first of two in epoch 0 in equal steps to the last in the last of `epochs`
    (solo-learn's and the authors' form), and so from then on."""
    first, last = temperatures
    return last if epoch >= epochs else first + (last - first) * epoch / max(1, epochs - 1)


@in_float32
def sharpened(outputs: Tensor, centre: Tensor, temperature: float) -> Tensor:
    """The teacher's distributions (n, k): the softmax of outputs (n, k) less the centre (k), over `temperature`."""
    return ((outputs - centre) / temperature).softmax(dim=1)
