"""What a microscope and its camera make of the light: blur, vignetting, background, noise, 12 bits in 16."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from phenoviews.cells.simulation.layout import generator

OFFSET = 320.0  # what the camera gives in the dark
# Light of the empty field.
BACKGROUND = {
    "DNA": 220.0, "tubulin": 700.0, "actin": 500.0, "ER": 450.0, "RNA": 520.0, "AGP": 500.0, "mitochondria": 350.0,
}  # fmt: skip
BASE = ("DNA", "tubulin", "actin")  # drawn together; every other stain by random numbers of its own
READ_NOISE = 32.0
PER_ELECTRON = 6.0  # camera values
STEP, LARGEST = 16, 65520  # BBBC021's camera has 12 bits; its values are multiples of 16


@dataclass(frozen=True)
class Optics:
    """A plate's own: the same for all its fields."""

    gain: np.ndarray  # (stains,)
    background: np.ndarray  # (stains,)
    blur: float  # factor
    density: float  # factor of the number of cells
    diffuse: float  # factor of the staining that lies beside the filaments
    vignetting: np.ndarray  # (stains, height, width), 1 at the brightest pixel

    @classmethod
    def of(cls, full: Mapping[str, Any], plate: str) -> Optics:
        """Effects of the plate's week times those of the plate itself."""
        total: dict[str, Any] = {}
        others = [stain for stain in full["stains"] if stain not in BASE]
        for level, name in (("week", plate.partition("_")[0]), ("plate", plate)):
            rng = generator(full["seed"], level, name)
            own = [generator(full["seed"], level, name, stain) for stain in others]
            for effect, deviation in full["effects"][level].items():
                drawn: Any = rng.standard_normal()
                if effect in ("gain", "background"):
                    drawn = [drawn, *rng.standard_normal(len(BASE) - 1), *(each.standard_normal() for each in own)]
                total[effect] = total.get(effect, 0.0) + deviation * np.array(drawn)
        factors = {effect: np.exp(value) for effect, value in total.items()}
        there = [*BASE, *others]
        shown = [there.index(stain) for stain in full["stains"]]
        factors["gain"] = factors["gain"][shown]
        factors["background"] = factors["background"][shown] * [BACKGROUND[stain] for stain in full["stains"]]
        light = generator(full["seed"], "vignetting", plate)
        functions = [*_vignetting(light, full, len(BASE))]
        for stain in others:
            functions += _vignetting(generator(full["seed"], "vignetting", plate, stain), full, 1)
        return cls(**factors, vignetting=np.stack([functions[place] for place in shown]))


def _vignetting(rng: np.random.Generator, full: Mapping[str, Any], count: int) -> list[np.ndarray]:
    """For each of so many channels a paraboloid whose summit lies somewhat off the middle."""
    height, width = full["height"], full["width"]
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    functions = []
    for _ in range(count):
        right, down = rng.normal(0, 0.15, 2)
        loss = full["vignetting"] * rng.uniform(0.8, 1.2)
        distance = (x - right) ** 2 + (y - down) ** 2
        functions.append((1 - loss * distance / distance.max()).astype(np.float32))
    return functions


def photograph(rng: np.random.Generator, light: np.ndarray, optics: Optics, full: Mapping[str, Any]) -> np.ndarray:
    """`light` (2, stains, height, width): of the layer in focus and of the rounded cells above it; camera values
    without noise for a plate of gain 1. Returns (stains, height, width) uint16."""
    scale = full["magnification"]
    sharp, above = (optics.blur * (sigma * scale + 0.3) for sigma in (0.7, 1.9))
    image = np.empty(light.shape[1:], dtype=np.uint16)
    for channel in range(len(image)):
        seen = ndimage.gaussian_filter(light[0, channel], sharp, truncate=3)
        if light[1, channel].any():
            seen += ndimage.gaussian_filter(light[1, channel], above, truncate=3)
        seen += _haze(seen, scale)
        seen = (seen * optics.gain[channel] + optics.background[channel]) * optics.vignetting[channel]
        noise = np.sqrt(seen * PER_ELECTRON + READ_NOISE**2, dtype=np.float32)
        seen += noise * rng.standard_normal(seen.shape, dtype=np.float32) + np.float32(OFFSET)
        image[channel] = np.clip(np.rint(seen / STEP) * STEP, 0, LARGEST)
    return image


def _haze(seen: np.ndarray, scale: float) -> np.ndarray:
    """Light from far out of focus: a tenth, spread over half a cell; computed on every fourth pixel."""
    few: np.ndarray = ndimage.gaussian_filter(seen[::4, ::4], 25 * scale / 4, mode="nearest")
    for axis, side in enumerate(seen.shape):
        position = np.minimum(np.arange(side, dtype=np.float32) / 4, few.shape[axis] - 1)
        left = np.minimum(position.astype(np.intp), few.shape[axis] - 2)
        share = np.expand_dims(position - left, 1 - axis)
        few = few.take(left, axis) * (1 - share) + few.take(left + 1, axis) * share
    return 0.1 * few
