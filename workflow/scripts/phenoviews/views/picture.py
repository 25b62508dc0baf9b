"""Images on their way through a pipeline, with the colour maps that have not been worked out yet."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

GREY = (0.2989, 0.587, 0.114)  # the shares of red, green and blue in torchvision's rgb_to_grayscale


@lru_cache(maxsize=256)
def constant(values: tuple, device: torch.device) -> Tensor:
    """A small float32 tensor that is copied to `device` once."""
    return torch.tensor(values, dtype=torch.float32, device=device)


def part(tree: Any, rows: slice) -> Any:
    """The same nest of tuples, lists and dicts with `rows` of every tensor; tensors with one row serve all images."""
    if isinstance(tree, Tensor):
        return tree if tree.shape[0] == 1 else tree[rows]
    if isinstance(tree, dict):
        return {key: part(value, rows) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(part(value, rows) for value in tree))
    if isinstance(tree, tuple | list):
        return type(tree)(part(value, rows) for value in tree)
    return tree


class Picture:
    """n images (n, C, H, W), float32, and a colour map still to be applied: `matrix` (n or 1, K, C), `offset` (n or 1, K).

    Brightness, contrast, saturation, greyscale, inversion and normalisation are all linear in the colours of one
    pixel. They are collected here and cost one pass where something needs the values.
    """

    def __init__(self, images: Tensor, scale: float = 1.0):
        """`scale`: what the values are to be multiplied with to lie in [0, 1]."""
        self.pixels = images
        self.matrix: Tensor | None = None
        self.offset: Tensor | None = None
        if scale != 1.0:
            channels = range(images.shape[1])
            self.matrix = constant((tuple(tuple(scale * (i == j) for j in channels) for i in channels),), images.device)

    @property
    def channels(self) -> int:
        return self.pixels.shape[1] if self.matrix is None else self.matrix.shape[1]

    def recolour(self, matrix: Tensor, offset: Tensor | None = None) -> None:
        """Follow with colour → matrix @ colour + offset; matrix (n or 1, K, C), offset (n or 1, K)."""
        if self.offset is not None:
            carried = (matrix @ self.offset[..., None])[..., 0]
            offset = carried if offset is None else carried + offset
        self.matrix = matrix if self.matrix is None else matrix @ self.matrix
        self.offset = offset

    def grey_mean(self) -> Tensor:
        """(n,) the mean of each image's greyscale version."""
        mean = self.pixels.mean((2, 3))
        if self.matrix is not None:
            mean = (self.matrix @ mean[..., None])[..., 0]
        if self.offset is not None:
            mean = mean + self.offset
        return mean[:, 0] if self.channels == 1 else mean @ constant(GREY, mean.device)

    def work_out(self) -> Tensor:
        """Apply what is pending; the images (n, K, H, W)."""
        if self.matrix is not None:
            n, _, height, width = self.pixels.shape
            matrix, colours = self.matrix.expand(n, -1, -1), self.pixels.reshape(n, -1, height * width)
            if self.offset is None:
                mixed = torch.bmm(matrix, colours)
            else:
                mixed = torch.baddbmm(self.offset[..., None], matrix, colours)
            self.pixels, self.matrix, self.offset = mixed.view(n, -1, height, width), None, None
        return self.pixels
