"""Which cuts of a watershed are undone: those that go through one nucleus."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects
from scipy.spatial import ConvexHull, QhullError

# How much each `evidence` speaks for one nucleus: a logistic regression on the cuts of the watersheds of 15 annotated
# fields (Caicedo et al., Nat Methods 16, 1247, 2019) and of drawn clumps and long nuclei, each at 0.75, 1 and 1.33
# times its diameter; `tests/benchmarks/nuclei.py` fits it again, and scores every field with the weights of the others.
WEIGHTS = {
    "convex": 9.46,
    "less_convex": 28.28,
    "area": -0.75,
    "smaller": -1.61,
    "neck": -5.12,
    "step": -4.70,
    "saddle": 6.74,
    "valley": -3.74,
}
BIAS = -11.55


@dataclass(frozen=True)
class Piece:
    """`pixels` (n, 2), rows and columns; `hull`, the area of its convex hull; `level`, the median of the logarithm of
    its brightness; `depth`, how far its innermost pixel is from the background."""

    pixels: np.ndarray
    hull: float
    level: float
    depth: float


def joined(labels: np.ndarray, dna: np.ndarray, typical: float) -> np.ndarray:
    """`labels` (H, W) with the pieces of one nucleus joined, the surest pair first, and what remains judged again.

    Args:
        labels: touching pieces 1 to n; 0 is the background.
        dna: (H, W), the smoothed logarithm of brightness.
        typical: the area of a nucleus, pixels.
    """
    depth = distance_transform_edt(labels > 0)
    pieces, borders = measured(labels, dna, depth), touching(labels)
    owner, version = np.arange(labels.max() + 1), np.zeros(labels.max() + 1, int)
    waiting: list[tuple[float, int, int, int, int]] = []

    def judge(one: int, others: Iterable[int]) -> None:
        for other in others:
            told = evidence(pieces[one], pieces[other], borders[one][other], dna, depth, typical)
            score = BIAS + sum(WEIGHTS[name] * value for name, value in told.items())
            if score > 0:
                first, second = sorted((one, other))
                heapq.heappush(waiting, (-score, first, second, int(version[first]), int(version[second])))

    for one in sorted(borders):
        judge(one, [other for other in sorted(borders[one]) if other > one])
    while waiting:
        _, one, other, *judged = heapq.heappop(waiting)
        if judged != [version[one], version[other]]:
            continue  # one of them has changed since
        pieces[one] = _union(pieces[one], pieces.pop(other), dna)
        version[[one, other]] += 1
        owner[owner == other] = one
        for neighbour, border in borders.pop(other).items():
            del borders[neighbour][other]
            if neighbour != one:
                both = np.concatenate([borders[one][neighbour], border]) if neighbour in borders[one] else border
                borders[one][neighbour] = borders[neighbour][one] = both
        judge(one, sorted(borders[one]))
    found: np.ndarray = owner[labels]
    return found


def evidence(
    one: Piece, other: Piece, border: np.ndarray, dna: np.ndarray, depth: np.ndarray, typical: float
) -> dict[str, float]:
    """What tells whether two pieces are of one nucleus, under the keys of WEIGHTS.

    convex: the area of both over that of their hull; less_convex: the same less the pieces' own, weighted by area; area
    and smaller: the logarithm of the area of both, and of the smaller one, over `typical`; neck: the length of the
    border over the diameter of a disc of the smaller one's area; step: how their levels differ; saddle: the greatest
    depth of the border over the lesser of theirs; valley: how much darker than both the border is.

    Args:
        border: (m,), flat indices of the pixels on either side, each as often as it touches the other piece.
        dna, depth: (H, W), as in `joined`, and the distance to the background.
    """
    areas = len(one.pixels), len(other.pixels)
    both, smaller = sum(areas), min(areas)
    convex = both / hull(np.concatenate([one.pixels, other.pixels]))
    own = (areas[0] ** 2 / one.hull + areas[1] ** 2 / other.hull) / both
    return {
        "convex": convex,
        "less_convex": convex - own,
        "area": float(np.log(both / typical)),
        "smaller": float(np.log(smaller / typical)),
        "neck": len(border) / 4 / float(np.sqrt(4 / np.pi * smaller)),
        "step": abs(one.level - other.level),
        "saddle": float(depth.flat[border].max()) / max(min(one.depth, other.depth), 1e-6),
        "valley": (one.level * areas[0] + other.level * areas[1]) / both - float(dna.flat[border].mean()),
    }


def hull(pixels: np.ndarray) -> float:
    """The area of the convex hull of pixels (n, 2), which are squares."""
    corners = [pixels + offset for offset in ((0.5, 0.5), (0.5, -0.5), (-0.5, 0.5), (-0.5, -0.5))]
    try:
        return float(ConvexHull(np.concatenate(corners)).volume)
    except QhullError:
        return float(len(pixels))


def measured(labels: np.ndarray, dna: np.ndarray, depth: np.ndarray) -> dict[int, Piece]:
    """Each label as a piece; `dna` and `depth` as in `evidence`."""
    pieces = {}
    for number, window in enumerate(find_objects(labels), start=1):
        if window is not None:
            pixels = np.argwhere(labels[window] == number) + [part.start for part in window]
            rows, columns = pixels.T
            level, deepest = np.median(dna[rows, columns]), depth[rows, columns].max()
            pieces[number] = Piece(pixels, hull(pixels), float(level), float(deepest))
    return pieces


def _union(one: Piece, other: Piece, dna: np.ndarray) -> Piece:
    pixels = np.concatenate([one.pixels, other.pixels])
    level = float(np.median(dna[pixels[:, 0], pixels[:, 1]]))
    return Piece(pixels, hull(pixels), level, max(one.depth, other.depth))


def touching(labels: np.ndarray) -> dict[int, dict[int, np.ndarray]]:
    """Of each label with each that it touches the flat indices of the pixels on either side."""
    place = np.arange(labels.size).reshape(labels.shape)
    sides = []
    for first, second in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        touch = (labels[first] != labels[second]) & (labels[first] > 0) & (labels[second] > 0)
        sides.append([array[part][touch] for part in (first, second) for array in (labels, place)])
    one, at, other, there = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    pairs = np.sort(np.stack([one, other], axis=1), axis=1)
    names, which = np.unique(pairs, axis=0, return_inverse=True)
    borders: dict[int, dict[int, np.ndarray]] = defaultdict(dict)
    for number, (first_, second_) in enumerate(names.tolist()):
        here = which.ravel() == number
        borders[first_][second_] = borders[second_][first_] = np.concatenate([at[here], there[here]])
    return borders
