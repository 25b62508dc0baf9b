"""The variance that keeps embeddings from collapsing."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from phenoviews.methods.parts.float32 import in_float32


@in_float32
def variance_term(embeddings: Tensor) -> Tensor:
    """Mean over the dimensions of max(0, 1 - sqrt(Var + 1e-4)) (Bardes et al. 2022, equations 1 and 2) of embeddings
    (n, d), with the unbiased variance over the batch: 0.99 where all embeddings are equal, 0 where each dimension has a
    standard deviation of at least 1."""
    return F.relu(1 - torch.sqrt(embeddings.var(dim=0) + 1e-4)).mean()
