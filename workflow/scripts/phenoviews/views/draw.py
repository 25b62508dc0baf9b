"""Random parameters, one set per image, all from one `torch.Generator` on the images' device.

Nothing here waits for the device: rejected tries are drawn all at once and the first valid one is gathered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

TRIES = 10  # as torchvision's random_resized_crop and random_erasing


class Canvas(NamedTuple):
    """The sizes, in pixels, of n images at one point of a pipeline: float tensors (n,)."""

    height: Tensor
    width: Tensor

    @classmethod
    def of(cls, n: int, height: int, width: int, device: torch.device) -> Canvas:
        return cls(torch.full((n,), float(height), device=device), torch.full((n,), float(width), device=device))

    def __len__(self) -> int:
        return self.height.shape[0]


def uniform(shape: int | tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    """U[low, high), float32."""
    values = torch.rand(shape, generator=generator, device=generator.device)
    return values.mul_(high - low).add_(low)


def chance(n: int, p: float, generator: torch.Generator) -> Tensor:
    """(n,) bool, True with probability p."""
    return torch.rand(n, generator=generator, device=generator.device) < p


def integer(count: Tensor, generator: torch.Generator) -> Tensor:
    """A whole number of {0, …, count - 1} for each entry of `count` (n,); float32."""
    values = torch.rand(count.shape, generator=generator, device=generator.device)
    return torch.minimum((values * count).floor_(), count - 1)  # u * count may round up to count


def rectangles(
    canvas: Canvas, scale: tuple[float, float], ratio: tuple[float, float], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Sides (TRIES, n) in whole pixels of rectangles whose area is a uniform share `scale` of the canvas and whose
    ratio of the first side to the second is log-uniform in `ratio`."""
    area = uniform((TRIES, len(canvas)), *scale, generator) * (canvas.height * canvas.width)
    aspect = uniform((TRIES, len(canvas)), math.log(ratio[0]), math.log(ratio[1]), generator).exp_()
    return (area * aspect).sqrt_().round_(), (area / aspect).sqrt_().round_()


def first(valid: Tensor, *tries: Tensor) -> tuple[Tensor, ...]:
    """Of each (TRIES, n) tensor the first entry that is valid, (n,); the first of all where none is."""
    index = valid.int().argmax(0, keepdim=True)
    return tuple(values.gather(0, index)[0] for values in tries)


def check_range(name: str, values: Sequence[float], low: float, high: float) -> None:
    """A `ValueError` unless low ≤ values[0] ≤ values[1] ≤ high."""
    if len(values) != 2 or not low <= values[0] <= values[1] <= high:
        raise ValueError(f"{name} {list(values)} does not lie, in increasing order, within [{low:g}, {high:g}]")
