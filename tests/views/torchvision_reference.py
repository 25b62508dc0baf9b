"""What torchvision's functional operations make of one image after the other, at parameters drawn by us."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_sample_images
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as TF

from phenoviews.views import Transform, geometry

BILINEAR = InterpolationMode.BILINEAR


def whole(pair: Tensor) -> list[int]:
    return [int(value) for value in pair]


def boxed(image: Tensor, drawn: dict, size: int, interpolation: InterpolationMode) -> Tensor:
    (left, top), (width, height) = whole(drawn["corner"]), whole(drawn["sides"])
    return TF.resized_crop(image, top, left, height, width, [size, size], interpolation, antialias=True).clamp(0, 1)


def center_cropped(image: Tensor, fraction: float) -> Tensor:
    return TF.center_crop(image, [max(1, round(fraction * side)) for side in image.shape[-2:]])


def jittered(image: Tensor, drawn: dict) -> Tensor:
    adjust = (TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation, TF.adjust_hue)
    names = ("brightness", "contrast", "saturation", "hue")
    for kind in drawn["order"].tolist():
        value = drawn[names[kind]].item()
        if len(image) in (1, 3):
            image = adjust[kind](image, value)
        elif kind < 2:  # torchvision knows grey and RGB alone: each channel is a grey image of its own
            image = torch.cat([adjust[kind](channel, value) for channel in image.split(1)])
    return image


def each_channel(image: Tensor, drawn: dict, adjust) -> Tensor:
    return torch.cat([adjust(channel, drawn["factor"][number].item()) for number, channel in enumerate(image.split(1))])


def erased(image: Tensor, drawn: dict, value: float) -> Tensor:
    (left, top), (width, height) = whole(drawn["corner"]), whole(drawn["sides"])
    return TF.erase(image, top, left, height, width, torch.full((1, 1, 1), value))


def affine(image: Tensor, drawn: dict) -> Tensor:
    angle, scale, shear = (drawn[key].item() for key in ("angle", "scale", "shear"))
    return TF.affine(image, angle, whole(drawn["shift"]), scale, [shear, 0.0], BILINEAR)


CHANGE = {
    "RandomResizedCrop": lambda x, o, d, s: boxed(x, d, s, InterpolationMode(o.interpolation)),
    "RandomCrop": lambda x, o, d, s: boxed(x, d, s, BILINEAR),
    "CenterCrop": lambda x, o, d, s: center_cropped(x, o.fraction),
    "Pad": lambda x, o, d, s: TF.pad(x, [int(d["padding"])]),
    "RandomRotation": lambda x, o, d, s: TF.rotate(x, d["angle"].item(), BILINEAR),
    "RandomAffine": lambda x, o, d, s: affine(x, d),
    "RandomHorizontalFlip": lambda x, o, d, s: TF.horizontal_flip(x) if d["flip"] else x,
    "RandomRotate90": lambda x, o, d, s: torch.rot90(x, int(d["turns"]), (1, 2)),
    "RandomVerticalFlip": lambda x, o, d, s: TF.vertical_flip(x) if d["flip"] else x,
    "ColorJitter": lambda x, o, d, s: jittered(x, d),
    "RandomGrayscale": lambda x, o, d, s: TF.rgb_to_grayscale(x, len(x)) if d["apply"] else x,
    "RandomGain": lambda x, o, d, s: each_channel(x, d, TF.adjust_brightness),
    "RandomContrast": lambda x, o, d, s: each_channel(x, d, TF.adjust_contrast),
    "RandomGamma": lambda x, o, d, s: each_channel(x, d, TF.adjust_gamma),
    "RandomInvert": lambda x, o, d, s: TF.invert(x) if d["apply"] else x,
    "RandomSolarize": lambda x, o, d, s: TF.solarize(x, o.threshold) if d["apply"] else x,
    "GaussianBlur": lambda x, o, d, s: (
        TF.gaussian_blur(x, [o.kernel_size] * 2, [d["sigma"].item()] * 2) if d["apply"] else x
    ),
    "RandomErasing": lambda x, o, d, s: erased(x, d, o.value) if d["apply"] else x,
    "Normalize": lambda x, o, d, s: TF.normalize(x.expand(len(o.mean), -1, -1), list(o.mean), list(o.std)),
}


def one_by_one(transform: Transform, images: Tensor, drawn: list[dict]) -> Tensor:
    """Every operation of the pipeline after the other, each with its own resampling: (n, K, size, size)."""
    outputs = []
    for row, image in enumerate(images):
        moves = [isinstance(operation, geometry.Geometry) for operation in transform.operations]
        image = image if any(moves) else TF.resize(image, [transform.size] * 2, antialias=True)
        for index, operation in enumerate(transform.operations):
            values = {key: value[row] for key, value in drawn[index].items()}
            image = CHANGE[type(operation).__name__](image, operation, values, transform.size)
            if moves[index] and not any(moves[index + 1 : index + 2]):
                image = TF.resize(image, [transform.size] * 2, antialias=True)
        outputs.append(image)
    return torch.stack(outputs)


def single(name: str, size: int, channels: int = 3, /, **parameters) -> Transform:
    """One operation; normalisation that changes nothing."""
    return Transform([{name: parameters}, {"normalize": {}}], size, (0,) * channels, (1,) * channels)


def noise(n: int, channels: int, height: int, width: int | None = None, seed: int = 0) -> Tensor:
    """The hardest images for an interpolation: white noise in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, channels, height, width or height, generator=generator)


def photographs(n: int, channels: int, height: int, width: int | None = None) -> Tensor:
    """Cuttings of scikit-learn's two photographs, in [0, 1]."""
    stack = np.stack(load_sample_images().images)
    photos = torch.from_numpy(stack).permute(0, 3, 1, 2).float() / 255
    cuttings = [photos[i % 2, :, 37 * (i // 2) % 180 :, 53 * i % 390 :][:, :240, :240] for i in range(n)]
    images = F.interpolate(torch.stack(cuttings), (height, width or height), mode="bilinear", antialias=True)
    return images if channels == 3 else images.mean(1, keepdim=True)
