"""Made-up images whose pairs of classes differ in exactly one property each, so that it is known what each operation
must destroy; no network.

A pair is drawn by one function: two images of it that differ in class alone, and in nothing that is drawn, differ in
its property alone. Each pair is a scene of its own, which nobody takes for another, so that what is confused is a
property; the pair is the superclass of its classes, and the property its name. What varies within a class is what an
encoder may tell images by: places, phases, tilts and sizes, and in every scene a slope of the light and noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import gaussian_filter

from phenoviews.data.images import write

Floats = npt.NDArray[np.float64]
# (random numbers, the number of images, +1 or -1 for the class of each (n, 1, 1)) → (n, SIDE, SIDE) grey values around
# 0.5, or (n, SIDE, SIDE, 3)
Scene = Callable[[np.random.Generator, int, Floats], Floats]

SIDE = 32
# Of the same luminance, value and saturation: neither in grey nor in anything but their hue do they differ.
ORANGE, AZURE = np.array([0.6425, 0.3828, 0.2925]), np.array([0.2925, 0.4931, 0.6425])

_Y, _X = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2  # pixels from the centre, down and to the right


def _u(rng: np.random.Generator, n: int, low: float, high: float) -> Floats:
    return rng.uniform(low, high, (n, 1, 1))


def _bump(x: Floats, y: Floats, width: Floats | float) -> Floats:
    found: Floats = np.exp(-((_X - x) ** 2 + (_Y - y) ** 2) / (2 * width**2))
    return found


def _clouds(rng: np.random.Generator, n: int, width: float | Floats) -> Floats:
    """Noise that is smooth over `width` pixels, of mean 0 and deviation 1."""
    noise = rng.standard_normal((n, SIDE, SIDE))
    widths = np.broadcast_to(width, (n, 1, 1)).ravel()
    smooth = np.stack([gaussian_filter(image, one, mode="wrap") for image, one in zip(noise, widths, strict=True)])
    smooth -= smooth.mean(axis=(1, 2), keepdims=True)
    return np.asarray(smooth / smooth.std(axis=(1, 2), keepdims=True))


def _light(rng: np.random.Generator, n: int) -> Floats:
    """A slope of the light, and noise."""
    found: Floats = (_u(rng, n, -1, 1) * _X + _u(rng, n, -1, 1) * _Y) * 0.03 / SIDE + rng.normal(
        0, 0.01, (n, SIDE, SIDE)
    )
    return found


def _bumps(rng: np.random.Generator, n: int, count: int, reach: float, width: float) -> Floats:
    found: Floats = np.sum(
        [_bump(_u(rng, n, -reach, reach), _u(rng, n, -reach, reach), width) for _ in range(count)], axis=0
    )
    return found


def orientation(rng: np.random.Generator, n: int, way: Floats) -> Floats:
    """Stripes, upright or lying, within 12 degrees."""
    angle = np.deg2rad(45 + 45 * way + _u(rng, n, -12, 12))
    wave = 2 * np.pi * _u(rng, n, 0.09, 0.13) * (_X * np.cos(angle) + _Y * np.sin(angle)) + _u(rng, n, 0, 2 * np.pi)
    found: Floats = 0.5 + _u(rng, n, 0.15, 0.25) * np.sin(wave)
    return found


def handedness(rng: np.random.Generator, n: int, way: Floats) -> Floats:
    """A broad flag on its staff, or its mirror image, within 7 degrees of upright."""
    tilt, size = np.deg2rad(_u(rng, n, -7, 7)), _u(rng, n, 0.93, 1.07)
    x, y = (_X - _u(rng, n, -1.6, 1.6)) / size, (_Y - _u(rng, n, -1.6, 1.6)) / size
    x, y = way * (x * np.cos(tilt) + y * np.sin(tilt)), -x * np.sin(tilt) + y * np.cos(tilt)

    def bar(left: float, right: float, top: float, bottom: float) -> Floats:
        inside = np.minimum.reduce([x - left, right - x, y - top, bottom - y])
        found: Floats = np.clip(inside + 0.5, 0, 1)
        return found

    flag = np.maximum.reduce([bar(-6, -2, -11, 11), bar(-6, 8, -11, -6), bar(-6, 5, -2, 3)])
    found: Floats = 0.35 + _u(rng, n, 0.25, 0.3) * flag
    return found


def colour(rng: np.random.Generator, n: int, way: Floats) -> Floats:
    """Soft spots, pale orange or azure, that differ in hue alone."""
    spots = (np.clip(_bumps(rng, n, 4, 11, 3.5), 0, 1) * _u(rng, n, 0.5, 0.7))[..., None]
    hue = np.where(way[..., None] > 0, ORANGE, AZURE)
    return (1 - spots) * 0.4 + spots * (0.25 + 0.6 * hue)


def brightness(rng: np.random.Generator, n: int, way: Floats) -> Floats:
    """Broad clouds; those of one class are 27 % brighter in every pixel."""
    found: Floats = (0.4 + 0.05 * _clouds(rng, n, 4) + _light(rng, n)) * np.sqrt(1.27) ** way
    return found


def size(rng: np.random.Generator, n: int, way: Floats) -> Floats:
    """A disc, small or large, whose soft edge grows with it: the small one magnified is the large one."""
    radius = 6.25 + 0.65 * way
    inside = 1 - np.hypot(_X - _u(rng, n, -2, 2), _Y - _u(rng, n, -2, 2)) / radius
    found: Floats = 0.35 + _u(rng, n, 0.3, 0.35) * np.clip(3 * inside + 0.5, 0, 1)
    return found


def position(rng: np.random.Generator, n: int, way: Floats) -> Floats:
    """A dark spot, left or right of the middle."""
    return 0.65 - _u(rng, n, 0.25, 0.35) * _bump(1.75 * way + _u(rng, n, -0.5, 0.5), _u(rng, n, -8, 8), 3.0)


def texture_scale(rng: np.random.Generator, n: int, way: Floats) -> Floats:
    """Noise, fine or coarse."""
    return 0.5 + _u(rng, n, 0.14, 0.18) * _clouds(rng, n, 0.9 * np.sqrt(1.9) ** way)


def texture_contrast(rng: np.random.Generator, n: int, way: Floats) -> Floats:
    """A lattice of pits and knobs, shallow or deep."""
    wave = 2 * np.pi * _u(rng, n, 0.11, 0.14)
    lattice = np.sin(wave * _X + _u(rng, n, 0, 2 * np.pi)) * np.sin(wave * _Y + _u(rng, n, 0, 2 * np.pi))
    found: Floats = 0.5 + (0.2 * lattice + _light(rng, n)) * np.sqrt(1.4) ** way
    return found


def polarity(rng: np.random.Generator, n: int, way: Floats) -> Floats:
    """A large soft spot, light on dark or dark on light, of the same mean."""
    spot = _bump(_u(rng, n, -5, 5), _u(rng, n, -5, 5), _u(rng, n, 4.2, 4.8))
    spot -= spot.mean(axis=(1, 2), keepdims=True)
    found: Floats = 0.5 + way * _u(rng, n, 0.35, 0.4) * spot
    return found


def mark(rng: np.random.Generator, n: int, way: Floats) -> Floats:
    """A broad ring; outside of it, near the edge, a small dark dot, or none."""
    ring = np.exp(-((np.hypot(_X, _Y) - _u(rng, n, 5.5, 6.5)) ** 2) / 8)
    angle, out = _u(rng, n, 0, 2 * np.pi), _u(rng, n, 12, 13)
    dot = _bump(out * np.cos(angle), out * np.sin(angle), 1.7)
    found: Floats = 0.5 + _u(rng, n, 0.15, 0.2) * ring - 0.5 * (way > 0) * dot
    return found


# Of each property its scene, and what its two classes are called: -1, +1.
PAIRS: dict[str, tuple[Scene, str, str]] = {
    "orientation": (orientation, "upright", "lying"),
    "handedness": (handedness, "left", "right"),
    "colour": (colour, "azure", "orange"),
    "brightness": (brightness, "dim", "bright"),
    "size": (size, "small", "large"),
    "position": (position, "west", "east"),
    "texture_scale": (texture_scale, "fine", "coarse"),
    "texture_contrast": (texture_contrast, "shallow", "deep"),
    "polarity": (polarity, "dark", "light"),
    "mark": (mark, "unmarked", "marked"),
}


def draw(name: str, way: npt.NDArray[np.int_], rng: np.random.Generator) -> Floats:
    """Images (n, SIDE, SIDE, 3) in [0, 1] of a pair, for the class of each, -1 or +1 (n,).

    With the same random numbers, and another class, each is the same image but for its property.
    """
    n = len(way)
    grey = PAIRS[name][0](rng, n, np.asarray(way, dtype=np.float64).reshape(n, 1, 1))
    # Where light and noise are a part of what is brighter or deeper, they are so already: else their share would tell.
    light = 0 if name in ("brightness", "texture_contrast") else _light(rng, n)[..., None]
    images = grey if grey.ndim == 4 else np.repeat(grey[..., None], 3, axis=3)
    return np.clip(images + light, 0, 1)


def prepare(dataset: Mapping[str, Any], downloads: Mapping[str, Path], images: Path, index: Path) -> None:
    """`train_per_class` and `test_per_class` images of each class of each pair, drawn by `split_seed`; the test images
    stay as they are when more are trained on."""
    counts = {"train": dataset["train_per_class"], "test": dataset["test_per_class"]}
    arrays, tables = [], []
    for number, (name, (_, *classes)) in enumerate(PAIRS.items()):
        for side, called in enumerate(classes):
            for part, (split, count) in enumerate(counts.items()):
                rng = np.random.default_rng([dataset["split_seed"], number, side, part])
                drawn = draw(name, np.full(count, 2 * side - 1), rng)
                arrays.append(np.rint(255 * drawn).astype(np.uint8))
                sources = [f"planted {name} {called} {split} {row}" for row in range(count)]
                told = {"split": split, "label": 2 * number + side, "class": called, "superclass": name}
                tables.append(pd.DataFrame({**told, "source": sources}))
    write(images, index, np.concatenate(arrays), pd.concat(tables, ignore_index=True))
