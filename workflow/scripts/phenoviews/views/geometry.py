"""The operations that move pixels: what each draws, and where each looks.

Each operation is torchvision's of the same name (`torchvision.transforms.v2`), with its parameters; those that go by
a fraction of the side (`random_crop`, `center_crop`, `pad`) are of *No Free Lunch*, section 2 and appendix D.

An operation maps a canvas to a canvas. `step` gives the map *backwards*, from a position on the canvas after it to the
position on the canvas before it, both in pixels from the canvas's centre (x to the right, y down): so padding, centring
and flipping need no sizes. `resample.py` chains the steps of a whole pipeline and samples once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from phenoviews.views.draw import Canvas, chance, check_range, first, integer, rectangles, uniform

Drawn = dict[str, Tensor]


def affine(a: Tensor, b: Tensor, x: Tensor, c: Tensor, d: Tensor, y: Tensor) -> Tensor:
    """(n, 3, 3) homogeneous matrices [[a, b, x], [c, d, y], [0, 0, 1]] of (n,) entries."""
    none, one = torch.zeros_like(a), torch.ones_like(a)
    return torch.stack((a, b, x, c, d, y, none, none, one), -1).view(-1, 3, 3)


def upright(a: Tensor, x: Tensor, d: Tensor, y: Tensor) -> Tensor:
    """The same without mixing x and y."""
    none = torch.zeros_like(a)
    return affine(a, none, x, none, d, y)


def resize(canvas: Canvas, size: int) -> Tensor:
    """From a size × size canvas back to `canvas`."""
    none = torch.zeros_like(canvas.width)
    return upright(canvas.width / size, none, canvas.height / size, none)


class Geometry:
    """What the resampling needs to know of an operation before anything is drawn."""

    random: bool = True
    straight: ClassVar[bool] = True  # rows stay rows and columns stay columns
    resizes: ClassVar[bool] = False  # ends with a resize to the pipeline's size, which repeats the crop's edge
    fills: ClassVar[bool] = False  # zeros outside the canvas before it
    crops: ClassVar[bool] = False  # leaves out some of the canvas before it

    @property
    def grows(self) -> tuple[float, float]:
        """Bounds of the side after the operation (before its resize, if it resizes) over the side before it."""
        return (1.0, 1.0)

    def draw(self, canvas: Canvas, generator: torch.Generator) -> Drawn:
        raise NotImplementedError

    def step(self, drawn: Drawn, canvas: Canvas, size: int) -> tuple[Canvas, Tensor | None]:
        """The canvas after the operation, and the matrices (n, 3, 3) back to `canvas` (None: the identity)."""
        raise NotImplementedError


@dataclass(frozen=True)
class RandomHorizontalFlip(Geometry):
    """Draws `flip` (n,) bool."""

    p: float = 0.5

    def __post_init__(self):
        check_range("p", (self.p, self.p), 0, 1)

    @property
    def random(self) -> bool:
        return 0 < self.p < 1

    def draw(self, canvas: Canvas, generator: torch.Generator) -> Drawn:
        return {"flip": chance(len(canvas), self.p, generator)}

    def step(self, drawn: Drawn, canvas: Canvas, size: int) -> tuple[Canvas, Tensor]:
        none = torch.zeros_like(canvas.width)
        return canvas, upright(1 - 2 * drawn["flip"].float(), none, none + 1, none)


@dataclass(frozen=True)
class RandomVerticalFlip(RandomHorizontalFlip):
    """Draws `flip` (n,) bool."""

    def step(self, drawn: Drawn, canvas: Canvas, size: int) -> tuple[Canvas, Tensor]:
        none = torch.zeros_like(canvas.width)
        return canvas, upright(none + 1, none, 1 - 2 * drawn["flip"].float(), none)


@dataclass(frozen=True)
class Pad(Geometry):
    """Zeros on all four sides; draws `padding` (n,), whole pixels: the drawn fraction of the shorter side."""

    fraction: tuple[float, float]
    fills: ClassVar[bool] = True

    def __post_init__(self):
        check_range("fraction", self.fraction, 0, math.inf)

    @property
    def random(self) -> bool:
        return self.fraction[0] < self.fraction[1]

    @property
    def grows(self) -> tuple[float, float]:
        return 1 + 2 * self.fraction[0], 1 + 2 * self.fraction[1]

    def draw(self, canvas: Canvas, generator: torch.Generator) -> Drawn:
        side = torch.minimum(canvas.height, canvas.width)
        return {"padding": (uniform(len(canvas), *self.fraction, generator) * side).round_()}

    def step(self, drawn: Drawn, canvas: Canvas, size: int) -> tuple[Canvas, None]:
        return Canvas(canvas.height + 2 * drawn["padding"], canvas.width + 2 * drawn["padding"]), None


@dataclass(frozen=True)
class CenterCrop(Geometry):
    """The middle `fraction` of each side, in whole pixels; draws nothing."""

    fraction: float = 0.5
    random: ClassVar[bool] = False
    crops: ClassVar[bool] = True

    def __post_init__(self):
        check_range("fraction", (self.fraction, self.fraction), 1e-6, 1)

    @property
    def grows(self) -> tuple[float, float]:
        return self.fraction, self.fraction

    def draw(self, canvas: Canvas, generator: torch.Generator) -> Drawn:
        return {}

    def step(self, drawn: Drawn, canvas: Canvas, size: int) -> tuple[Canvas, Tensor]:
        height = (self.fraction * canvas.height).round().clamp_(min=1)
        width = (self.fraction * canvas.width).round().clamp_(min=1)
        top, left = ((canvas.height - height) / 2).round(), ((canvas.width - width) / 2).round()
        x, y = left + (width - canvas.width) / 2, top + (height - canvas.height) / 2
        one = torch.ones_like(x)
        return Canvas(height, width), upright(one, x, one, y)


class Box(Geometry):
    """A drawn box of the canvas, resized: `top`, `left`, `height`, `width` (n,), whole pixels."""

    crops: ClassVar[bool] = True
    resizes: ClassVar[bool] = True

    def step(self, drawn: Drawn, canvas: Canvas, size: int) -> tuple[Canvas, Tensor]:
        height, width = drawn["height"], drawn["width"]
        x = drawn["left"] + (width - canvas.width) / 2
        y = drawn["top"] + (height - canvas.height) / 2
        side = torch.full_like(width, size)
        return Canvas(side, side), upright(width / size, x, height / size, y)


@dataclass(frozen=True)
class RandomCrop(Box):
    """A box whose sides are a uniform `fraction` of the canvas's, anywhere on it, resized to the pipeline's size."""

    fraction: tuple[float, float]

    def __post_init__(self):
        check_range("fraction", self.fraction, 1e-6, 1)

    @property
    def grows(self) -> tuple[float, float]:
        return self.fraction

    def draw(self, canvas: Canvas, generator: torch.Generator) -> Drawn:
        fraction = uniform(len(canvas), *self.fraction, generator)
        height = (fraction * canvas.height).round_().clamp_(min=1)
        width = (fraction * canvas.width).round_().clamp_(min=1)
        top, left = integer(canvas.height - height + 1, generator), integer(canvas.width - width + 1, generator)
        return {"top": top, "left": left, "height": height, "width": width}


@dataclass(frozen=True)
class RandomResizedCrop(Box):
    """A box of a uniform share `scale` of the area and a log-uniform `ratio` of width to height, resized.

    As in torchvision ten tries are made to fit one on the canvas; failing that it is the largest central box whose
    ratio lies in `ratio`. (A scale above 1 is therefore allowed, but no box is larger than the canvas.)
    """

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: str = "bilinear"

    def __post_init__(self):
        check_range("scale", self.scale, 1e-6, math.inf)
        check_range("ratio", self.ratio, 1e-6, math.inf)
        if self.interpolation not in ("bilinear", "bicubic"):
            raise ValueError(f"interpolation {self.interpolation!r} is neither bilinear nor bicubic")

    @property
    def grows(self) -> tuple[float, float]:
        narrowest = min(self.ratio[0], 1 / self.ratio[1])
        return min(1.0, math.sqrt(self.scale[0] * narrowest)), 1.0

    def draw(self, canvas: Canvas, generator: torch.Generator) -> Drawn:
        widths, heights = rectangles(canvas, self.scale, self.ratio, generator)
        valid = (widths > 0) & (widths <= canvas.width) & (heights > 0) & (heights <= canvas.height)
        width, height = first(valid, widths, heights)
        fits = valid.any(0)
        width = torch.where(fits, width, torch.minimum(canvas.width, (canvas.height * self.ratio[1]).round_()))
        height = torch.where(fits, height, torch.minimum(canvas.height, (canvas.width / self.ratio[0]).round_()))
        rows, columns = canvas.height - height, canvas.width - width
        top = torch.where(fits, integer(rows + 1, generator), (rows / 2).floor_())
        left = torch.where(fits, integer(columns + 1, generator), (columns / 2).floor_())
        return {"top": top, "left": left, "height": height, "width": width}


@dataclass(frozen=True)
class RandomRotation(Geometry):
    """About the centre by `angle` (n,), degrees counter-clockwise, uniform within ± `degrees`; zeros outside."""

    degrees: float = 25.0
    straight: ClassVar[bool] = False
    fills: ClassVar[bool] = True
    crops: ClassVar[bool] = True

    def __post_init__(self):
        check_range("degrees", (self.degrees, self.degrees), 0, math.inf)

    @property
    def random(self) -> bool:
        return self.degrees > 0

    def draw(self, canvas: Canvas, generator: torch.Generator) -> Drawn:
        return {"angle": uniform(len(canvas), -self.degrees, self.degrees, generator)}

    def step(self, drawn: Drawn, canvas: Canvas, size: int) -> tuple[Canvas, Tensor]:
        angle = drawn["angle"].deg2rad()
        cos, sin, none = angle.cos(), angle.sin(), torch.zeros_like(angle)
        return canvas, affine(cos, -sin, none, sin, cos, none)


@dataclass(frozen=True)
class RandomAffine(Geometry):
    """Rotation, scaling and shear about the centre, then a shift; bilinear, zeros outside.

    Draws (n,) `angle` (degrees, clockwise), `scale`, `shear` (degrees, along x), and `right`, `down` (whole pixels).
    """

    degrees: float = 0.0
    translate: tuple[float, float] = (0.0, 0.0)
    shear: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    straight: ClassVar[bool] = False
    fills: ClassVar[bool] = True
    crops: ClassVar[bool] = True

    def __post_init__(self):
        check_range("degrees", (self.degrees, self.degrees), 0, math.inf)
        check_range("translate", sorted(self.translate), 0, 1)
        check_range("shear", (self.shear, self.shear), 0, 89)
        check_range("scale", self.scale, 1e-6, math.inf)

    @property
    def random(self) -> bool:
        return any((self.degrees, *self.translate, self.shear, self.scale[0] != self.scale[1]))

    def draw(self, canvas: Canvas, generator: torch.Generator) -> Drawn:
        n = len(canvas)
        angle = uniform(n, -self.degrees, self.degrees, generator)
        right = (uniform(n, -self.translate[0], self.translate[0], generator) * canvas.width).round_()
        down = (uniform(n, -self.translate[1], self.translate[1], generator) * canvas.height).round_()
        scale = uniform(n, *self.scale, generator)
        shear = uniform(n, -self.shear, self.shear, generator)
        return {"angle": angle, "right": right, "down": down, "scale": scale, "shear": shear}

    def step(self, drawn: Drawn, canvas: Canvas, size: int) -> tuple[Canvas, Tensor]:
        angle, tangent = drawn["angle"].deg2rad(), drawn["shear"].deg2rad().tan_()
        cos, sin = angle.cos(), angle.sin()
        # The inverse of rotation @ [[1, -tangent], [0, 1]] * scale, after undoing the shift.
        a, b = (cos - sin * tangent) / drawn["scale"], (cos * tangent + sin) / drawn["scale"]
        c, d = -sin / drawn["scale"], cos / drawn["scale"]
        x, y = -drawn["right"], -drawn["down"]
        return canvas, affine(a, b, a * x + b * y, c, d, c * x + d * y)
