"""The slow copy of a network that gives another network its targets."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def momentum_tau(ema: Sequence[float], progress: float) -> float:
    """final - (final - base) · (cos(π · progress) + 1) / 2: from `ema` = (base, final) at progress 0 to final
    at 1 (BYOL, section 3.1 there; solo-learn)."""
    base, final = ema
    return final - (final - base) * (math.cos(math.pi * progress) + 1) / 2


class Momentum(nn.Module):
    """A slow copy of networks in a row: its parameters follow theirs as an exponential moving average.

    Only the parameters do: BatchNorm's statistics come from the copy's own forward passes in training mode.
    """

    def __init__(self, networks: Sequence[nn.Module], ema: Sequence[float]):
        super().__init__()
        self.ema = tuple(ema)
        self.network = nn.Sequential(*map(copy.deepcopy, networks)).requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        outputs: Tensor = self.network(images)
        return outputs

    @torch.no_grad()
    def update(self, networks: Sequence[nn.Module], progress: float) -> None:
        """slow ← tau · slow + (1 - tau) · trained, with tau at `progress` of the training."""
        slow: list[Tensor] = list(self.network.parameters())
        trained: list[Tensor] = [p for network in networks for p in network.parameters()]
        torch._foreach_lerp_(slow, trained, 1 - momentum_tau(self.ema, progress))
