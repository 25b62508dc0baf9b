"""The operations that move pixels: what each draws, and where each looks.

Each operation is torchvision's of the same name (`torchvision.transforms.v2`), with its parameters; those that go by
a fraction of the side (`random_crop`, `center_crop`, `pad`) are of *No Free Lunch*, section 2 and appendix D, and
`random_rotate_90` is albumentations'.

An operation maps a canvas to a canvas. `back` gives the map *backwards*, from a position on the canvas after it to the
position on the canvas before it, both in pixels from the canvas's centre (x to the right, y down): so padding, flipping
and turning need no sizes. `resample.py` chains the operations of a whole pipeline and samples once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from phenoviews.views.draw import Probable, chance, check_number, check_range, first_valid, integer, rectangles, uniform
from phenoviews.views.picture import constant

Drawn = dict[str, Tensor]
MOST = math.inf
LEAST = 1e-6  # of what must be greater than zero
QUARTERS = ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))  # matrices of 0, 1, 2, 3 quarter turns


class Move(NamedTuple):
    """position → linear · position + shift, for n images."""

    linear: Tensor  # (n, 2), the factors of x and y, or (n, 2, 2)
    shift: Tensor | None = None  # (n, 2)


class Geometry:
    """What the resampling needs to know of an operation before anything is drawn."""

    resizes: ClassVar[bool] = False  # ends with a resize to the pipeline's size, which repeats the crop's edge
    fills: ClassVar[bool] = False  # zeros outside the canvas before it
    crops: ClassVar[bool] = False  # leaves out some of the canvas before it
    squares: ClassVar[bool] = False  # flips or quarter turns: a square's symmetries, so a resize may as well follow

    @property
    def random(self) -> bool:
        """Whether it depends on what is drawn."""
        return True

    @property
    def grows(self) -> tuple[float, float]:
        """Bounds of the side after the operation (before its resize, if it resizes) over the side before it."""
        return (1.0, 1.0)

    def draw(self, canvas: Tensor, generator: torch.Generator) -> Drawn:
        raise NotImplementedError

    def after(self, drawn: Drawn, canvas: Tensor, size: int) -> Tensor:
        """The canvas after the operation."""
        return torch.full_like(canvas, size) if self.resizes else canvas

    def back(self, drawn: Drawn, canvas: Tensor, size: int) -> Move | None:
        """From the canvas after the operation to `canvas`, the one before it; None: nothing moves."""
        raise NotImplementedError


@dataclass(frozen=True)
class RandomHorizontalFlip(Probable, Geometry):
    """Draws `flip` (n,) bool."""

    p: float = 0.5
    squares: ClassVar[bool] = True
    mirror: ClassVar[tuple[float, float]] = (2.0, 0.0)  # what a flip takes from the factors of x and y

    def draw(self, canvas: Tensor, generator: torch.Generator) -> Drawn:
        return {"flip": chance(len(canvas), self.p, generator)}

    def back(self, drawn: Drawn, canvas: Tensor, size: int) -> Move:
        return Move(1 - drawn["flip"][:, None] * constant(self.mirror, canvas.device))


@dataclass(frozen=True)
class RandomVerticalFlip(RandomHorizontalFlip):
    """Draws `flip` (n,) bool."""

    mirror: ClassVar[tuple[float, float]] = (0.0, 2.0)


@dataclass(frozen=True)
class RandomRotate90(Probable, Geometry):
    """Draws `turns` (n,), whole quarter turns counter-clockwise: with probability p one of 0, 1, 2, 3, otherwise 0.

    (So with p = 0.5 three images of eight are turned.) Width and height change places in an odd number of turns.
    """

    p: float = 0.5
    squares: ClassVar[bool] = True

    @property
    def random(self) -> bool:
        return self.p > 0

    def draw(self, canvas: Tensor, generator: torch.Generator) -> Drawn:
        turned = chance(len(canvas), self.p, generator)
        return {"turns": turned * integer(torch.full_like(canvas[:, 0], 4), generator)}

    def after(self, drawn: Drawn, canvas: Tensor, size: int) -> Tensor:
        return torch.where((drawn["turns"] % 2 == 1)[:, None], canvas.flip(1), canvas)

    def back(self, drawn: Drawn, canvas: Tensor, size: int) -> Move:
        """The matrices (cos, -sin, sin, cos) without their rounding, so that turned pixels are pixels."""
        turns = constant(QUARTERS, canvas.device)
        return Move(turns[drawn["turns"].long()].view(-1, 2, 2))


@dataclass(frozen=True)
class Pad(Geometry):
    """Zeros on all four sides; draws `padding` (n,), whole pixels: the drawn fraction of the shorter side."""

    fraction: tuple[float, float]
    fills: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range("fraction", self.fraction, 0, MOST)

    @property
    def random(self) -> bool:
        return self.fraction[0] < self.fraction[1]

    @property
    def grows(self) -> tuple[float, float]:
        return 1 + 2 * self.fraction[0], 1 + 2 * self.fraction[1]

    def draw(self, canvas: Tensor, generator: torch.Generator) -> Drawn:
        return {"padding": (uniform(len(canvas), *self.fraction, generator) * canvas.amin(1)).round_()}

    def after(self, drawn: Drawn, canvas: Tensor, size: int) -> Tensor:
        return canvas + 2 * drawn["padding"][:, None]

    def back(self, drawn: Drawn, canvas: Tensor, size: int) -> None:
        return None


@dataclass(frozen=True)
class CenterCrop(Geometry):
    """The middle `fraction` of each side, in whole pixels; draws nothing."""

    fraction: float = 0.5
    crops: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_number("fraction", self.fraction, LEAST, 1)

    @property
    def random(self) -> bool:
        return False

    @property
    def grows(self) -> tuple[float, float]:
        return self.fraction, self.fraction

    def draw(self, canvas: Tensor, generator: torch.Generator) -> Drawn:
        return {}

    def after(self, drawn: Drawn, canvas: Tensor, size: int) -> Tensor:
        return (canvas * self.fraction).round_().clamp_(min=1)

    def back(self, drawn: Drawn, canvas: Tensor, size: int) -> Move:
        left_out = (canvas - self.after(drawn, canvas, size)) / 2  # on each side; a half cannot be cropped
        return Move(torch.ones_like(canvas), left_out.round() - left_out)


class Box(Geometry):
    """A drawn box of the canvas, resized: `corner` (n, 2), left and top, and `sides` (n, 2), whole pixels."""

    crops: ClassVar[bool] = True
    resizes: ClassVar[bool] = True

    def back(self, drawn: Drawn, canvas: Tensor, size: int) -> Move:
        return Move(drawn["sides"] / size, drawn["corner"] + (drawn["sides"] - canvas) / 2)


@dataclass(frozen=True)
class RandomCrop(Box):
    """A box whose sides are a uniform `fraction` of the canvas's, anywhere on it, resized to the pipeline's size."""

    fraction: tuple[float, float]

    def __post_init__(self) -> None:
        check_range("fraction", self.fraction, LEAST, 1)

    @property
    def grows(self) -> tuple[float, float]:
        return self.fraction

    def draw(self, canvas: Tensor, generator: torch.Generator) -> Drawn:
        fraction = uniform((len(canvas), 1), *self.fraction, generator)
        sides = (fraction * canvas).round_().clamp_(min=1)
        return {"corner": integer(canvas - sides + 1, generator), "sides": sides}


@dataclass(frozen=True)
class RandomResizedCrop(Box):
    """A box of a uniform share `scale` of the area and a log-uniform `ratio` of width to height, resized.

    As in torchvision ten tries are made to fit one on the canvas; failing that it is the largest central box whose
    ratio lies in `ratio`. (A scale above 1 is therefore allowed, but no box is larger than the canvas.)
    """

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        check_range("scale", self.scale, LEAST, MOST)
        check_range("ratio", self.ratio, LEAST, MOST)
        if self.interpolation not in ("bilinear", "bicubic"):
            raise ValueError(f"interpolation {self.interpolation!r} is neither bilinear nor bicubic")

    @property
    def grows(self) -> tuple[float, float]:
        narrowest = min(self.ratio[0], 1 / self.ratio[1])
        return min(1.0, math.sqrt(self.scale[0] * narrowest)), 1.0

    def draw(self, canvas: Tensor, generator: torch.Generator) -> Drawn:
        tries = rectangles(canvas, self.scale, self.ratio, generator)
        valid = ((tries > 0) & (tries <= canvas)).all(-1)
        fits = valid.any(0)[:, None]
        bounds = canvas.flip(1) * constant((self.ratio[1], 1 / self.ratio[0]), canvas.device)
        sides = torch.where(fits, first_valid(tries, valid), torch.minimum(canvas, bounds.round_()))
        room = canvas - sides
        return {"corner": torch.where(fits, integer(room + 1, generator), (room / 2).floor_()), "sides": sides}


@dataclass(frozen=True)
class RandomRotation(Geometry):
    """About the centre by `angle` (n,), degrees counter-clockwise, uniform within ± `degrees`; zeros outside."""

    degrees: float = 25.0
    fills: ClassVar[bool] = True
    crops: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_number("degrees", self.degrees, 0, MOST)

    @property
    def random(self) -> bool:
        return self.degrees > 0

    def draw(self, canvas: Tensor, generator: torch.Generator) -> Drawn:
        return {"angle": uniform(len(canvas), -self.degrees, self.degrees, generator)}

    def back(self, drawn: Drawn, canvas: Tensor, size: int) -> Move:
        angle = drawn["angle"].deg2rad()
        cos, sin = angle.cos(), angle.sin()
        return Move(torch.stack((cos, -sin, sin, cos), 1).view(-1, 2, 2))


@dataclass(frozen=True)
class RandomAffine(Geometry):
    """Rotation, scaling and shear about the centre, then a shift; bilinear, zeros outside.

    Draws (n,) `angle` (degrees, clockwise), `scale`, `shear` (degrees, along x), and `shift` (n, 2), whole pixels.
    """

    degrees: float
    translate: tuple[float, float] = (0.1, 0.1)
    shear: float = 10.0
    scale: tuple[float, float] = (1.0, 1.0)
    fills: ClassVar[bool] = True
    crops: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_number("degrees", self.degrees, 0, MOST)
        check_range("translate", sorted(self.translate), 0, 1)
        check_number("shear", self.shear, 0, 89)
        check_range("scale", self.scale, LEAST, MOST)

    @property
    def random(self) -> bool:
        return any((self.degrees, *self.translate, self.shear, self.scale[0] != self.scale[1]))

    def draw(self, canvas: Tensor, generator: torch.Generator) -> Drawn:
        n, device = len(canvas), canvas.device
        angle = uniform(n, -self.degrees, self.degrees, generator)
        shift = uniform((n, 2), -1, 1, generator) * constant(self.translate, device) * canvas
        scale = uniform(n, *self.scale, generator)
        shear = uniform(n, -self.shear, self.shear, generator)
        return {"angle": angle, "shift": shift.round_(), "scale": scale, "shear": shear}

    def back(self, drawn: Drawn, canvas: Tensor, size: int) -> Move:
        """The inverse of rotation · [[1, -tangent], [0, 1]] · scale, after undoing the shift."""
        angle, tangent = drawn["angle"].deg2rad(), drawn["shear"].deg2rad().tan_()
        cos, sin = angle.cos(), angle.sin()
        turn = torch.stack((cos - sin * tangent, sin + cos * tangent, -sin, cos), 1) / drawn["scale"][:, None]
        linear = turn.view(-1, 2, 2)
        return Move(linear, -(linear @ drawn["shift"][..., None])[..., 0])
