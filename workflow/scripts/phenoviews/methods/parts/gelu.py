"""Heads with another activation."""

from __future__ import annotations

from torch import nn

from phenoviews.methods.parts.heads import Head


def gelu(head: Head) -> Head:
    """The layers of `head` with GELU in place of every ReLU."""
    return Head([nn.GELU() if isinstance(layer, nn.ReLU) else layer for layer in head], head.dim)
