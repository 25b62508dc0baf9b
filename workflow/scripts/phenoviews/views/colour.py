"""The operations that change colours, or single pixels; torchvision's of the same names.

Each draws its parameters (`draw`), turns them into what the pixels need for the whole batch (`prepare`), and is applied
to a few images at a time (`apply`). Where an image is not to be changed its parameters say so: nothing is selected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from phenoviews.views.draw import Probable, chance, check_number, check_range, first_valid, integer, rectangles, uniform
from phenoviews.views.geometry import LEAST, MOST, Drawn
from phenoviews.views.picture import Picture, constant

GREY = (0.2989, 0.587, 0.114)  # the shares of red, green and blue in torchvision's rgb_to_grayscale
MOST_CHANNELS = 12  # of an image
CONTRAST, SATURATION, HUE = 1, 2, 3  # in the drawn order, as torchvision numbers them; brightness is 0


class Colour:
    """An operation that leaves every pixel in its place."""

    squares: ClassVar[bool] = True  # the result for a flipped or turned image is the flipped or turned result

    @property
    def of_rgb(self) -> str:
        """What of it has a meaning for red, green and blue alone, "" for nothing."""
        return ""

    @property
    def random(self) -> bool:
        """Whether it depends on what is drawn."""
        return True

    def draw(self, canvas: Tensor, generator: torch.Generator) -> Drawn:
        raise NotImplementedError

    def prepare(self, drawn: Drawn, channels: int) -> Any:
        """What `apply` needs: a nest of tensors of n rows."""
        return drawn

    def apply(self, picture: Picture, prepared: Any) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Sometimes(Probable, Colour):
    """Applied to each image with probability p; draws `apply` (n,) bool."""

    def draw(self, canvas: Tensor, generator: torch.Generator) -> Drawn:
        return {"apply": chance(len(canvas), self.p, generator)}


def mixture(own: Tensor, grey: Tensor, channels: int) -> Tensor:
    """(…, C, C) matrices of colour → own · colour + grey · (its greyscale), for own, grey (…). Where there are neither
    one nor three channels, each is its own greyscale."""
    if channels == 1:
        return (own + grey)[..., None, None]
    if channels != 3:
        return (own + grey)[..., None, None] * torch.eye(channels, device=own.device)
    shares = constant((GREY,) * 3, own.device)
    return own[..., None, None] * torch.eye(3, device=own.device) + grey[..., None, None] * shares


@dataclass(frozen=True)
class ColorJitter(Colour):
    """Brightness, contrast, saturation and hue, in an order drawn per image, each result kept within [0, 1].

    Of other than three channels, brightness is one factor for all of them, contrast one factor by which each is drawn
    to its own mean, and there is no saturation or hue: one channel has none, and for others they are refused.

    `p` is the probability of the whole, `hue_p` that of the hue part given the whole. Draws (n,) the factors
    `brightness`, `contrast`, `saturation` and the shift `hue` (turns), neutral where not applied, and `order` (n, 4).
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    p: float = 0.8
    hue_p: float = 1.0

    def __post_init__(self) -> None:
        for name, most in (("brightness", MOST), ("contrast", MOST), ("saturation", MOST), ("hue", 0.5)):
            check_number(name, getattr(self, name), 0, most)
        check_number("p", self.p, 0, 1)
        check_number("hue_p", self.hue_p, 0, 1)

    @property
    def random(self) -> bool:
        return any((self.brightness, self.contrast, self.saturation, self.hue and self.hue_p))

    @property
    def of_rgb(self) -> str:
        return " and ".join(
            name for name, on in (("saturation", self.saturation), ("hue", self.hue * self.hue_p)) if on
        )

    def draw(self, canvas: Tensor, generator: torch.Generator) -> Drawn:
        n = len(canvas)
        order = torch.rand(n, 4, generator=generator, device=generator.device).argsort(1)
        changed = chance(n, self.p, generator)
        factors = {}
        for name in ("brightness", "contrast", "saturation"):
            most = getattr(self, name)
            factors[name] = torch.where(changed, uniform(n, max(0.0, 1 - most), 1 + most, generator), 1.0)
        shift = uniform(n, -self.hue, self.hue, generator)
        hue = torch.where(changed & chance(n, self.hue_p, generator), shift, 0.0)
        return {**factors, "hue": hue, "order": order}

    def prepare(self, drawn: Drawn, channels: int) -> Any:
        """Brightness, contrast and saturation are rounds of one kind: a mix of the colour, its grey and the image's
        mean grey. Hue lies somewhere among an image's three rounds; so three rounds are laid before it and three after
        it, of which the image uses as many as its order says, and the others change nothing."""
        order = drawn["order"]
        is_hue = (order == HUE).int()
        position = is_hue.argmax(1)  # the number of rounds before hue
        kind = order.gather(1, is_hue.argsort(dim=1, stable=True))[:, :3]
        factor = torch.stack((drawn["brightness"], drawn["contrast"], drawn["saturation"]), 1).gather(1, kind)
        rest, none = 1 - factor, torch.zeros_like(factor)
        own = mixture(factor, torch.where(kind == SATURATION, rest, none), channels)
        mean = mixture(none, torch.where(kind == CONTRAST, rest, none), channels)
        if channels != 3 or not (self.hue and self.hue_p):
            return {"position": torch.full_like(position, 3), "early": rounds(own, mean), "late": []}
        late = (torch.arange(3, device=order.device) >= position[:, None])[..., None, None]
        same, nothing = torch.eye(channels, device=order.device), torch.zeros_like(mean)
        return {
            "early": rounds(torch.where(late, same, own), torch.where(late, nothing, mean)),
            "position": position,
            "away": (drawn["hue"][:, None] - constant((0.0, 1 / 3, 2 / 3), order.device))[..., None],
            "late": rounds(torch.where(late, own, same), torch.where(late, mean, nothing)),
        }

    def apply(self, picture: Picture, prepared: Any) -> None:
        images = picture.work_out()
        colours = images.flatten(2)
        # Rounds that change nothing for any of these images need not be gone through. On a GPU that would have to
        # wait for the device, and they cost little.
        position = prepared["position"]
        first, last = (int(at) for at in position.aminmax()) if position.device.type == "cpu" else (0, 3)
        for own, mean in prepared["early"][:last]:
            colours = blend(colours, own, mean)
        if "away" in prepared:
            colours = shift_hue(colours, prepared["away"])
        for own, mean in prepared["late"][first:]:
            colours = blend(colours, own, mean)
        picture.pixels = colours.view_as(images)


def rounds(own: Tensor, mean: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The three pairs of (n, C, C) of two (n, 3, C, C)."""
    return list(zip(own.unbind(1), mean.unbind(1), strict=True))


def blend(colours: Tensor, own: Tensor, mean: Tensor) -> Tensor:
    """own · colour + mean · (the image's mean colour), within [0, 1]; colours (n, C, pixels), the others (n, C, C)."""
    return torch.baddbmm(torch.bmm(mean, colours.mean(2, keepdim=True)), own, colours).clamp_(0, 1)


def shift_hue(colours: Tensor, away: Tensor) -> Tensor:
    """Turn the hue of RGB colours (n, 3, pixels), keeping the value and saturation of HSV; `away` (n, 3, 1) is the
    shift in turns less the channel's own hue.

    With low, high the least and greatest channel, the distance of a hue from red, in sixths of a turn, is
    1 + (g + b - r - low) / (high - low), towards green where g > b; and a channel falls from high to low as the hue
    goes from one sixth to two sixths of a turn away from it. So this is torchvision's adjust_hue without its cases.
    """
    red, green, blue = colours.unbind(1)
    low = colours.amin(1)
    six = colours.amax(1).sub_(low).mul_(6).clamp_(min=1e-20)  # greys have no hue, and need none
    turn = torch.add(green, blue).sub_(red).sub_(low).div_(six).add_(1 / 6)
    turn *= torch.sub(green, blue).add_(1e-30).sign_()  # cyan, where green = blue, has a sign too
    away = turn[:, None] + away
    away -= away.round()
    away.abs_().clamp_(1 / 6, 1 / 3)
    return torch.addcmul(low.add_(six, alpha=1 / 3)[:, None], six[:, None], away, value=-1, out=away)


@dataclass(frozen=True)
class RandomGrayscale(Sometimes):
    @property
    def of_rgb(self) -> str:
        return "the greyscale"

    def prepare(self, drawn: Drawn, channels: int) -> Any:
        grey = drawn["apply"].float()
        return {"matrix": mixture(1 - grey, grey, channels)}

    def apply(self, picture: Picture, prepared: Any) -> None:
        picture.recolour(prepared["matrix"])


@dataclass(frozen=True)
class RandomInvert(Sometimes):
    def prepare(self, drawn: Drawn, channels: int) -> Any:
        inverted = drawn["apply"].float()
        matrix = mixture(1 - 2 * inverted, torch.zeros_like(inverted), channels)
        return {"matrix": matrix, "offset": inverted[:, None, None].expand(-1, channels, 1)}

    def apply(self, picture: Picture, prepared: Any) -> None:
        picture.recolour(prepared["matrix"], prepared["offset"])


@dataclass(frozen=True)
class PerChannel(Sometimes):
    """Applied to each image with probability p, with a number for each of its channels, drawn apart from the others
    in a range. Stains are prepared and exposed one by one, so they vary one by one; nnU-Net (Isensee et al., Nat
    Methods 2021) draws gain, contrast and gamma so, in these ranges. Draws also `factor` (n, MOST_CHANNELS)."""

    logarithmic: ClassVar[bool] = False

    @property
    def bounds(self) -> tuple[float, float]:
        raise NotImplementedError

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("its range", self.bounds, LEAST, MOST)

    @property
    def random(self) -> bool:
        return self.p < 1 or self.bounds[0] < self.bounds[1]

    def draw(self, canvas: Tensor, generator: torch.Generator) -> Drawn:
        changed, shape = super().draw(canvas, generator)["apply"], (len(canvas), MOST_CHANNELS)
        if self.logarithmic:
            factor = uniform(shape, math.log(self.bounds[0]), math.log(self.bounds[1]), generator).exp_()
        else:
            factor = uniform(shape, *self.bounds, generator)
        return {"apply": changed, "factor": torch.where(changed[:, None], factor, 1.0)}

    def prepare(self, drawn: Drawn, channels: int) -> Any:
        return {"factor": drawn["factor"][:, :channels, None, None]}


@dataclass(frozen=True)
class RandomGain(PerChannel):
    """Each channel times a factor, uniform in `gain`: torchvision's adjust_brightness, channel by channel."""

    gain: tuple[float, float] = (0.75, 1.25)

    @property
    def bounds(self) -> tuple[float, float]:
        return self.gain

    def apply(self, picture: Picture, prepared: Any) -> None:
        picture.pixels = (picture.work_out() * prepared["factor"]).clamp_(0, 1)


@dataclass(frozen=True)
class RandomContrast(PerChannel):
    """Each channel's distance from its own mean times a factor, uniform in `contrast`: torchvision's adjust_contrast,
    channel by channel."""

    contrast: tuple[float, float] = (0.75, 1.25)

    @property
    def bounds(self) -> tuple[float, float]:
        return self.contrast

    def apply(self, picture: Picture, prepared: Any) -> None:
        images = picture.work_out()
        picture.pixels = torch.lerp(images.mean((2, 3), keepdim=True), images, prepared["factor"]).clamp_(0, 1)


@dataclass(frozen=True)
class RandomGamma(PerChannel):
    """Each channel to the power of a number, log-uniform in `gamma`: torchvision's adjust_gamma, channel by channel."""

    gamma: tuple[float, float] = (0.7, 1.5)
    logarithmic: ClassVar[bool] = True

    @property
    def bounds(self) -> tuple[float, float]:
        return self.gamma

    def apply(self, picture: Picture, prepared: Any) -> None:
        picture.pixels = picture.work_out().clamp(0, 1).pow_(prepared["factor"])


@dataclass(frozen=True)
class RandomSolarize(Sometimes):
    """Inverts the values from `threshold` (of [0, 1]) on."""

    threshold: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("threshold", self.threshold, 0, 1)

    def prepare(self, drawn: Drawn, channels: int) -> Any:
        return {"threshold": torch.where(drawn["apply"], self.threshold, math.inf)[:, None, None, None]}

    def apply(self, picture: Picture, prepared: Any) -> None:
        images = picture.work_out()
        bright = torch.ge(images, prepared["threshold"], out=torch.empty_like(images))  # 1 or 0: faster than a choice
        picture.pixels = torch.addcmul(images, bright, 1 - 2 * images)


@dataclass(frozen=True)
class GaussianBlur(Sometimes):
    """Draws also `sigma` (n,), in pixels. Beyond its edge an image is mirrored."""

    kernel_size: int = 3
    sigma: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("sigma", self.sigma, LEAST, MOST)
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {self.kernel_size} is not an odd positive number")

    @property
    def random(self) -> bool:
        return self.p < 1 or self.sigma[0] < self.sigma[1]

    def draw(self, canvas: Tensor, generator: torch.Generator) -> Drawn:
        return {**super().draw(canvas, generator), "sigma": uniform(len(canvas), *self.sigma, generator)}

    def prepare(self, drawn: Drawn, channels: int) -> Any:
        sigma, reach = drawn["sigma"][:, None], self.kernel_size // 2
        at = torch.arange(-reach, reach + 1, device=sigma.device)
        kernel = torch.softmax(-((at / (math.sqrt(2) * sigma)) ** 2), dim=1)
        return {"kernel": torch.where(drawn["apply"][:, None], kernel, (at == 0).float())}

    def apply(self, picture: Picture, prepared: Any) -> None:
        images = picture.work_out()
        n, channels, height, _ = images.shape
        reach, planes = self.kernel_size // 2, n * channels
        kernel = prepared["kernel"].repeat_interleave(channels, 0)[:, None, None]
        padded = F.pad(images, (reach, reach, reach, reach), mode="reflect").view(1, planes, height + 2 * reach, -1)
        blurred = F.conv2d(F.conv2d(padded, kernel, groups=planes), kernel.mT, groups=planes)
        picture.pixels = blurred.view_as(images)


@dataclass(frozen=True)
class RandomErasing(Sometimes):
    """Sets a box to `value`: a uniform share `scale` of the area, its ratio of height to width log-uniform in `ratio`.

    Draws also `corner` (n, 2), left and top, and `sides` (n, 2), whole pixels; `apply` is False where none of ten tries
    fitted.
    """

    scale: tuple[float, float] = (0.02, 0.3)
    ratio: tuple[float, float] = (0.3, 3.3)
    value: float = 0.0
    squares: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("scale", self.scale, 0, 1)
        check_range("ratio", self.ratio, LEAST, MOST)

    @property
    def random(self) -> bool:
        return True

    def draw(self, canvas: Tensor, generator: torch.Generator) -> Drawn:
        changed = chance(len(canvas), self.p, generator)
        tries = rectangles(canvas, self.scale, self.ratio, generator).flip(-1)
        valid = (tries < canvas).all(-1)
        sides = first_valid(tries, valid)
        corner = integer((canvas - sides + 1).clamp_(min=1), generator)
        return {"apply": changed & valid.any(0), "corner": corner, "sides": sides}

    def apply(self, picture: Picture, prepared: Any) -> None:
        images = picture.work_out()
        (left, top), (width, height) = prepared["corner"].unbind(1), prepared["sides"].unbind(1)
        rows = covers(top, height, images.shape[2]) * prepared["apply"][:, None]
        erased = rows[:, None, :, None] * covers(left, width, images.shape[3])[:, None, None]
        picture.pixels = images * (1 - erased)
        if self.value:
            picture.pixels += erased * self.value


def covers(start: Tensor, length: Tensor, side: int) -> Tensor:
    """(n, side) 1 for the pixels of [start, start + length), else 0."""
    at = torch.arange(side, device=start.device)
    return ((at >= start[:, None]) & (at < (start + length)[:, None])).float()


@dataclass(frozen=True)
class Normalize(Colour):
    """Subtracts the data set's mean and divides by its deviation; of one channel, for each of them."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.mean) == len(self.std) <= MOST_CHANNELS or min(self.std) <= 0:
            raise ValueError(
                f"mean {list(self.mean)}, std {list(self.std)}: needs one of each for every channel, up to "
                f"{MOST_CHANNELS}, the second positive"
            )

    @property
    def random(self) -> bool:
        return False

    def draw(self, canvas: Tensor, generator: torch.Generator) -> Drawn:
        return {}

    def prepare(self, drawn: Drawn, channels: int) -> Any:
        return {"channels": channels}

    def apply(self, picture: Picture, prepared: Any) -> None:
        picture.recolour(*normalising(self.mean, self.std, prepared["channels"], picture.pixels.device))


@lru_cache(maxsize=16)
def normalising(
    mean: tuple[float, ...], std: tuple[float, ...], channels: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The matrix (1, K, channels) and offset (1, K, 1) that normalise, and copy one channel to K."""
    matrix = [[1 / s] if channels == 1 else [(i == j) / s for j in range(channels)] for i, s in enumerate(std)]
    offset = [[-m / s] for m, s in zip(mean, std, strict=True)]
    return torch.tensor([matrix], device=device), torch.tensor([offset], device=device)
