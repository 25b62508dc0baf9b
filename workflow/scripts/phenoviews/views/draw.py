"""Random parameters, one set per image, all from one `torch.Generator` on the images' device.

Nothing here waits for the device: rejected tries are drawn all at once and the first valid one is gathered.
A canvas is an image's size at one point of a pipeline: (n, 2) float, (width, height) in pixels. So are all pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

TRIES = 10  # as torchvision's random_resized_crop and random_erasing


def canvas_of(n: int, height: int, width: int, device: torch.device) -> Tensor:
    return torch.stack(
        (torch.full((n,), float(width), device=device), torch.full((n,), float(height), device=device)), 1
    )


def uniform(shape: int | tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    """U[low, high), float32."""
    return torch.rand(shape, generator=generator, device=generator.device).mul_(high - low).add_(low)


def chance(n: int, p: float, generator: torch.Generator) -> Tensor:
    """(n,) bool, True with probability p."""
    return torch.rand(n, generator=generator, device=generator.device) < p


def integer(count: Tensor, generator: torch.Generator) -> Tensor:
    """For each entry of `count` a whole number of {0, …, count - 1}; float32."""
    values = torch.rand(count.shape, generator=generator, device=generator.device)
    return torch.minimum(values.mul_(count).floor_(), count - 1)  # u · count may round up to count


def rectangles(
    canvas: Tensor, scale: tuple[float, float], ratio: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """(TRIES, n, 2) sides in whole pixels of rectangles whose area is a uniform share `scale` of the canvas and whose
    ratio of the first side to the second is log-uniform in `ratio`."""
    area = uniform((TRIES, len(canvas)), *scale, generator).mul_(canvas.prod(1))
    aspect = uniform((TRIES, len(canvas)), math.log(ratio[0]), math.log(ratio[1]), generator).exp_()
    return torch.stack((area * aspect, area / aspect), -1).sqrt_().round_()


def first_valid(tries: Tensor, valid: Tensor) -> Tensor:
    """(n, 2) of (TRIES, n, 2): the first of `valid` (TRIES, n) tries, or the first of all where none is."""
    index = valid.int().argmax(0)
    return tries.gather(0, index[None, :, None].expand(1, -1, 2))[0]


@dataclass(frozen=True)
class Probable:
    """What happens to each image with probability p."""

    p: float

    def __post_init__(self) -> None:
        check_number("p", self.p, 0, 1)

    @property
    def random(self) -> bool:
        return 0 < self.p < 1


def check_range(name: str, values: Sequence[float], low: float, high: float) -> None:
    """A `ValueError` unless low ≤ values[0] ≤ values[1] ≤ high."""
    if len(values) != 2 or not low <= values[0] <= values[1] <= high:
        raise ValueError(f"{name} {list(values)} does not lie, in increasing order, within [{low:g}, {high:g}]")


def check_number(name: str, value: float, low: float, high: float) -> None:
    """A `ValueError` unless low ≤ value ≤ high."""
    if not low <= value <= high:
        raise ValueError(f"{name} {value} does not lie within [{low:g}, {high:g}]")
