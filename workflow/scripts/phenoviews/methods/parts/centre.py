"""The running mean that a teacher's outputs are taken relative to."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Centre(nn.Module):
    """An exponential moving average of outputs' means over batches; 0 at first (Caron et al. 2021, equation 4).

    `value`: (dim) float32.
    """

    value: Tensor

    def __init__(self, dim: int, momentum: float):
        super().__init__()
        self.momentum = momentum
        self.register_buffer("value", torch.zeros(dim))

    @torch.no_grad()
    def update(self, outputs: Tensor) -> None:
        """value ← momentum · value + (1 - momentum) · the mean of the outputs (n, dim)."""
        self.value.lerp_(outputs.float().mean(dim=0), 1 - self.momentum)
