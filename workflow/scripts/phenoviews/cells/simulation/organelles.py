"""The stains of Cell Painting beside DNA: endoplasmic reticulum, RNA, AGP (actin, Golgi, membrane), mitochondria.

What is where follows Bray et al., "Cell Painting" (Nat Protoc 11, 1757 (2016)): concanavalin A in a mesh around the
nucleus, SYTO 14 in nucleoli and cytoplasm, phalloidin and wheat germ agglutinin on actin, Golgi and membrane,
MitoTracker on threads around the nucleus. Their phenotypes are those of the cell: its outline, bubbles, nucleoli, and
the microtubules on which Golgi and mitochondria hang.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from phenoviews.cells.simulation.pictures import ACTIN, Points, Window, cut, ellipse, grains
from phenoviews.cells.simulation.shapes import NUCLEUS, Cell, radius_at

ER, RNA, AGP, MITOCHONDRIA = range(4)
LEVEL = (2300.0, 2000.0, 0.75, 0.0)  # of what fills the cell; of AGP the share of the actin that is drawn already
GOLGI = 26000.0  # light of one spot of it, of about thirty
THREAD = 900.0  # light of mitochondria per pixel of length
HELD = 60  # filaments of tubulin that hold Golgi and mitochondria in their places


def draw(rng: np.random.Generator, cells: list[Cell], full: Mapping[str, Any], light: np.ndarray) -> np.ndarray:
    """The light (2, 4, height, width) float32 of the flat and of the rounded cells; `light` (2, 3, …), of their DNA,
    tubulin and actin."""
    found = np.zeros((2, 4, *light.shape[2:]), dtype=np.float32)
    found[:, AGP] = LEVEL[AGP] * light[:, ACTIN]
    scale, points = full["magnification"], Points(found)
    for cell in cells:
        stained = rng.lognormal(0, [0.2, 0.2, 0.2, 0.25])
        _soma(rng, found[int(cell.look.round)], cell, stained, scale)
        _golgi(rng, points, cell, stained[AGP], scale)
        _threads(rng, points, cell, stained[MITOCHONDRIA], scale)
    points.develop()
    return found


def _soma(rng: np.random.Generator, layer: np.ndarray, cell: Cell, stained: np.ndarray, scale: float) -> None:
    """What fills a cell: the mesh of the reticulum, the RNA of the cytoplasm and of the nucleoli."""
    look, textures = cell.look, grains(scale)
    window = Window(layer.shape[1:], cell.x, cell.y, cell.radius.max() + 3)
    if not window.inside:
        return
    distance, angle = np.hypot(window.x, window.y), np.arctan2(window.y, window.x)
    outline = radius_at(cell.radius, angle)
    inside = np.clip((outline - distance) / (1.5 * scale) + 0.5, 0, 1)
    share = np.minimum(distance / outline, 1)
    thick = inside * (np.sqrt(1 - share * share) if look.round else 0.25 + 0.75 * np.exp(-((share / 0.6) ** 2)))
    for _ in range(rng.poisson(look.vacuoles)):
        around, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.85)
        away *= float(radius_at(cell.radius, np.array(around)))
        size = rng.uniform(2.5, 6.5) * scale
        bubble = ellipse(window, (away * np.cos(around), away * np.sin(around), size, size, 0, 1))
        thick = thick * (1 - 0.75 * np.clip((1 - bubble) * 3 + 0.5, 0, 1))
    nucleus = np.zeros(window.shape, dtype=np.float32)
    nucleoli = np.zeros(window.shape, dtype=np.float32)
    for one in cell.nuclei:
        right, down = one.x - cell.x, one.y - cell.y
        for x, y, long, short, turn, bright in one.blobs:
            blob = ellipse(window, (x + right, y + down, long, short, turn, bright))
            nucleus = np.maximum(nucleus, np.clip((1 - blob) * 2.5 + 0.5, 0, 1))
        for _ in range(rng.poisson(look.nucleoli)):
            around, away = rng.uniform(0, 2 * np.pi), 0.5 * np.sqrt(rng.random()) * one.blobs[0][3]
            size = look.nucleolus * rng.uniform(2.2, 3.6) * scale
            at = right + away * np.cos(around), down + away * np.sin(around)
            nucleoli = np.maximum(nucleoli, np.exp(-(ellipse(window, (*at, size, size, 0, 1)) ** 2)))
    mesh = np.maximum(1 + 0.45 * look.mesh * cut(rng, textures["mesh"], window.shape), 0)
    patches = 1 + 0.2 * cut(rng, textures["patches"], window.shape)
    reticulum = thick * mesh * patches * (1 - 0.85 * nucleus)
    layer[ER][window.slices] += LEVEL[ER] * stained[ER] * reticulum
    ribosomes = thick * (1 - 0.45 * nucleus) * patches + 1.4 * nucleoli * nucleus
    layer[RNA][window.slices] += LEVEL[RNA] * stained[RNA] * ribosomes


def _held(cell: Cell) -> float:
    """0 where there are no microtubules, 1 where there are enough."""
    return min(cell.look.filaments / HELD, 1.0)


def _golgi(rng: np.random.Generator, points: Points, cell: Cell, stained: float, scale: float) -> None:
    """A ribbon on one side of the nucleus; without microtubules it falls apart and its pieces lie all over the cell."""
    count, held = rng.poisson(30), _held(cell)
    side: float = rng.uniform(0, 2 * np.pi)
    around = side + rng.normal(0, 0.35 + 2.5 * (1 - held), (count, 1))
    core = cell.look.nucleus * NUCLEUS * scale
    away = core * rng.normal(1.15, 0.12, (count, 1)) + (1 - held) * cell.size * rng.uniform(0, 0.5, (count, 1))
    away = np.minimum(away, 0.95 * radius_at(cell.radius, around))
    x, y = rng.normal(0, 0.9 * scale, (2, count, 8))
    weight = rng.lognormal(0, 0.4, (count, 1)) * stained * (GOLGI * scale**2 / 8) / 4
    points.add(cell, AGP, x + away * np.cos(around), y + away * np.sin(around), weight)


def _threads(rng: np.random.Generator, points: Points, cell: Cell, stained: float, scale: float) -> None:
    """Mitochondria: short bent threads, more of them near the nucleus; all of them there without microtubules."""
    count, held = rng.poisson(90 * cell.look.size**2), _held(cell)
    core = cell.look.nucleus * NUCLEUS * scale * (0.4 if cell.look.round else 0.95)
    around = rng.uniform(0, 2 * np.pi, (count, 1))
    away = core + rng.exponential(0.12 + 0.2 * held, (count, 1)) * cell.size
    steps = int(6 + 10 * scale)
    pace = rng.uniform(5, 12, (count, 1)) * scale / steps
    turn = around + rng.normal(0, 0.9, (count, 1)) + np.cumsum(rng.normal(0, 0.18, (count, steps)), axis=1)
    x = away * np.cos(around) + np.cumsum(pace * np.cos(turn), axis=1)
    y = away * np.sin(around) + np.cumsum(pace * np.sin(turn), axis=1)
    inside = np.hypot(x, y) < 0.97 * radius_at(cell.radius, np.arctan2(y, x))
    weight = rng.lognormal(0, 0.4, (count, 1)) * stained * THREAD * scale
    points.line(cell, MITOCHONDRIA, x, y, weight * inside[:, 1:])
