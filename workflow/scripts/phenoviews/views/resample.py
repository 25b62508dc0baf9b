"""All geometry between two colour operations as one resampling.

Walking a pipeline backwards from the output's pixels gives the position on the source that each of them shows. A resize
repeats the edge of what it resizes, so positions are kept half a pixel inside that edge; rotation, affine maps and
padding put zeros outside the canvas they act on, so positions beyond it are blanked, over one pixel as bilinear
interpolation does. (What fades out there is the source, not a repetition of the canvas's edge; that is all the
difference to one step after the other, but for the blur of each step's interpolation.)

Two ways of sampling:

- *gridded*: one `grid_sample` at the positions. Any chain; bicubic is then torch's without anti-aliasing (a = -3/4).
- *separable*: one resize, with crops, flips and quarter turns, is a weighted sum of a few rows and then of a few
  columns, with exactly the weights of torch's anti-aliased interpolation. For bicubic, and where the image may shrink.

Where any other chain shrinks the image, the source is smoothed first, as much as anti-aliasing would.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from phenoviews.views.draw import canvas_of
from phenoviews.views.geometry import Drawn, Geometry, Move
from phenoviews.views.picture import Picture, constant

MILD = 1.25  # shrinking by less hardly aliases: not worth smoothing the source


class Step(NamedTuple):
    """One operation, or the resize at the end, for n images."""

    move: Move | None
    resize: Tensor | None  # (n, 2) sides, on the canvas before it, of a pixel after it; None: no resize
    squares: bool  # its matrices, if it has some, are of quarter turns
    blank: Tensor | None  # (n, 2) sides of the canvas before it, outside of which it is to see zeros


class Field(NamedTuple):
    """Positions (n, 2, H, W), x and y, as the sum of what varies across the image and what varies down it."""

    across: Tensor  # (n, 2, 1, W)
    down: Tensor  # (n, 2, H, 1)


class Blank(NamedTuple):
    field: Field
    reach: Tensor  # (n, 2, 1, 1) distance from the centre at which nothing is left: half a canvas and half a pixel


class Gridded(NamedTuple):
    field: Field  # as grid_sample wants positions, in [-1, 1]
    blanks: list[Blank]
    reduced: tuple[int, int] | None  # what the source is reduced to first
    variance: Tensor | None  # (n,) pixels², how much to smooth it then
    mode: str


class Taps(NamedTuple):
    """The pixels of a row (or column) that give each output pixel, and their weights: (n, 1, size, taps)."""

    pixels: Tensor
    weights: Tensor


class Separable(NamedTuple):
    columns: Taps
    rows: Taps
    cubic: bool
    crossed: Tensor | None  # (n,) bool, whether rows and columns then change places


class Unchanged(NamedTuple):
    """The output is the source."""


Plan = Gridded | Separable | Unchanged


@dataclass(frozen=True)
class Resampling:
    """A chain of geometry operations whose output is size × size; none of them fills after a resize."""

    operations: tuple[Geometry, ...]
    size: int

    def prepare(self, drawn: list[Drawn], n: int, height: int, width: int, device: torch.device) -> Plan:
        """Everything but the pixels, for n images of height × width, from what each operation drew."""
        steps = self._steps(drawn, canvas_of(n, height, width, device), height == width == self.size)
        if not steps:
            return Unchanged()
        cubic = any(getattr(operation, "interpolation", None) == "bicubic" for operation in self.operations)
        one_resize = sum(step.resize is not None for step in steps) == 1
        least, most = self._shrink(height, width)
        if one_resize and not any(o.fills for o in self.operations) and (cubic or most > 1):
            factors, shift, crossed = uncrossed(chain(steps))
            assert shift is not None  # what resizes has one
            columns, rows = (
                taps(side, self.size, scale, centre, cubic, most)
                for side, scale, centre in zip((width, height), factors.unbind(1), shift.unbind(1), strict=True)
            )
            return Separable(columns, rows, cubic, crossed)
        reduced = variance = None
        if most > MILD:
            least = max(1.0, least)
            reduced = (math.ceil(height / least), math.ceil(width / least)) if least > 1 else None
            variance = ((covered(steps) / least) ** 2 - 1).clamp_(min=0) / 6
        field, blanks = look_back(steps, n, self.size, height, width, device)
        return Gridded(field, blanks, reduced, variance, "bicubic" if cubic else "bilinear")

    def _steps(self, drawn: list[Drawn], canvas: Tensor, matched: bool) -> list[Step]:
        steps, whole = [], True  # whole: the canvas shows all of the source; matched: it is size × size
        for operation, values in zip(self.operations, drawn, strict=True):
            blank = canvas if operation.fills and not whole else None
            move = operation.back(values, canvas, self.size)
            resize = move.linear if move is not None and operation.resizes else None
            steps.append(Step(move, resize, operation.squares, blank))
            canvas = operation.after(values, canvas, self.size)
            whole = whole and not operation.crops
            matched = operation.resizes or (matched and operation.grows == (1, 1))
        if not matched:
            resize = canvas / self.size
            steps.append(Step(Move(resize, torch.zeros_like(canvas)), resize, False, None))
        return steps

    def _shrink(self, height: int, width: int) -> tuple[float, float]:
        """Bounds of `covered`, whatever is drawn."""
        bounds = []
        for side, bound, whole in ((min(height, width), 0, math.floor), (max(height, width), 1, math.ceil)):
            length, pixel, most = side, 1.0, 0.0  # pixel: side of a canvas pixel on the source
            for operation in self.operations:
                length = whole(length * operation.grows[bound])
                if operation.resizes:
                    pixel, length = pixel * length / self.size, self.size
                    most = max(most, pixel)
            bounds.append(max(most, pixel * length / self.size))
        return bounds[0], bounds[1]

    def apply(self, picture: Picture, plan: Plan) -> None:
        if isinstance(plan, Unchanged):
            return
        images = picture.work_out()
        if isinstance(plan, Separable):
            cubic, picture.pixels = plan.cubic, separable(images, plan, self.size)
        else:
            cubic, picture.pixels = plan.mode == "bicubic", gridded(images, plan, self.size)
        if cubic:
            picture.pixels.clamp_(0, 1)  # as happens to the 8-bit images of torchvision and PIL


def compose(move: Move, total: Move | None) -> Move:
    """First `total`, then `move`."""
    if total is None:
        return move
    linear, shift = move
    if linear.ndim < total.linear.ndim:
        linear = linear.diag_embed()
    elif linear.ndim > total.linear.ndim:
        total = Move(total.linear.diag_embed(), total.shift)
    straight = linear.ndim == 2
    if total.shift is not None:
        carried = linear * total.shift if straight else (linear @ total.shift[..., None])[..., 0]
        shift = carried if shift is None else carried + shift
    return Move(linear * total.linear if straight else linear @ total.linear, shift)


def chain(steps: list[Step]) -> Move:
    """From the output to the source, through all steps, of which one at least moves."""
    last, *before = (step.move for step in reversed(steps) if step.move is not None)
    return functools.reduce(lambda total, move: compose(move, total), before, last)


def uncrossed(move: Move) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """(factors (n, 2), shift, crossed (n,) bool) of a move by factors and quarter turns: it is the move by the factors
    after x and y have changed places where `crossed`; None, where they nowhere do."""
    if move.linear.ndim == 2:
        return move.linear, move.shift, None
    return move.linear.sum(2), move.shift, move.linear[:, 0, 0] == 0


def covered(steps: list[Step]) -> Tensor:
    """(n,) the length, in source pixels, that anti-aliasing lets a pixel cover: that of the coarsest resize."""
    factors = [step.resize.prod(1).sqrt() for step in steps if step.resize is not None]
    return functools.reduce(torch.maximum, itertools.accumulate(factors, torch.mul))


def look_back(
    steps: list[Step], n: int, size: int, height: int, width: int, device: torch.device
) -> tuple[Field, list[Blank]]:
    """Walk the steps backwards from the output's pixels to the source.

    As long as x and y do not mix and nothing is blanked, `line` (n, 2, size) holds the positions themselves, and
    `crossed` (n,) whether x varies down the image and y across it; from there on `total` collects the moves.
    """
    line = pixel_centres(size, device).expand(n, 2, size)
    crossed: Tensor | None = None
    total: Move | None = None
    blanks = []
    for step in reversed(steps):
        if step.resize is not None:
            inside = ((size - 1 / step.resize) / 2)[..., None]  # half a pixel of the crop, in the resized pixels
            line = torch.minimum(torch.maximum(line, -inside), inside)
        if step.move is not None:
            if total is None and (step.squares or step.move.linear.ndim == 2):
                factors, shift, crossing = uncrossed(step.move)
                if crossing is not None:
                    line = torch.where(crossing[:, None, None], line.flip(1), line)
                    crossed = crossing if crossed is None else crossed ^ crossing
                line = line * factors[..., None]
                line = line if shift is None else line + shift[..., None]
            else:
                total = compose(step.move, total)
        if step.blank is not None:
            blanks.append(Blank(field(line, crossed, total), ((step.blank + 1) / 2)[..., None, None]))
    units = constant(((2 / width, 2 / height),), device).expand(n, 2)
    return field(line, crossed, compose(Move(units), total)), blanks


def pixel_centres(size: int, device: torch.device) -> Tensor:
    """(size,) positions from the centre of a row of pixels."""
    return torch.arange(size, device=device, dtype=torch.float32) + (1 - size) / 2


def field(line: Tensor, crossed: Tensor | None, total: Move | None) -> Field:
    """`line` (n, 2, size), its x varying down the image where `crossed` (n,), as seen through `total`."""
    linear = torch.eye(2, device=line.device) if total is None else total.linear
    linear = linear.diag_embed() if total is not None and linear.ndim == 2 else linear
    parts = linear.mT.reshape(-1, 2, 2, 1) * line[:, :, None]  # of the columns of the matrix: x, then y
    if crossed is not None:
        parts = torch.where(crossed[:, None, None, None], parts.flip(1), parts)
    across, down = parts.unbind(1)
    if total is not None and total.shift is not None:
        across = across + total.shift[..., None]
    return Field(across[:, :, None], down[..., None])


def gridded(images: Tensor, plan: Gridded, size: int) -> Tensor:
    """(n, C, H, W) → (n, C, size, size)."""
    if plan.reduced:
        images = F.interpolate(images, plan.reduced, mode="bilinear", antialias=True)
    if plan.variance is not None:
        images = smooth(images, plan.variance)
    grid = torch.add(*plan.field).permute(0, 2, 3, 1)
    sampled = F.grid_sample(images, grid, mode=plan.mode, padding_mode="zeros", align_corners=False)
    for where, reach in plan.blanks:
        sampled *= within(torch.add(*where), reach)
    return sampled


def within(position: Tensor, reach: Tensor) -> Tensor:
    """(n, 1, H, W) of positions (n, 2, H, W), which it overwrites: 1 on a canvas, falling to 0 over the last pixel
    before `reach`."""
    torch.sub(reach, position.abs_(), out=position).clamp_(0, 1)
    return position[:, :1].mul_(position[:, 1:])


def smooth(images: Tensor, variance: Tensor) -> Tensor:
    """Blur with the discrete heat kernel, whose variance (n,) is exact however small it is."""
    height, width = images.shape[-2:]
    rows = heat(height, variance)
    columns = rows if width == height else heat(width, variance)
    return rows[:, None] @ (images @ columns[:, None])


def heat(side: int, variance: Tensor) -> Tensor:
    """(n, side, side) symmetric matrices exp(variance / 2 · Laplacian), by way of the cosines that diagonalise it."""
    basis, eigenvalues = cosines(side, variance.device)
    return (basis * torch.exp(variance[:, None, None] * eigenvalues)) @ basis.T


@functools.lru_cache(maxsize=16)
def cosines(side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The eigenvectors (side, side), in columns, of half the Laplacian of a row of pixels, and its eigenvalues."""
    wave = torch.arange(side, device=device, dtype=torch.float64) * (math.pi / side)
    basis = torch.cos((torch.arange(side, device=device) + 0.5)[:, None] * wave)
    return (basis / basis.norm(dim=0)).float(), (wave.cos() - 1).float()


def taps(side: int, size: int, scale: Tensor, centre: Tensor, cubic: bool, most: float) -> Taps:
    """Which of a row's `side` pixels give each of `size` output pixels; scale (n,) source pixels per output pixel,
    negative where flipped, at most `most`; centre (n,) of the output on the source.

    torch's anti-aliased interpolation: a triangle, or the cubic with a = -1/2, as wide as the coarser of the two
    pixels, normalised over the pixels of the crop, which is what the output spans.
    """
    scale, centre = scale[:, None], centre[:, None] + side / 2
    reach = 2 if cubic else 1
    wide = scale.abs().clamp(min=1)
    shown = centre + scale * pixel_centres(size, scale.device)  # (n, size)
    index = torch.floor(shown - reach * wide + 0.5)[..., None]
    index = index + torch.arange(math.ceil(2 * reach * max(1.0, most)), device=scale.device)
    distance = (index + 0.5 - shown[..., None]).abs_().div_(wide[..., None])
    if cubic:
        near, far = distance.clamp(max=1), distance.clamp_(1, 2)
        kernel = near.mul(1.5).sub_(2.5).mul_(near).mul_(near)
        kernel += far.mul(-0.5).add_(2.5).mul_(far).sub_(4).mul_(far).add_(3)
    else:
        kernel = distance.neg_().add_(1).clamp_(min=0)
    kernel *= ((index + 0.5 - centre[..., None]).abs_() < (scale.abs() * (size / 2))[..., None]).float()
    weight = kernel.div_(kernel.sum(-1, keepdim=True))
    return Taps(index.clamp_(0, side - 1).long()[:, None], weight[:, None])


def separable(images: Tensor, plan: Separable, size: int) -> Tensor:
    """(n, C, H, W) → (n, C, size, size)."""
    columns_last = gather_rows(images, plan.rows).mT
    crossed = gather_rows(columns_last, plan.columns)
    if plan.crossed is None:
        return crossed.mT.contiguous()
    return torch.where(plan.crossed[:, None, None, None], crossed, crossed.mT).contiguous()


def gather_rows(images: Tensor, taps: Taps) -> Tensor:
    """(n, C, H, W) → (n, C, size, W): weighted sums of whole rows."""
    n, channels, height, width = images.shape
    start = torch.arange(0, n * channels * height, height, device=images.device).view(n, channels, 1, 1)
    index = (start + taps.pixels).flatten(0, 2)
    weight = taps.weights.expand(-1, channels, -1, -1).flatten(0, 2)
    rows = images.reshape(-1, width)
    return F.embedding_bag(index, rows, per_sample_weights=weight, mode="sum").view(n, channels, -1, width)
