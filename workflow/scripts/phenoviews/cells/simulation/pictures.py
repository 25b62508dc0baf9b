"""The light of cells: nuclei with chromatin, microtubules, actin; drawn cell by cell, each in its own window.

Lines (microtubules, stress fibres, spindles) and spots are laid as points of light. Intensities
are values of the camera for an untreated cell of a plate of gain 1, chosen to lie where those of BBBC021 do.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import ndimage

from phenoviews.cells.simulation.shapes import NUCLEUS, THETA, Blob, Cell, Nucleus, radius_at

DNA, TUBULIN, ACTIN = range(3)
LEVEL = (3600.0, 1900.0, 3800.0)
FILAMENT = 800.0  # light per pixel of length, as also below
FIBRE = 1700.0
SPINDLE = 1700.0
SPOT = 40000.0  # light of one

Truth = tuple[str, int, float, float, int]


def draw(
    rng: np.random.Generator, cells: list[Cell], full: Mapping[str, Any], diffuse: float
) -> tuple[np.ndarray, list[Truth]]:
    """The light (2, 3, height, width) float32 of the flat and of the rounded cells, and of each nucleus that the
    picture shows at least in part: phenotype, number of its cell, and x, y, area of that part."""
    light = np.zeros((2, 3, full["height"], full["width"]), dtype=np.float32)
    scale, points = full["magnification"], Points(light)
    truth: list[Truth] = []
    textures = grains(scale)
    for number, cell in enumerate(cells):
        stained = rng.lognormal(0, [0.18, 0.25, 0.2])
        layer = light[int(cell.look.round)]
        for nucleus in cell.nuclei:
            found = _nucleus(rng, layer, cell, nucleus, stained[DNA], textures, scale)
            if found:
                truth.append((cell.name, number, *found))
        stained *= 1.0, cell.look.tubulin, cell.look.actin
        _body(rng, layer, cell, stained, textures, scale, diffuse)
        for lay, channel in ((_filaments, TUBULIN), (_spindle, TUBULIN), (_fibres, ACTIN), (_spots, ACTIN)):
            lay(rng, points, cell, stained[channel], scale)
    points.develop()
    return light, truth


@lru_cache(maxsize=2)
def grains(scale: float) -> dict[str, np.ndarray]:
    """Noise of mean 0 and deviation 1 that windows are cut from; the same for all fields."""
    rng = np.random.default_rng(0)
    side = int(768 * max(1, scale))  # larger than any window
    textures = {}
    for name, small, large in (("fine", 0.9, 3.5), ("coarse", 1.7, 4.5), ("mesh", 1.0, 5.0), ("patches", 5.0, 14.0)):
        noise = rng.standard_normal((side, side), dtype=np.float32)
        band = ndimage.gaussian_filter(noise, small * scale, mode="wrap")
        band -= ndimage.gaussian_filter(noise, large * scale, mode="wrap")
        textures[name] = band / band.std()
    return textures


def cut(rng: np.random.Generator, texture: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    top, left = (rng.integers(0, whole - part) for whole, part in zip(texture.shape, shape, strict=True))
    return texture[top : top + shape[0], left : left + shape[1]]


class Window:
    """The part of a picture within `reach` of a point: slices, and the distances of its pixels from the point."""

    def __init__(self, shape: tuple[int, int], x: float, y: float, reach: float):
        top, left = max(0, int(y - reach)), max(0, int(x - reach))
        bottom, right = min(shape[0], int(y + reach) + 2), min(shape[1], int(x + reach) + 2)
        self.inside = bottom > top and right > left
        if self.inside:
            self.slices = slice(top, bottom), slice(left, right)
            self.shape = bottom - top, right - left
            self.y = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(y)
            self.x = np.arange(left, right, dtype=np.float32) - np.float32(x)


def ellipse(window: Window, blob: Blob) -> np.ndarray:
    """The distance from a blob's centre, 1 at its edge."""
    x, y, long, short, angle, _ = blob
    cos, sin = np.cos(angle), np.sin(angle)
    along = ((window.x - x) * cos + (window.y - y) * sin) / long
    across = ((window.y - y) * cos - (window.x - x) * sin) / short
    distance: np.ndarray = np.sqrt(along * along + across * across)
    return distance


def _nucleus(
    rng: np.random.Generator,
    layer: np.ndarray,
    cell: Cell,
    nucleus: Nucleus,
    stained: float,
    textures: Mapping[str, np.ndarray],
    scale: float,
) -> tuple[float, float, int] | None:
    """Draw one nucleus; centroid and area of what the picture shows of it, or None where it shows nothing."""
    look = cell.look
    reach = max(np.hypot(x, y) + long for x, y, long, *_ in nucleus.blobs) * 1.1 + 3
    window = Window(layer.shape[1:], nucleus.x, nucleus.y, reach)
    if not window.inside:
        return None
    cover = np.zeros(window.shape, dtype=np.float32)
    bright = np.zeros(window.shape, dtype=np.float32)
    wavy = 1 + 0.035 * cut(rng, textures["patches"], window.shape)
    for blob in nucleus.blobs:
        distance = ellipse(window, blob) * wavy
        edge = np.clip((1 - distance) * (blob[3] / (1.6 * scale + 0.4)) + 0.5, 0, 1)
        cover = np.maximum(cover, edge)
        # Thicker in the middle, as a lens.
        bright = np.maximum(bright, edge * blob[5] * (0.72 + 0.36 * np.sqrt(np.maximum(1 - distance * distance, 0))))
    bright *= 1 + look.chromatin * cut(rng, textures[look.grain], window.shape)
    # Up to one is a probability, more is the mean of a number.
    for _ in range(rng.poisson(look.nucleoli) if look.nucleoli > 1 else int(rng.random() < look.nucleoli)):
        around, away = rng.uniform(0, 2 * np.pi), 0.55 * np.sqrt(rng.random()) * nucleus.blobs[0][3]
        size = look.nucleolus * rng.uniform(2.6, 4.2) * scale
        x, y = away * np.cos(around), away * np.sin(around)
        bright *= 1 - 0.4 * np.exp(-(ellipse(window, (x, y, size, size, 0, 1)) ** 2))
    mask = cover > 0.5
    area = int(mask.sum())
    layer[DNA][window.slices] += np.float32(LEVEL[DNA] * look.dna * stained) * np.maximum(bright, 0)
    if not area:
        return None
    x, y = (mask * window.x).sum() / area + nucleus.x, (mask * window.y).sum() / area + nucleus.y
    return float(x), float(y), area


def _body(
    rng: np.random.Generator,
    layer: np.ndarray,
    cell: Cell,
    stained: np.ndarray,
    textures: Mapping[str, np.ndarray],
    scale: float,
    diffuse: float,
) -> None:
    """What fills a cell: free tubulin, the mesh of actin, the cortex; bubbles and the nucleus are left out."""
    look = cell.look
    window = Window(layer.shape[1:], cell.x, cell.y, cell.radius.max() + 3)
    if not window.inside:
        return
    distance = np.hypot(window.x, window.y)
    angle = np.arctan2(window.y, window.x)
    outline = radius_at(cell.radius, angle)
    depth = outline - distance  # pixels to the membrane
    inside = np.clip(depth / (1.5 * scale) + 0.5, 0, 1)
    share = np.minimum(distance / outline, 1)
    # Flat cells are thick around the nucleus and thin out; round ones are balls.
    thick = np.sqrt(1 - share * share) if look.round else 0.3 + 0.7 * np.exp(-((share / 0.62) ** 2))
    thick = thick * inside
    for _ in range(rng.poisson(look.vacuoles)):
        around, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.85)
        away *= float(radius_at(cell.radius, np.array(around)))
        size = rng.uniform(2.5, 6.5) * scale
        bubble = ellipse(window, (away * np.cos(around), away * np.sin(around), size, size, 0, 1))
        thick *= 1 - 0.75 * np.clip((1 - bubble) * 3 + 0.5, 0, 1)
    hollow = np.zeros(window.shape, dtype=np.float32)
    if not look.round:
        for nucleus in cell.nuclei:
            for x, y, long, short, turn, light in nucleus.blobs:
                at = (x + nucleus.x - cell.x, y + nucleus.y - cell.y, long, short, turn, light)
                hollow = np.maximum(hollow, np.clip((1 - ellipse(window, at)) * 2.5 + 0.5, 0, 1))
    patches = 1 + 0.22 * cut(rng, textures["patches"], window.shape)
    mesh = 1 + 0.2 * look.mesh * cut(rng, textures["mesh"], window.shape)
    tubulin = diffuse * look.diffuse * stained[TUBULIN]
    layer[TUBULIN][window.slices] += LEVEL[TUBULIN] * tubulin * thick * (1 - 0.5 * hollow) * patches
    # The membrane is not equally bright all around.
    waves = np.arange(1, 6)
    uneven = np.cos(waves[:, None] * THETA + rng.uniform(0, 2 * np.pi, (5, 1)))
    uneven = np.exp(0.55 * uneven.sum(axis=0))
    bright = radius_at(uneven.astype(np.float32), angle)
    cortex = inside * np.exp(-((depth / (3.4 * scale)) ** 2)) * bright * (0.22 * look.cortex)
    fill = (0.4 * inside + 0.6 * thick) * (1 - 0.55 * hollow) * patches * mesh
    layer[ACTIN][window.slices] += LEVEL[ACTIN] * stained[ACTIN] * np.maximum(fill + cortex, 0)


# --- lines and spots: points of light ---


class Points:
    """Points of light that are collected and added to a picture (layers, channels, height, width) in one go."""

    def __init__(self, light: np.ndarray):
        self.light = light
        self.where: list[np.ndarray] = []
        self.weight: list[np.ndarray] = []

    def add(self, cell: Cell, channel: int, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> None:
        """Light `weight` at x, y from the middle of `cell`, shared among the four pixels around each point."""
        _, channels, height, width = self.light.shape
        x, y = (x + cell.x).astype(np.float32), (y + cell.y).astype(np.float32)
        kept = (x >= 0) & (x < width - 1) & (y >= 0) & (y < height - 1) & (weight > 0)
        x, y, weight = x[kept], y[kept], np.broadcast_to(weight, kept.shape)[kept].astype(np.float32)
        left, top = x.astype(np.int32), y.astype(np.int32)
        right, down = x - left, y - top
        first = ((int(cell.look.round) * channels + channel) * height + top) * width + left
        low, high = weight * down, weight * (1 - down)
        self.where += [first, first + 1, first + width, first + width + 1]
        self.weight += [high * (1 - right), high * right, low * (1 - right), low * right]

    def line(self, cell: Cell, channel: int, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> None:
        """Lines (n, steps) that give the light `weight` (n, 1 or steps - 1) per pixel of length."""
        length = np.hypot(np.diff(x, axis=1), np.diff(y, axis=1))
        self.add(cell, channel, (x[:, 1:] + x[:, :-1]) / 2, (y[:, 1:] + y[:, :-1]) / 2, weight * length)

    def develop(self) -> None:
        if self.where:
            laid = np.bincount(np.concatenate(self.where), np.concatenate(self.weight), self.light.size)
            self.light += laid.reshape(self.light.shape).astype(np.float32)


def _filaments(rng: np.random.Generator, points: Points, cell: Cell, stained: float, scale: float) -> None:
    """Microtubules: gently bent lines that leave the nucleus, the more aslant the greater the cell's curl, and end at
    the membrane; some run around farther out. A bundle is several that leave from one place side by side."""
    look, bundle = cell.look, cell.look.bundle
    if not look.filaments:
        return
    bundles = (-(-look.filaments // bundle), 1)
    side = rng.choice([-1, 1], bundles)
    arc = rng.random(bundles) < look.arcs
    around: np.ndarray = rng.uniform(0, 2 * np.pi, bundles)
    # More of them leave along the cell than across it.
    around -= 0.3 * np.sin(2 * (around - cell.angle))
    core = look.nucleus * NUCLEUS * scale
    away = np.where(arc, rng.uniform(0.45, 0.85, bundles) * cell.size, rng.uniform(0.3, 1.25, bundles) * core)
    aslant = np.where(arc, rng.normal(1.5, 0.15, bundles), np.abs(rng.normal(0.4, 0.8, bundles)) * look.curl)
    bend = np.where(arc, rng.uniform(0.8, 1.1, bundles) / away, rng.normal(0.45, 0.4, bundles) * look.curl / cell.size)
    steps = int(20 + 36 * scale)
    pace: np.ndarray = rng.uniform(0.7, 1.9, bundles) * cell.size / steps
    turn = side * (np.minimum(aslant, 1.9) + bend * pace * np.arange(steps))
    start = np.concatenate([away, around, pace, turn], axis=1).repeat(bundle, axis=0)[: look.filaments]
    away, around, pace, turn = (part.astype(np.float32) for part in np.split(start, [1, 2, 3], axis=1))
    wander = np.cumsum(rng.standard_normal(turn.shape, dtype=np.float32), axis=1) * np.sqrt(pace / scale) * 0.06
    heading = around + turn + wander
    beside = rng.normal(0, 1.0 * scale, (2, look.filaments, 1)) * (np.arange(look.filaments) % bundle > 0)[:, None]
    x, y = beside.astype(np.float32)
    x = x + away * np.cos(around) + np.cumsum(pace * np.cos(heading), axis=1)
    y = y + away * np.sin(around) + np.cumsum(pace * np.sin(heading), axis=1)
    inside = np.hypot(x, y) < 1.01 * radius_at(cell.radius, np.arctan2(y, x))
    weight = rng.lognormal(0, 0.45, (look.filaments, 1)) * stained * FILAMENT * scale
    points.line(cell, TUBULIN, x, y, weight * inside[:, 1:])


def _fibres(rng: np.random.Generator, points: Points, cell: Cell, stained: float, scale: float) -> None:
    """Stress fibres: straight, along the cell."""
    if not (count := rng.poisson(cell.look.fibres)):
        return
    lines, size = (count, 1), cell.size
    turned = cell.angle + rng.normal(0, 0.13, lines)
    beside = rng.uniform(-1, 1, lines) * size
    middle, half = rng.normal(0, 0.35, lines) * size, rng.uniform(0.35, 1.1, lines) * size
    along = middle + half * np.linspace(-1, 1, int(30 + 60 * scale))
    x, y = along * np.cos(turned) - beside * np.sin(turned), along * np.sin(turned) + beside * np.cos(turned)
    inside = np.hypot(x, y) < 0.99 * radius_at(cell.radius, np.arctan2(y, x))
    weight = rng.lognormal(0, 0.5, lines) * stained * FIBRE * scale
    points.line(cell, ACTIN, x, y, weight * inside[:, 1:])


def _spindle(rng: np.random.Generator, points: Points, cell: Cell, stained: float, scale: float) -> None:
    """Half spindles: from each pole fibres to the chromosomes and a few around."""
    if not (poles := cell.look.poles):
        return
    # Across the plate; several poles stand around the chromosomes, a single one among them.
    across = cell.nuclei[0].blobs[-1][4] + np.pi / 2
    away = {1: 0.0, 2: 0.78}.get(poles, 0.85) * NUCLEUS * scale
    spread, reach = (np.pi, 0.75) if poles == 1 else (0.75, 0.95)
    pole = np.repeat(across + np.arange(poles) * 2 * np.pi / poles + rng.normal(0, 0.2, poles), 34)[:, None]
    t = np.linspace(0, 1, int(10 + 20 * scale))
    heading = pole + np.pi + rng.uniform(-spread, spread, pole.shape) + rng.normal(0, 0.2, pole.shape) * t
    length = rng.uniform(0.5, 1.0, pole.shape) * reach * NUCLEUS * scale * t
    x, y = away * np.cos(pole) + length * np.cos(heading), away * np.sin(pole) + length * np.sin(heading)
    points.line(cell, TUBULIN, x, y, SPINDLE * scale * stained / np.sqrt(poles))


def _spots(rng: np.random.Generator, points: Points, cell: Cell, stained: float, scale: float) -> None:
    """Clots of actin, near the membrane more often than not."""
    if not (count := rng.poisson(cell.look.puncta)):
        return
    angle = rng.uniform(0, 2 * np.pi, (count, 1))
    away = radius_at(cell.radius, angle) * rng.uniform(0.2, 1, (count, 1)) ** 0.6
    x, y = rng.normal(0, 0.8 * scale, (2, count, 12))
    weight = rng.lognormal(0, 0.6, (count, 1)) * stained * (SPOT * scale**2 / 12)
    points.add(cell, ACTIN, x + away * np.cos(angle), y + away * np.sin(angle), weight)
