"""Trained directions that embeddings are compared with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from phenoviews.methods.parts.float32 import in_float32, unit


class Prototypes(nn.Module):
    """Embeddings (n, dim) → their cosines to `number` prototypes, (n, number).

    A linear layer without bias under weight normalisation (Salimans & Kingma 2016) whose gain is 1 and stays so:
    `weight` (number, dim) gives the directions, and its lengths only how fast they turn. It starts as torch's linear
    layers do.
    """

    def __init__(self, number: int, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(number, dim).uniform_(-1, 1) / dim**0.5)

    def forward(self, embeddings: Tensor) -> Tensor:
        return cosines(embeddings, self.weight)


@in_float32
def cosines(embeddings: Tensor, directions: Tensor) -> Tensor:
    """Of every embedding (n, d) to every direction (m, d): (n, m)."""
    return unit(embeddings) @ unit(directions).T
