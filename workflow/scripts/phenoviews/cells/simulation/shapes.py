"""Where the cells of a field lie, and the outlines of their bodies and nuclei.

A body is a star-shaped outline: its radius in `ANGLES` directions. Free cells have one of their own; where two meet, a
weighted Voronoi border cuts both. So a position in a cell is a pair (angle, share of the radius), which is all that
`pictures` needs to lay filaments and membranes into it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from phenoviews.cells.simulation.phenotypes import PHENOTYPES, Phenotype

ANGLES = 720
THETA = np.arange(ANGLES) * (2 * np.pi / ANGLES)
RADIUS = 42.0  # of an untreated cell, pixels at magnification 1
NUCLEUS = 17.8  # geometric mean of an untreated nucleus's semi-axes
MARGIN = 60.0  # cells whose centres lie this far outside the picture reach into it

Blob = tuple[float, float, float, float, float, float]  # x, y, semi-axes, angle, brightness


@dataclass
class Nucleus:
    x: float
    y: float
    blobs: list[Blob]  # relative to x, y


@dataclass
class Cell:
    name: str
    look: Phenotype
    x: float
    y: float
    angle: float
    size: float  # radius of a free cell
    radius: np.ndarray = field(repr=False)  # (ANGLES,) of the outline, in pixels of the picture
    nuclei: list[Nucleus] = field(repr=False)


def extent(full: Mapping[str, Any]) -> float:
    """How much larger than its picture the area is in which cells lie."""
    edge = 2 * MARGIN * full["magnification"]
    larger: float = (full["height"] + edge) * (full["width"] + edge) / (full["height"] * full["width"])
    return larger


def place(rng: np.random.Generator, names: Sequence[str], full: Mapping[str, Any]) -> list[Cell]:
    """Cells of the phenotypes `names`, as many of them as find room, in pixels of the picture."""
    scale = full["magnification"]
    looks = [PHENOTYPES[name] for name in names]
    sizes = rng.lognormal(0, 0.1, len(names))
    room = np.array([NUCLEUS * _spread(look) for look in looks]) * sizes * scale
    centres = _scatter(rng, room, full)
    cells = []
    for name, look, size, centre in zip(names, looks, sizes, centres, strict=True):
        if np.isnan(centre[0]):
            continue
        angle = rng.uniform(0, 2 * np.pi)
        nuclei = _nuclei(rng, look, angle, size * scale, centre)
        body = RADIUS * look.size * size * scale * (1.0 if look.round else rng.lognormal(0, 0.1))
        cells.append(Cell(name, look, centre[0], centre[1], angle, body, _outline(rng, look, angle) * body, nuclei))
    _meet(rng, cells)
    return cells


def _spread(look: Phenotype) -> float:
    """The radius that a cell keeps others from, in nuclei."""
    return look.nucleus * (1.75 if look.nuclei > 1 else 1.0)


def _scatter(rng: np.random.Generator, room: np.ndarray, full: Mapping[str, Any]) -> np.ndarray:
    """(n, 2) centres x, y, denser here than there; nan for those that found no room within their tries."""
    edge = MARGIN * full["magnification"]
    lowest = np.array([-edge, -edge])
    side = np.array([full["width"], full["height"]]) + 2 * edge
    coarse = ndimage.gaussian_filter(rng.standard_normal((32, 32)), 2.5, mode="wrap")
    density = np.exp(full["clustering"] * coarse / coarse.std())
    density /= density.max()
    centres = np.full((len(room), 2), np.nan)
    for cell, own in enumerate(room):
        # Nuclei touch now and then, and a few lie one over the other in part.
        nearest = (own + room[:cell]) * (0.85 if rng.random() < 0.04 else 1.08)
        tries = rng.random((60, 2))
        kept = rng.random(60) < density[tuple((tries * 32).astype(int).T[::-1])]
        for candidate in lowest + tries[kept] * side:
            # nan, a cell without room, is in nobody's way.
            if not (np.hypot(*(centres[:cell] - candidate).T) < nearest).any():
                centres[cell] = candidate
                break
    return centres


# --- bodies ---


def _outline(rng: np.random.Generator, look: Phenotype, angle: float) -> np.ndarray:
    """The outline of a free cell with the area of the unit circle, but for its spikes."""
    turned = THETA - angle
    long = np.sqrt(1 + (look.elongation - 1) * rng.lognormal(0, 0.5))
    radius = 1 / np.hypot(np.cos(turned) / long, np.sin(turned) * long)
    waves = np.arange(2, 8)
    heights = rng.standard_normal(6) * look.irregular * 2.2 / waves
    radius *= 1 + np.cos(waves[:, None] * THETA + rng.uniform(0, 2 * np.pi, (6, 1))).T @ heights
    for _ in range(rng.poisson(look.spikes)):
        # Long cells are drawn out at their ends.
        where = angle + rng.choice([0, np.pi]) + rng.normal(0, 0.5) if look.elongation > 1.5 else rng.uniform(0, 7)
        away = np.abs((THETA - where + np.pi) % (2 * np.pi) - np.pi)
        # Pointed, with hollow flanks: the membrane hangs between the points where the cell holds on.
        radius += look.reach * rng.uniform(0.3, 1.1) * np.exp(-away / rng.uniform(0.07, 0.35))
    outline: np.ndarray = np.clip(radius, 0.35, 3.5)
    return outline


def _meet(rng: np.random.Generator, cells: list[Cell]) -> None:
    """Cut the outlines of flat cells where they meet, at weighted Voronoi borders; cells overlap a little there."""
    flat = [cell for cell in cells if not cell.look.round]
    if not flat:
        return
    x, y, size = (np.array([getattr(cell, name) for cell in flat]) for name in ("x", "y", "size"))
    farthest = np.array([cell.radius.max() for cell in flat])
    for number, cell in enumerate(flat):
        apart = np.hypot(x - cell.x, y - cell.y)
        near = (apart < farthest + farthest[number]) & (apart > 0)
        towards = np.arctan2(y[near] - cell.y, x[near] - cell.x)
        border = apart[near] * size[number] / (size[near] + size[number])
        along = np.cos(THETA[:, None] - towards)
        reach = np.where(along > 0.05, border / np.maximum(along, 0.05), np.inf).min(axis=1, initial=np.inf)
        uneven = ndimage.gaussian_filter1d(rng.standard_normal(ANGLES), 22, mode="wrap") * 0.7
        cell.radius = np.minimum(cell.radius, reach * (1.05 + uneven))
        cell.radius = ndimage.gaussian_filter1d(cell.radius, 4, mode="wrap").astype(np.float32)


def radius_at(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """The radius (ANGLES,) of an outline at any angles."""
    return radius[(angle * (ANGLES / (2 * np.pi))).astype(np.intp) % ANGLES]


# --- nuclei: each a union of ellipses ---


def _nuclei(rng: np.random.Generator, look: Phenotype, angle: float, scale: float, centre: np.ndarray) -> list[Nucleus]:
    turn = angle + rng.normal(0, 0.35)
    side = NUCLEUS * look.nucleus * scale
    if look.nuclei == 1:
        return [Nucleus(centre[0], centre[1], FORMS[look.form](rng, look, turn, side))]
    # Daughters lie across the cell's long axis, plates of dividing cells along it.
    apart = 1.22 * side if look.form == "ellipse" else 1.0 * NUCLEUS * scale
    away = angle if look.round else angle + rng.normal(0, 0.4)
    turn = away + np.pi / 2
    return [
        Nucleus(
            centre[0] + sign * apart * np.cos(away),
            centre[1] + sign * apart * np.sin(away),
            FORMS[look.form](rng, look, turn, side),
        )
        for sign in (-1, 1)
    ]


def _ellipse(rng: np.random.Generator, look: Phenotype, angle: float, side: float) -> list[Blob]:
    aspect = np.sqrt(max(1.02, rng.normal(look.aspect, 0.1)))
    return [(0, 0, side * aspect, side / aspect, angle, 1)]


def _lobed(rng: np.random.Generator, look: Phenotype, angle: float, side: float) -> list[Blob]:
    """Three to five lobes that have grown together."""
    count = rng.integers(3, 6)
    around = angle + np.arange(count) * 2 * np.pi / count + rng.normal(0, 0.25, count)
    lobes = [
        (np.cos(a) * side * r, np.sin(a) * side * r, side * s, side * s * 0.8, a + np.pi / 2, rng.uniform(0.85, 1.15))
        for a, r, s in zip(around, rng.uniform(0.4, 0.58, count), rng.uniform(0.46, 0.58, count), strict=True)
    ]
    return [(0, 0, side * 0.5, side * 0.5, 0, 1), *lobes]


def _fragments(rng: np.random.Generator, look: Phenotype, angle: float, side: float) -> list[Blob]:
    """Micronuclei: round pieces of several sizes that lie against each other."""
    pieces: list[Blob] = [(0, 0, side * 0.58, side * 0.5, angle, 1.05)]
    for number in range(rng.integers(4, 8)):
        size = side * rng.uniform(0.2, 0.4)
        where = angle + number * 2.4 + rng.normal(0, 0.3)  # the golden angle: all around
        away = (side * 0.54 + size) * rng.uniform(0.75, 0.97)
        at = away * np.cos(where), away * np.sin(where)
        pieces.append((*at, size, size * rng.uniform(0.8, 1), where, rng.uniform(0.6, 1.05)))
    return pieces


def _plate(rng: np.random.Generator, look: Phenotype, angle: float, side: float) -> list[Blob]:
    """A metaphase plate seen from the side, ragged."""
    across = rng.uniform(-0.75, 0.75, 7) * side
    off = rng.normal(0, 0.07, 7) * side
    return [
        (
            a * np.cos(angle) - o * np.sin(angle),
            a * np.sin(angle) + o * np.cos(angle),
            side * rng.uniform(0.28, 0.38),
            side * rng.uniform(0.2, 0.32),
            angle + rng.normal(0, 0.4),
            rng.uniform(0.8, 1.1),
        )
        for a, o in zip(across, off, strict=True)
    ] + [(0, 0, side * 0.8, side * 0.26, angle, 1)]


def _clump(rng: np.random.Generator, look: Phenotype, angle: float, side: float) -> list[Blob]:
    """Chromosomes of a cell arrested in prometaphase: a ragged ball."""
    where, away = rng.uniform(0, 2 * np.pi, 12), rng.uniform(0.25, 0.7, 12) * side
    return [(0, 0, side * 0.45, side * 0.4, angle, 0.9)] + [
        (a * np.cos(w), a * np.sin(w), side * 0.28, side * 0.16, w + rng.normal(0, 0.6), rng.uniform(0.7, 1.2))
        for w, a in zip(where, away, strict=True)
    ]


def _ring(rng: np.random.Generator, look: Phenotype, angle: float, side: float) -> list[Blob]:
    """Chromosomes around the one pole of a monopolar spindle."""
    where = np.arange(13) * 2 * np.pi / 13 + rng.normal(0, 0.1, 13)
    away = side * rng.uniform(0.48, 0.66, 13)
    return [
        (a * np.cos(w), a * np.sin(w), side * 0.27, side * 0.15, w + rng.normal(0, 0.3), rng.uniform(0.8, 1.15))
        for w, a in zip(where, away, strict=True)
    ]


def _condensed(rng: np.random.Generator, look: Phenotype, angle: float, side: float) -> list[Blob]:
    """What is left of an apoptotic nucleus: a few smooth bright balls."""
    balls: list[Blob] = [(0, 0, side * 0.42, side * 0.38, angle, 1)]
    for where in angle + rng.normal(0, 1.2, rng.integers(1, 4)) + np.pi * rng.integers(0, 2):
        size = side * rng.uniform(0.16, 0.34)
        away = side * 0.4 + size * 0.8
        balls.append((away * np.cos(where), away * np.sin(where), size, size, 0, rng.uniform(0.7, 1.2)))
    return balls


FORMS = {
    "ellipse": _ellipse,
    "lobed": _lobed,
    "fragments": _fragments,
    "plate": _plate,
    "clump": _clump,
    "ring": _ring,
    "condensed": _condensed,
}
