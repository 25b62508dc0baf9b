"""Codes that use all prototypes alike."""

from __future__ import annotations

import torch
from torch import Tensor

from phenoviews.methods.parts.float32 import in_float32


@torch.no_grad()
@in_float32
def sinkhorn(scores: Tensor, epsilon: float, iterations: int) -> Tensor:
    """Codes of n embeddings over k prototypes (Caron et al. 2020, equations 3 to 5) from their scores (n, k), without
    gradient: each row sums to 1, and the more iterations, the nearer each column to n / k.

    exp(scores / epsilon) with its columns scaled to equal sums, then its rows, and again, by the Sinkhorn-Knopp
    algorithm; here in logarithms, in which a small epsilon does not overflow.
    """
    logarithms = scores / epsilon
    for _ in range(iterations):
        logarithms = logarithms.log_softmax(dim=0).log_softmax(dim=1)
    return logarithms.exp()
