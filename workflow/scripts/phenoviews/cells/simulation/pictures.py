"""The light of cells: nuclei with chromatin, microtubules, actin; drawn cell by cell, each in its own window.

Lines (microtubules, stress fibres, spindles) and spots are laid as points of light for all cells at once. Intensities
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
LEVEL = (3000.0, 2300.0, 1350.0)
FILAMENT = 900.0  # light per pixel of length, as also below
FIBRE = 600.0
SPINDLE = 1700.0
SPOT = 9000.0  # light of one

Truth = tuple[str, int, float, float, int]


def draw(
    rng: np.random.Generator, cells: list[Cell], full: Mapping[str, Any], diffuse: float
) -> tuple[np.ndarray, list[Truth]]:
    """The light (2, 3, height, width) float32 of the flat and of the rounded cells, and of each nucleus whose centre
    lies in the picture: phenotype, number of its cell, x, y, area."""
    light = np.zeros((2, 3, full["height"], full["width"]), dtype=np.float32)
    scale, truth = full["magnification"], []
    textures = _textures(scale)
    for number, cell in enumerate(cells):
        stained = rng.lognormal(0, [0.13, 0.2, 0.2])
        layer = light[int(cell.look.round)]
        for nucleus in cell.nuclei:
            found = _nucleus(rng, layer, cell, nucleus, stained[DNA], textures, scale)
            if found and -0.5 <= found[0] < full["width"] - 0.5 and -0.5 <= found[1] < full["height"] - 0.5:
                truth.append((cell.name, number, *found))
        _body(rng, layer, cell, stained, textures, scale, diffuse)
    points = Points(light)
    for lay in (_filaments, _fibres, _spindles, _spots):
        lay(rng, points, cells, scale)
    points.develop()
    return light, truth


@lru_cache(maxsize=2)
def _textures(scale: float) -> dict[str, np.ndarray]:
    """Noise of mean 0 and deviation 1 that windows are cut from; the same for all fields."""
    rng = np.random.default_rng(0)
    textures = {}
    for name, small, large in (("fine", 0.9, 3.5), ("coarse", 1.7, 4.5), ("mesh", 1.2, 6.0), ("patches", 5.0, 14.0)):
        noise = rng.standard_normal((768, 768), dtype=np.float32)
        band = ndimage.gaussian_filter(noise, small * scale, mode="wrap")
        band -= ndimage.gaussian_filter(noise, large * scale, mode="wrap")
        textures[name] = band / band.std()
    return textures


def _cut(rng: np.random.Generator, texture: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    top, left = (rng.integers(0, whole - part) for whole, part in zip(texture.shape, shape, strict=True))
    return texture[top : top + shape[0], left : left + shape[1]]


class _Window:
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


def _ellipse(window: _Window, blob: Blob) -> np.ndarray:
    """The distance from a blob's centre, 1 at its edge."""
    x, y, long, short, angle, _ = blob
    cos, sin = np.cos(angle), np.sin(angle)
    along = ((window.x - x) * cos + (window.y - y) * sin) / long
    across = ((window.y - y) * cos - (window.x - x) * sin) / short
    return np.sqrt(along * along + across * across)


def _nucleus(
    rng: np.random.Generator,
    layer: np.ndarray,
    cell: Cell,
    nucleus: Nucleus,
    stained: float,
    textures: Mapping[str, np.ndarray],
    scale: float,
) -> tuple[float, float, int] | None:
    """Draw one nucleus; its centre of area and area, or None where nothing of it is in the picture."""
    look = cell.look
    reach = max(np.hypot(x, y) + long for x, y, long, *_ in nucleus.blobs) * 1.1 + 3
    window = _Window(layer.shape[1:], nucleus.x, nucleus.y, reach)
    if not window.inside:
        return None
    cover = np.zeros(window.shape, dtype=np.float32)
    bright = np.zeros(window.shape, dtype=np.float32)
    wavy = 1 + 0.035 * _cut(rng, textures["patches"], window.shape)
    for blob in nucleus.blobs:
        distance = _ellipse(window, blob) * wavy
        edge = np.clip((1 - distance) * (blob[3] / (1.6 * scale + 0.4)) + 0.5, 0, 1)
        cover = np.maximum(cover, edge)
        # Thicker in the middle, as a lens.
        bright = np.maximum(bright, edge * blob[5] * (0.72 + 0.36 * np.sqrt(np.maximum(1 - distance * distance, 0))))
    bright *= 1 + look.chromatin * _cut(rng, textures[look.grain], window.shape)
    for _ in range(rng.poisson(look.nucleoli) if look.nucleoli > 1 else int(rng.random() < look.nucleoli)):
        around, away = rng.uniform(0, 2 * np.pi), 0.55 * np.sqrt(rng.random()) * nucleus.blobs[0][3]
        size = look.nucleolus * rng.uniform(2.6, 4.2) * scale
        x, y = away * np.cos(around), away * np.sin(around)
        bright *= 1 - 0.42 * np.exp(-((_ellipse(window, (x, y, size, size, 0, 1))) ** 2))
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
    window = _Window(layer.shape[1:], cell.x, cell.y, cell.radius.max() + 3)
    if not window.inside:
        return
    distance = np.hypot(window.x, window.y)
    outline = radius_at(cell.radius, np.arctan2(window.y, window.x)).astype(np.float32)
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
        bubble = _ellipse(window, (away * np.cos(around), away * np.sin(around), size, size, 0, 1))
        thick *= 1 - 0.75 * np.clip((1 - bubble) * 3 + 0.5, 0, 1)
    hollow = np.zeros(window.shape, dtype=np.float32)
    if not look.round:
        for nucleus in cell.nuclei:
            for x, y, *rest in nucleus.blobs:
                at = (x + nucleus.x - cell.x, y + nucleus.y - cell.y, *rest)
                hollow = np.maximum(hollow, np.clip((1 - _ellipse(window, at)) * 2.5 + 0.5, 0, 1))
    patches = 1 + 0.16 * _cut(rng, textures["patches"], window.shape)
    mesh = 1 + 0.17 * look.mesh * _cut(rng, textures["mesh"], window.shape)
    tubulin = diffuse * look.diffuse * look.tubulin * stained[TUBULIN]
    layer[TUBULIN][window.slices] += LEVEL[TUBULIN] * tubulin * thick * (1 - 0.5 * hollow) * patches
    actin = look.actin * stained[ACTIN]
    # The membrane is not equally bright all around.
    waves = np.arange(1, 6)
    uneven = np.cos(waves[:, None] * THETA + rng.uniform(0, 2 * np.pi, (5, 1)))
    uneven = np.maximum(1 + 0.4 * uneven.sum(axis=0), 0.1)
    bright = radius_at(uneven, np.arctan2(window.y, window.x)).astype(np.float32)
    cortex = inside * np.exp(-((depth / (2.6 * scale)) ** 2)) * bright * (1.1 * look.cortex)
    fill = thick * (1 - 0.4 * hollow) * patches * mesh
    layer[ACTIN][window.slices] += LEVEL[ACTIN] * actin * np.maximum(fill + cortex, 0)


# --- lines and spots: points of light, laid for all cells at once ---


class Points:
    """Points of light that are collected and added to a picture (layers, channels, height, width) in one go."""

    def __init__(self, light: np.ndarray):
        self.light = light
        self.collected: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, layer: np.ndarray | int, channel: int, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> None:
        """Light `weight` at x, y, shared among the four pixels around."""
        _, channels, height, width = self.light.shape
        left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        kept = (left >= 0) & (left < width - 1) & (top >= 0) & (top < height - 1) & (weight > 0)
        layer = np.broadcast_to(layer, x.shape)[kept]
        left, top, weight = left[kept], top[kept], np.broadcast_to(weight, x.shape)[kept]
        right, down = x[kept] - left, y[kept] - top
        first = ((layer * channels + channel) * height + top) * width + left
        for step, part in (
            (0, (1 - right) * (1 - down)),
            (1, right * (1 - down)),
            (width, (1 - right) * down),
            (width + 1, right * down),
        ):
            self.collected.append((first + step, weight * part))

    def develop(self) -> None:
        where = np.concatenate([where for where, _ in self.collected])
        weight = np.concatenate([weight for _, weight in self.collected])
        self.light += np.bincount(where, weight, self.light.size).reshape(self.light.shape).astype(np.float32)


def _repeated(cells: list[Cell], counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of its cell for each line, and the outlines of the cells (n, ANGLES)."""
    return np.repeat(np.arange(len(cells)), counts), np.stack([cell.radius for cell in cells])


def _of(cells: list[Cell], name: str, owner: np.ndarray) -> np.ndarray:
    """A property of the look of each line's cell, as a column."""
    return np.array([getattr(cell.look, name) for cell in cells], dtype=float)[owner][:, None]


def _centres(cells: list[Cell], owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centres = np.array([(cell.x, cell.y) for cell in cells])[owner]
    return centres[:, :1], centres[:, 1:]


def _filaments(rng: np.random.Generator, points: Points, cells: list[Cell], scale: float) -> None:
    """Microtubules: from around the nucleus out to the membrane, turning, or around the nucleus."""
    counts = np.array([cell.look.filaments // cell.look.bundle for cell in cells], dtype=int)
    if not counts.sum():
        return
    owner, outlines = _repeated(cells, counts)
    steps = int(24 + 40 * scale)
    t = np.linspace(0, 1, steps)
    lines = (len(owner), 1)
    arc = rng.random(lines) < _of(cells, "arcs", owner)
    curl = _of(cells, "curl", owner)
    start = np.where(arc, rng.uniform(0.42, 0.95, lines), rng.uniform(0.2, 0.55, lines))
    end = np.where(arc, start + rng.normal(0, 0.1, lines), rng.uniform(0.7, 1.04, lines))
    turn = np.where(arc, rng.choice([-1, 1], lines) * rng.uniform(0.8, 2.2, lines), rng.normal(0, 0.75, lines) * curl)
    wander = np.cumsum(np.cumsum(rng.standard_normal((len(owner), steps)), axis=1), axis=1) / steps**1.5
    angle = rng.uniform(0, 2 * np.pi, lines) + turn * t + 0.35 * wander
    share = start + (end - start) * t
    weight = rng.lognormal(0, 0.45, lines) * _of(cells, "tubulin", owner) * FILAMENT * scale
    cx, cy = _centres(cells, owner)
    bundle = _of(cells, "bundle", owner)
    for strand in range(int(bundle.max())):
        kept = bundle[:, 0] > strand
        beside = rng.normal(0, 0.011, (kept.sum(), 1)) * (strand > 0)
        radius = radius_at(outlines[owner[kept]], angle[kept]) * np.minimum(share[kept] + beside, 1.05)
        x, y = cx[kept] + radius * np.cos(angle[kept]), cy[kept] + radius * np.sin(angle[kept])
        _line(points, 0, TUBULIN, x, y, weight[kept])


def _line(points: Points, layer: int, channel: int, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> None:
    """Lines (n, steps): as much light per length everywhere."""
    length = np.hypot(np.diff(x, axis=1), np.diff(y, axis=1))
    points.add(layer, channel, (x[:, 1:] + x[:, :-1]) / 2, (y[:, 1:] + y[:, :-1]) / 2, weight * length)


def _fibres(rng: np.random.Generator, points: Points, cells: list[Cell], scale: float) -> None:
    """Stress fibres: straight, along the cell, more of them towards its sides."""
    counts = rng.poisson([cell.look.fibres for cell in cells])
    if not counts.sum():
        return
    owner, outlines = _repeated(cells, counts)
    lines = (len(owner), 1)
    size = np.array([cell.size for cell in cells])[owner][:, None]
    turned = np.array([cell.angle for cell in cells])[owner][:, None] + rng.normal(0, 0.13, lines)
    beside = rng.uniform(-1, 1, lines) * size
    middle, half = rng.normal(0, 0.35, lines) * size, rng.uniform(0.35, 1.1, lines) * size
    along = middle + half * np.linspace(-1, 1, int(30 + 60 * scale))
    x, y = along * np.cos(turned) - beside * np.sin(turned), along * np.sin(turned) + beside * np.cos(turned)
    inside = np.hypot(x, y) < 0.99 * radius_at(outlines[owner], np.arctan2(y, x))
    cx, cy = _centres(cells, owner)
    weight = rng.lognormal(0, 0.5, lines) * _of(cells, "actin", owner) * FIBRE * scale
    _line(points, 0, ACTIN, x + cx, y + cy, weight * inside[:, 1:])


def _spindles(rng: np.random.Generator, points: Points, cells: list[Cell], scale: float) -> None:
    """Half spindles: from each pole fibres to the chromosomes and a few around."""
    t = np.linspace(0, 1, int(10 + 20 * scale))
    for cell in cells:
        poles = cell.look.poles
        if not poles:
            continue
        # Across the plate; several poles stand around the chromosomes, a single one among them.
        turn = cell.nuclei[0].blobs[-1][4] + np.pi / 2
        away = {1: 0.0, 2: 0.78}.get(poles, 0.85) * NUCLEUS * scale
        for where in turn + np.arange(poles) * 2 * np.pi / poles + rng.normal(0, 0.12, poles):
            px, py = away * np.cos(where), away * np.sin(where)
            spread = np.pi if poles == 1 else 0.75
            angle = where + np.pi + rng.uniform(-spread, spread, (34, 1))
            length = rng.uniform(0.5, 1.0, (34, 1)) * NUCLEUS * scale * (0.95 if poles > 1 else 0.75)
            bow = rng.normal(0, 0.2, (34, 1)) * t
            x, y = px + length * t * np.cos(angle + bow), py + length * t * np.sin(angle + bow)
            weight = np.full((34, 1), SPINDLE * scale * cell.look.tubulin / max(1, poles) ** 0.5)
            _line(points, 1, TUBULIN, x + cell.x, y + cell.y, weight)


def _spots(rng: np.random.Generator, points: Points, cells: list[Cell], scale: float) -> None:
    """Clots of actin, near the membrane more often than not."""
    counts = rng.poisson([cell.look.puncta for cell in cells])
    if not counts.sum():
        return
    owner, outlines = _repeated(cells, counts)
    lines = (len(owner), 1)
    angle = rng.uniform(0, 2 * np.pi, lines)
    away = radius_at(outlines[owner], angle) * rng.uniform(0.2, 1, lines) ** 0.6
    cx, cy = _centres(cells, owner)
    spread = rng.normal(0, 0.8 * scale, (2, len(owner), 12))
    x, y = cx + away * np.cos(angle) + spread[0], cy + away * np.sin(angle) + spread[1]
    layer = np.array([int(cell.look.round) for cell in cells])[owner][:, None]
    weight = rng.lognormal(0, 0.6, lines) * _of(cells, "actin", owner) * (SPOT * scale**2 / 12)
    points.add(np.broadcast_to(layer, x.shape), ACTIN, x, y, np.broadcast_to(weight, x.shape))
