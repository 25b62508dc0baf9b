"""Random embeddings, and the comparison of two losses of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from phenoviews.methods.parts.float32 import unit

N, D = 12, 20


def embeddings(*, count: int = 2, n: int = N, dim: int = D, scale: float = 1.0) -> list[Tensor]:
    return [(scale * torch.randn(n, dim)).requires_grad_() for _ in range(count)]


def directions(length: int = 30) -> Tensor:
    return unit(torch.randn(length, D))


def assert_same(ours: Callable[..., Tensor], theirs: Callable[..., Tensor], inputs: list[Tensor]) -> None:
    """Equal values, and equal gradients with respect to every input."""
    values = [ours(*inputs), theirs(*inputs)]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*(torch.autograd.grad(v, inputs, allow_unused=True) for v in values))
