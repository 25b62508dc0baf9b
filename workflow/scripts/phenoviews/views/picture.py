"""Images on their way through a pipeline, with the colour map that has not been worked out yet."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


@lru_cache(maxsize=256)
def constant(values: tuple[float, ...] | tuple[tuple[float, ...], ...], device: torch.device) -> Tensor:
    """A small float32 tensor that is copied to `device` once."""
    return torch.tensor(values, dtype=torch.float32, device=device)


def chunks(tree: Any, rows: int, count: int) -> list[Any]:
    """`count` copies of a nest of tuples, lists and dicts, with `rows` rows each of every tensor in it."""
    if count == 1:
        return [tree]
    if isinstance(tree, Tensor):
        return list(tree.split(rows))
    if isinstance(tree, dict):
        return [dict(zip(tree, values, strict=True)) for values in chunks(list(tree.values()), rows, count)]
    if isinstance(tree, tuple | list):
        split = zip(*(chunks(value, rows, count) for value in tree), strict=True) if tree else [()] * count
        return [type(tree)(*values) if hasattr(tree, "_fields") else list(values) for values in split]
    return [tree] * count


class Picture:
    """n images and a linear map of their colours that is still to be applied.

    `pixels` (n, C, H, W) float32; `matrix` (n or 1, K, C) and `offset` (n or 1, K, 1), or None. Greyscale, inversion
    and normalisation are such maps; together they cost one pass over the pixels.
    """

    def __init__(self, pixels: Tensor):
        self.pixels = pixels
        self.matrix: Tensor | None = None
        self.offset: Tensor | None = None

    def recolour(self, matrix: Tensor, offset: Tensor | None = None) -> None:
        """Follow with colour → matrix · colour + offset; matrix (n or 1, K, C), offset (n or 1, K, 1)."""
        if self.offset is not None:
            carried = matrix @ self.offset
            offset = carried if offset is None else carried + offset
        self.matrix = matrix if self.matrix is None else matrix @ self.matrix
        self.offset = offset

    def work_out(self, out: Tensor | None = None) -> Tensor:
        """Apply what is pending, in `out` if given; the images (n, K, H, W)."""
        if self.matrix is not None:
            n, _, height, width = self.pixels.shape
            matrix, colours = self.matrix.expand(n, -1, -1), self.pixels.reshape(n, -1, height * width)
            flat = None if out is None else out.view(n, -1, height * width)
            if self.offset is None:
                flat = torch.bmm(matrix, colours, out=flat)
            else:
                flat = torch.baddbmm(self.offset, matrix, colours, out=flat)
            self.pixels, self.matrix, self.offset = flat.view(n, -1, height, width), None, None
        elif out is not None:
            self.pixels = out.copy_(self.pixels)
        return self.pixels
