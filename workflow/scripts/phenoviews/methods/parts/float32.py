"""What is computed in float32, autocast or not: a temperature of 0.07 multiplies bfloat16's rounding by 14."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

import torch
from torch import Tensor
from torch.nn import functional as F

P = ParamSpec("P")


def in_float32(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Cast the tensors among the positional arguments to float32, and switch autocast off inside `function`, whose
    first argument is a tensor."""
    inner: Callable[..., Tensor] = function

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        cast = [a.float() if isinstance(a, Tensor) else a for a in args]
        assert isinstance(cast[0], Tensor)
        with torch.autocast(cast[0].device.type, enabled=False):
            return inner(*cast, **kwargs)

    return wrapped


@in_float32
def unit(embeddings: Tensor) -> Tensor:
    """The rows scaled to Euclidean length 1."""
    return F.normalize(embeddings, dim=1)
