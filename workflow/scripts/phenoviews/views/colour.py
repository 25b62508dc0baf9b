"""The operations that change colours, or single pixels; torchvision's of the same names.

Each draws its parameters (`draw`), turns them into what the pixels need for the whole batch (`prepare`), and is applied
to a few images at a time (`apply`). Where an image is not to be changed its parameters say so: nothing is selected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from phenoviews.views.draw import Canvas, chance, check_range, first, integer, rectangles, uniform
from phenoviews.views.geometry import Drawn
from phenoviews.views.picture import GREY, Picture, constant

HUE = 3  # in the drawn order: 0 brightness, 1 contrast, 2 saturation, 3 hue, as torchvision numbers them


@dataclass(frozen=True)
class Colour:
    """An operation that leaves every pixel in its place."""

    flips: ClassVar[bool] = True  # the result for a flipped image is the flipped result

    def draw(self, canvas: Canvas, generator: torch.Generator) -> Drawn:
        raise NotImplementedError

    def prepare(self, drawn: Drawn, channels: int) -> Any:
        """What `apply` needs: tensors of n rows, made once for the batch."""
        return drawn

    def apply(self, picture: Picture, prepared: Any) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Sometimes(Colour):
    """Applied to each image with probability p; draws `apply` (n,) bool."""

    p: float

    def __post_init__(self):
        check_range("p", (self.p, self.p), 0, 1)

    @property
    def random(self) -> bool:
        return 0 < self.p < 1

    def draw(self, canvas: Canvas, generator: torch.Generator) -> Drawn:
        return {"apply": chance(len(canvas), self.p, generator)}


def grey_mix(own: Tensor, grey: Tensor, channels: int) -> Tensor:
    """(…, C, C) matrices of colour → own · colour + grey · (its greyscale), for own, grey (…)."""
    if channels == 1:
        return (own + grey)[..., None, None]
    shares = constant(GREY, own.device).expand(3, 3)
    return own[..., None, None] * torch.eye(3, device=own.device) + grey[..., None, None] * shares


@dataclass(frozen=True)
class ColorJitter(Colour):
    """Brightness, contrast, saturation and hue, in an order drawn per image, each result kept within [0, 1].

    `p` is the probability of the whole, `hue_p` that of the hue part given the whole. Draws (n,) the factors
    `brightness`, `contrast`, `saturation` and the shift `hue` (turns), neutral where not applied, and `order` (n, 4).
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    p: float = 0.8
    hue_p: float = 1.0

    def __post_init__(self):
        for name, most in (("brightness", math.inf), ("contrast", math.inf), ("saturation", math.inf), ("hue", 0.5)):
            check_range(name, (getattr(self, name),) * 2, 0, most)
        check_range("p", (self.p, self.p), 0, 1)
        check_range("hue_p", (self.hue_p, self.hue_p), 0, 1)

    @property
    def random(self) -> bool:
        return self.p > 0 and any((self.brightness, self.contrast, self.saturation, self.hue and self.hue_p))

    def draw(self, canvas: Canvas, generator: torch.Generator) -> Drawn:
        n = len(canvas)
        order = torch.rand(n, 4, generator=generator, device=generator.device).argsort(1)
        changed = chance(n, self.p, generator)
        factors = {}
        for name in ("brightness", "contrast", "saturation"):
            most = getattr(self, name)
            factor = uniform(n, max(0.0, 1 - most), 1 + most, generator)
            factors[name] = torch.where(changed, factor, 1.0)
        shift = uniform(n, -self.hue, self.hue, generator)
        hue = torch.where(changed & chance(n, self.hue_p, generator), shift, 0.0)
        return {**factors, "hue": hue, "order": order}

    def prepare(self, drawn: Drawn, channels: int) -> Any:
        """Brightness, contrast and saturation are rounds of one kind: a mix of the colour, its grey and the image's
        mean grey. Hue lies somewhere among an image's three rounds, so three rounds are laid before it and three after
        it, of which the image uses as many as its order says; the others do nothing."""
        order = drawn["order"]
        is_hue = (order == HUE).int()
        before = is_hue.argmax(1, keepdim=True)  # (n, 1) rounds before hue
        kind = order.gather(1, is_hue.argsort(dim=1, stable=True))[:, :3]  # (n, 3) the other operations, in order
        factor = torch.stack((drawn["brightness"], drawn["contrast"], drawn["saturation"]), 1).gather(1, kind)
        mean = torch.where(kind == 1, 1 - factor, 0.0)
        grey = torch.where(kind == 2, 1 - factor, 0.0)
        matrix = grey_mix(factor, grey, channels)
        nothing = grey_mix(torch.ones_like(factor), torch.zeros_like(factor), channels)
        late = torch.arange(3, device=order.device) >= before
        if channels == 1 or not self.hue:
            return {"before": [], "after": list(zip(matrix.unbind(1), mean.unbind(1), strict=True))}
        return {
            "before": rounds(torch.where(late[..., None, None], nothing, matrix), torch.where(late, 0.0, mean)),
            "hue": drawn["hue"],
            "after": rounds(torch.where(late[..., None, None], matrix, nothing), torch.where(late, mean, 0.0)),
        }

    def apply(self, picture: Picture, prepared: Any) -> None:
        for matrix, mean in prepared["before"]:
            blend(picture, matrix, mean)
        if "hue" in prepared:
            picture.pixels = shift_hue(picture.work_out(), prepared["hue"])
        for matrix, mean in prepared["after"]:
            blend(picture, matrix, mean)


def rounds(matrix: Tensor, mean: Tensor) -> list[tuple[Tensor, Tensor]]:
    return list(zip(matrix.unbind(1), mean.unbind(1), strict=True))


def blend(picture: Picture, matrix: Tensor, mean: Tensor) -> None:
    """colour → matrix @ colour + mean · (the image's mean grey), kept within [0, 1]; matrix (n, C, C), mean (n,)."""
    offset = (mean * picture.grey_mean())[:, None].expand(-1, picture.channels)
    picture.recolour(matrix, offset)
    picture.work_out().clamp_(0, 1)


def shift_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue of RGB images (n, 3, H, W) by `shift` (n,) turns, keeping the value and saturation of HSV.

    With low, high the least and greatest channel, the distance of a hue from red, in sixths of a turn, is
    1 + (g + b - r - low) / (high - low), towards green where g > b; and a channel falls from high to low as the hue
    goes from one sixth to two sixths of a turn away from it. So this is torchvision's adjust_hue without its cases.
    """
    red, green, blue = images.unbind(1)
    low = images.amin(1)
    six = images.amax(1).sub_(low).mul_(6)
    turn = (green + blue).sub_(red).sub_(low).div_(six.clamp(min=1e-20)).add_(1 / 6)
    turn *= torch.sub(green, blue).add_(1e-30).sign_()  # cyan, where green = blue, has a sign too
    away = turn[:, None] + (shift[:, None] - constant((0.0, 1 / 3, 2 / 3), shift.device))[..., None, None]
    away -= away.round()
    away.abs_().clamp_(1 / 6, 1 / 3)
    return low.add_(six, alpha=1 / 3)[:, None] - away.mul_(six[:, None])


@dataclass(frozen=True)
class RandomGrayscale(Sometimes):
    def prepare(self, drawn: Drawn, channels: int) -> Any:
        grey = drawn["apply"].float()
        return {"matrix": grey_mix(1 - grey, grey, channels)}

    def apply(self, picture: Picture, prepared: Any) -> None:
        picture.recolour(prepared["matrix"])


@dataclass(frozen=True)
class RandomInvert(Sometimes):
    def prepare(self, drawn: Drawn, channels: int) -> Any:
        inverted = drawn["apply"].float()
        matrix = grey_mix(1 - 2 * inverted, torch.zeros_like(inverted), channels)
        return {"matrix": matrix, "offset": inverted[:, None].expand(-1, channels)}

    def apply(self, picture: Picture, prepared: Any) -> None:
        picture.recolour(prepared["matrix"], prepared["offset"])


@dataclass(frozen=True)
class RandomSolarize(Sometimes):
    """Inverts the values from `threshold` (of [0, 1]) on."""

    p: float = 0.5
    threshold: float = 0.5

    def prepare(self, drawn: Drawn, channels: int) -> Any:
        return {"threshold": torch.where(drawn["apply"], self.threshold, math.inf)}

    def apply(self, picture: Picture, prepared: Any) -> None:
        images = picture.work_out()
        bright = torch.ge(images, prepared["threshold"][:, None, None, None], out=torch.empty_like(images))
        picture.pixels = images + bright.mul_(1 - 2 * images)


@dataclass(frozen=True)
class GaussianBlur(Sometimes):
    """Draws also `sigma` (n,), pixels of the image at hand."""

    p: float = 0.5
    kernel_size: int = 3
    sigma: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self):
        super().__post_init__()
        check_range("sigma", self.sigma, 1e-6, math.inf)
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {self.kernel_size} is not an odd positive number")

    @property
    def random(self) -> bool:
        return self.p > 0 and (self.p < 1 or self.sigma[0] < self.sigma[1])

    def draw(self, canvas: Canvas, generator: torch.Generator) -> Drawn:
        return {**super().draw(canvas, generator), "sigma": uniform(len(canvas), *self.sigma, generator)}

    def prepare(self, drawn: Drawn, channels: int) -> Any:
        reach = self.kernel_size // 2
        # torchvision spaces the taps of kernel_size k so that the outermost lie at (k - 1) / sqrt(8).
        at = torch.arange(-reach, reach + 1, device=drawn["sigma"].device) / math.sqrt(2)
        kernel = torch.softmax(-((at / drawn["sigma"][:, None]) ** 2), dim=1)
        return {"kernel": torch.where(drawn["apply"][:, None], kernel, (at == 0).float())}

    def apply(self, picture: Picture, prepared: Any) -> None:
        images = picture.work_out()
        n, channels, height, _ = images.shape
        reach = self.kernel_size // 2
        kernel = prepared["kernel"].repeat_interleave(channels, 0)[:, None, None]
        padded = F.pad(images, (reach, reach, reach, reach), mode="reflect").view(
            1, n * channels, height + 2 * reach, -1
        )
        blurred = F.conv2d(F.conv2d(padded, kernel, groups=n * channels), kernel.mT, groups=n * channels)
        picture.pixels = blurred.view_as(images)


@dataclass(frozen=True)
class RandomErasing(Sometimes):
    """Draws also `top`, `left`, `height`, `width` (n,), whole pixels; `apply` is False where no box fitted."""

    p: float = 0.5
    scale: tuple[float, float] = (0.02, 0.3)
    ratio: tuple[float, float] = (0.3, 3.3)
    value: float = 0.0
    flips: ClassVar[bool] = False

    def __post_init__(self):
        super().__post_init__()
        check_range("scale", self.scale, 0, 1)
        check_range("ratio", self.ratio, 1e-6, math.inf)

    @property
    def random(self) -> bool:
        return self.p > 0

    def draw(self, canvas: Canvas, generator: torch.Generator) -> Drawn:
        changed = chance(len(canvas), self.p, generator)
        heights, widths = rectangles(canvas, self.scale, self.ratio, generator)
        valid = (heights < canvas.height) & (widths < canvas.width)
        height, width = first(valid, heights, widths)
        top = integer((canvas.height - height + 1).clamp_(min=1), generator)
        left = integer((canvas.width - width + 1).clamp_(min=1), generator)
        return {"apply": changed & valid.any(0), "top": top, "left": left, "height": height, "width": width}

    def apply(self, picture: Picture, prepared: Any) -> None:
        images = picture.work_out()
        rows = covers(prepared["top"], prepared["height"], images.shape[2]) * prepared["apply"][:, None]
        columns = covers(prepared["left"], prepared["width"], images.shape[3])
        erased = rows[:, None, :, None] * columns[:, None, None]
        picture.pixels = torch.addcmul(images * (1 - erased), erased, torch.full_like(erased, self.value))


def covers(start: Tensor, length: Tensor, side: int) -> Tensor:
    """(n, side) 1 for the pixels of [start, start + length), else 0."""
    at = torch.arange(side, device=start.device)
    return ((at >= start[:, None]) & (at < (start + length)[:, None])).float()


@dataclass(frozen=True)
class Normalize(Colour):
    """Subtract the data set's mean and divide by its deviation; one channel becomes three."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    random: ClassVar[bool] = False

    def draw(self, canvas: Canvas, generator: torch.Generator) -> Drawn:
        return {}

    def apply(self, picture: Picture, prepared: Any) -> None:
        device, channels = picture.pixels.device, picture.channels
        spread = tuple(
            tuple(1 / std if channels == 1 or i == j else 0.0 for j in range(channels))
            for i, std in enumerate(self.std)
        )
        shift = tuple(-mean / std for mean, std in zip(self.mean, self.std, strict=True))
        picture.recolour(constant((spread,), device), constant((shift,), device))
