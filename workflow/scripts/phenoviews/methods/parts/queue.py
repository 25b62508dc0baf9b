"""The memory of earlier embeddings that a loss compares with."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Queue(nn.Module):
    """The last `length` embeddings, each of length 1; random directions at first.

    `entries`: (length, dim) float32. `pointer`: int64 scalar on the device, where the next entry goes.
    """

    entries: Tensor
    pointer: Tensor

    def __init__(self, length: int, dim: int):
        super().__init__()
        self.register_buffer("entries", F.normalize(torch.randn(length, dim), dim=1))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Write keys (n, dim) over the oldest entries, around the end; of more than `length` the last stay."""
        length = len(self.entries)
        keys = keys[-length:]
        places = (self.pointer + torch.arange(len(keys), device=keys.device)) % length
        self.entries.index_copy_(0, places, keys.to(self.entries.dtype))
        self.pointer.add_(len(keys)).remainder_(length)
