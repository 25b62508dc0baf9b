"""Nearest neighbours among earlier embeddings."""

from __future__ import annotations

from torch import Tensor

from phenoviews.methods.parts.float32 import in_float32, unit


@in_float32
def nearest(embeddings: Tensor, support: Tensor) -> Tensor:
    """Of each embedding (n, d) the entry of the support set (m, d) with the largest cosine (Dwibedi et al. 2021,
    equation 2): (n, d), without gradient. The entries have length 1."""
    return support[(unit(embeddings.detach()) @ support.T).argmax(dim=1)]
