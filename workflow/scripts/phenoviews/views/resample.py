"""All geometry between two colour operations as one resampling.

Walking a pipeline backwards from the output's pixels gives the position on the source that each of them shows. A resize
repeats the edge of what it resizes, so positions are kept within half a pixel of that edge; rotation, affine maps and
padding put zeros outside the canvas they act on, so positions that leave it are blanked, over one pixel as bilinear
interpolation does.

Two ways of sampling:

- *gridded*: one `grid_sample` at the positions. Any chain.
- *separable*: one resize with crops and flips is a matrix for the rows and one for the columns, with torchvision's
  anti-aliased weights exactly. Used for bicubic, and where the image may shrink.

Where any other chain shrinks the image, the source is smoothed first, as much as anti-aliasing would.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from phenoviews.views.draw import Canvas
from phenoviews.views.geometry import Drawn, Geometry, resize
from phenoviews.views.picture import Picture, constant

MILD = 1.25  # shrinking by less hardly aliases: not worth smoothing the source


class Step(NamedTuple):
    """One operation, or the resize at the end, for n images."""

    matrix: Tensor | None  # (n, 3, 3) from the canvas after it to the one before it; None: the identity
    straight: bool
    resizes: bool
    blank: Tensor | None  # (n, 2): half the width and height beyond which the canvas before it is zero


class Look(NamedTuple):
    """Positions that are kept within `half` of the centre, or, if `blank`, blanked beyond it."""

    matrix: Tensor  # (n, 3, 3) from the base positions
    straight: bool
    half: Tensor  # (n, 2): x, y
    blank: bool


class Gridded(NamedTuple):
    x: Tensor  # (n, 1, size) base positions
    y: Tensor  # (n, size, 1)
    looks: list[Look]
    matrix: Tensor  # (n, 3, 3) from the base positions to those of grid_sample, in [-1, 1]
    straight: bool
    reduced: tuple[int, int] | None  # what the source is reduced to first, or
    variance: Tensor | None  # (n,) how much to smooth it then, pixels²
    mode: str


class Separable(NamedTuple):
    centre: Tensor  # (n, 2): x, y of the output's centre on the source
    scale: Tensor  # (n, 2): source pixels per output pixel; negative where flipped
    cubic: bool


class Unchanged(NamedTuple):
    """The output is the source."""


Plan = Gridded | Separable | Unchanged


@dataclass(frozen=True)
class Resampling:
    """A chain of geometry operations whose output is size × size."""

    operations: tuple[Geometry, ...]
    size: int

    def prepare(self, drawn: list[Drawn], n: int, height: int, width: int, device: torch.device) -> Plan:
        """Everything but the pixels, for n images of height × width, from what each operation drew."""
        steps = self._steps(drawn, Canvas.of(n, height, width, device), height == width == self.size)
        if not steps:
            return Unchanged()
        cubic = any(getattr(operation, "interpolation", None) == "bicubic" for operation in self.operations)
        one_resize = sum(step.resizes for step in steps) == 1
        shrink = self._shrink(height, width)
        if one_resize and not any(o.fills for o in self.operations) and (cubic or shrink[1] > 1):
            matrix = chain(steps)
            return Separable(matrix[:, :2, 2], matrix.diagonal(dim1=1, dim2=2)[:, :2], cubic)
        reduced = variance = None
        if shrink[1] > MILD:
            least = max(1.0, shrink[0])
            reduced = (math.ceil(height / least), math.ceil(width / least)) if least > 1 else None
            variance = ((covered(steps) / least) ** 2 - 1).clamp_(min=0) / 6
        return Gridded(
            *look(steps, n, self.size, height, width, device), reduced, variance, "bicubic" if cubic else "bilinear"
        )

    def _steps(self, drawn: list[Drawn], canvas: Canvas, matched: bool) -> list[Step]:
        steps, whole = [], True  # whole: the canvas shows all of the source; matched: it is size × size
        for operation, values in zip(self.operations, drawn, strict=True):
            before = canvas
            canvas, matrix = operation.step(values, before, self.size)
            blank = torch.stack((before.width, before.height), -1) / 2 if operation.fills and not whole else None
            steps.append(Step(matrix, operation.straight, operation.resizes, blank))
            whole = whole and not operation.crops
            matched = operation.resizes or (matched and operation.grows == (1, 1))
        if not matched:
            steps.append(Step(resize(canvas, self.size), True, True, None))
        return steps

    def _shrink(self, height: int, width: int) -> tuple[float, float]:
        """Bounds of `covered` that hold whatever is drawn."""
        bounds = []
        for side, bound in ((min(height, width), 0), (max(height, width), 1)):
            length, pixel, most = float(side), 1.0, 0.0  # pixel: side of a canvas pixel on the source
            for operation in self.operations:
                length *= operation.grows[bound]
                if operation.resizes:
                    pixel, length = pixel * length / self.size, float(self.size)
                    most = max(most, pixel)
            bounds.append(max(most, pixel * length / self.size))
        return bounds[0], bounds[1]

    def apply(self, picture: Picture, plan: Plan) -> None:
        if isinstance(plan, Unchanged):
            return
        cubic = plan.cubic if isinstance(plan, Separable) else plan.mode == "bicubic"
        if cubic or picture.offset is not None:  # a pure scaling of the colours may wait until after the resampling
            picture.work_out()
        sample = separable if isinstance(plan, Separable) else gridded
        picture.pixels = sample(picture.pixels, plan, self.size)
        if cubic:
            picture.pixels.clamp_(0, 1)  # as the 8-bit images of torchvision and PIL do


def chain(steps: list[Step]) -> Tensor:
    """(n, 3, 3) from the output to the source, through all steps."""
    total = None
    for step in reversed(steps):
        total = compose(step.matrix, total)
    return total


def compose(after: Tensor | None, before: Tensor | None) -> Tensor | None:
    if after is None or before is None:
        return before if after is None else after
    return after @ before


def covered(steps: list[Step]) -> Tensor:
    """(n,) the length, in source pixels, that anti-aliasing lets a pixel cover: that of the coarsest resize."""
    pixel = most = None
    for step in steps:
        if step.resizes:
            factor = (step.matrix[:, 0, 0] * step.matrix[:, 1, 1]).sqrt()
            pixel = factor if pixel is None else pixel * factor
            most = pixel if most is None else torch.maximum(most, pixel)
    return most


def look(
    steps: list[Step], n: int, size: int, height: int, width: int, device: torch.device
) -> tuple[Tensor, Tensor, list[Look], Tensor, bool]:
    """The first five fields of `Gridded`: walk the steps backwards from the output's pixels."""
    at = pixel_centres(size, device)
    x, y = at.view(1, 1, size).expand(n, 1, size), at.view(1, size, 1).expand(n, size, 1)
    looks: list[Look] = []
    matrix, straight = None, True
    for step in reversed(steps):
        if step.resizes:
            # Half a pixel of the crop before the resize, in pixels after it.
            inside = (size - 1 / step.matrix.diagonal(dim1=1, dim2=2)[:, :2]) / 2
            matrix = torch.eye(3, device=device).expand(n, 3, 3) if matrix is None else matrix
            if straight and not looks:
                x, y = keep(*positions(x, y, matrix, straight), inside)
            else:
                looks.append(Look(matrix, straight, inside, blank=False))
            matrix, straight = None, True
        matrix, straight = compose(step.matrix, matrix), straight and step.straight
        if step.blank is not None:
            matrix = torch.eye(3, device=device).expand(n, 3, 3) if matrix is None else matrix
            looks.append(Look(matrix, straight, step.blank, blank=True))
    units = constant(((2 / width, 0, 0), (0, 2 / height, 0), (0, 0, 1)), device).expand(n, 3, 3)
    return x, y, looks, compose(units, matrix), straight


def pixel_centres(size: int, device: torch.device) -> Tensor:
    """(size,) positions from the centre of a row of pixels."""
    return torch.arange(size, device=device, dtype=torch.float32) + (1 - size) / 2


def positions(
    x: Tensor, y: Tensor, matrix: Tensor, straight: bool, out: tuple[Tensor, Tensor] | tuple[None, None] = (None, None)
) -> tuple[Tensor, Tensor]:
    """The positions behind `matrix` (n, 3, 3); x (n, 1 or H, W) and y (n, H, 1 or W) stay so if it is straight."""
    a, b, dx, c, d, dy = (entry[:, None, None] for entry in matrix[:, :2].flatten(1).unbind(1))
    if straight:
        return torch.addcmul(dx, a, x, out=out[0]), torch.addcmul(dy, d, y, out=out[1])
    return (
        torch.add(torch.addcmul(dx, a, x), b * y, out=out[0]),
        torch.add(c * x, torch.addcmul(dy, d, y), out=out[1]),
    )


def keep(x: Tensor, y: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    right, down = half[:, 0, None, None], half[:, 1, None, None]
    return x.clamp(-right, right), y.clamp(-down, down)


def within(position: Tensor, half: Tensor) -> Tensor:
    """1 within `half` (n,) of the centre, falling to 0 over one pixel about it; overwrites `position`."""
    return torch.sub(half[:, None, None] + 0.5, position.abs_(), out=position).clamp_(0, 1)


def gridded(images: Tensor, plan: Gridded, size: int) -> Tensor:
    """(n, C, H, W) → (n, C, size, size)."""
    if plan.reduced:
        images = F.interpolate(images, plan.reduced, mode="bilinear", antialias=True)
    if plan.variance is not None:
        images = smooth(images, plan.variance)
    x, y, weight = plan.x, plan.y, None
    for matrix, straight, half, blank in plan.looks:
        px, py = positions(x, y, matrix, straight)
        if blank:
            inside = within(px, half[:, 0]) * within(py, half[:, 1])
            weight = inside if weight is None else weight * inside
        else:
            x, y = keep(px, py, half)
    grid = torch.empty(len(images), 2, size, size, device=images.device)
    grid[:, 0], grid[:, 1] = positions(x, y, plan.matrix, plan.straight)
    sampled = F.grid_sample(images, grid.permute(0, 2, 3, 1), mode=plan.mode, padding_mode="zeros", align_corners=False)
    return sampled if weight is None else sampled.mul_(weight[:, None])


def smooth(images: Tensor, variance: Tensor) -> Tensor:
    """Blur with the discrete heat kernel, whose variance (n,) is exact however small it is."""
    rows, columns = (heat(side, variance) for side in images.shape[-2:])
    return rows[:, None] @ (images @ columns[:, None])


def heat(side: int, variance: Tensor) -> Tensor:
    """(n, side, side) symmetric matrices exp(variance / 2 · Laplacian), by way of the cosines that diagonalise it."""
    wave = torch.arange(side, device=variance.device, dtype=torch.float32) * (math.pi / side)
    basis = torch.cos((torch.arange(side, device=variance.device) + 0.5)[:, None] * wave)
    basis = basis / basis.norm(dim=0)
    decay = torch.exp(variance[:, None] * (wave.cos() - 1))
    return (basis * decay[:, None]) @ basis.T


def separable(images: Tensor, plan: Separable, size: int) -> Tensor:
    """(n, C, H, W) → (n, C, size, size)."""
    n, channels, height, width = images.shape
    columns = weights(plan.centre[:, 0], plan.scale[:, 0], size, width, plan.cubic)
    rows = weights(plan.centre[:, 1], plan.scale[:, 1], size, height, plan.cubic)
    across = torch.bmm(images.reshape(n, channels * height, width), columns.mT).view(n, channels, height, size)
    return rows[:, None] @ across


def weights(centre: Tensor, scale: Tensor, size: int, side: int, cubic: bool) -> Tensor:
    """(n, size, side): how much each of a row's `side` pixels gives to each output pixel.

    torch's anti-aliased interpolation: a triangle, or the cubic with a = -1/2, as wide as the coarser of the two
    pixels, normalised over the pixels of the crop, which is what the output spans.
    """
    centre, scale = centre[:, None], scale[:, None]
    at = pixel_centres(side, centre.device)
    inside = ((at - centre).abs() < scale.abs() * (size / 2)).float()  # (n, side)
    wide = scale.abs().clamp(min=1)
    shown = (centre + scale * pixel_centres(size, centre.device)) / wide  # (n, size)
    distance = ((at / wide)[:, None] - shown[..., None]).abs_()
    if cubic:
        near, far = distance.clamp(max=1), distance.clamp_(1, 2)
        kernel = near.mul(1.5).sub_(2.5).mul_(near).mul_(near)
        kernel += far.mul(-0.5).add_(2.5).mul_(far).sub_(4).mul_(far).add_(3)
    else:
        kernel = distance.neg_().add_(1).clamp_(min=0)
    kernel *= inside[:, None]
    return kernel.div_(kernel.sum(-1, keepdim=True))
