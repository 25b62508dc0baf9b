"""All that is counted of one sweep: the published count with its floors, and the honest one beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phenoviews.curves.floors import DRAWS, FLOORS, Noise, beside, bootstrap, by_chance, chance, drawn
from phenoviews.curves.opposition import Flags, flagged, points
from phenoviews.curves.replication import replicated
from phenoviews.curves.tables import Floats
from phenoviews.curves.trends import Directions, boundary, by_range, count_pairs, directions, opposed, slopes


@dataclass(frozen=True)
class Summary:
    """Of one data set, method, backbone and sweep.

    `flags`, (classes,), and `draws`, {floor: (draws, classes)}, are for counts over several methods:
    `opposition.shared` of all their flags, and of their draws.
    """

    flags: Flags  # as published: which classes have an opposite
    draws: dict[str, Flags]
    flagged: Noise  # how many
    interval: tuple[float, float]  # of that, 90 % over seeds
    replicated: float  # pairs that replicate crosswise, the mean over splits of the seeds
    replicated_by_chance: float
    replicated_p: float
    directions: Directions  # honest: 1, -1, 0 for a class that rises, falls, neither
    pairs: int  # of a class that rises and one that falls
    pairs_by_range: int  # over the whole range or over one half of it
    boundary: int | None  # of these pairs, how many are not opposed in AUROC; None without AUROC


def summary(
    x: Floats, y: Floats, rng: np.random.Generator, auroc: Floats | None = None, unit: str = "mean", draws: int = DRAWS
) -> Summary:
    """Count all there is to count.

    Args:
        x: (values,), ascending.
        y: (seeds, values, classes), accuracies.
        rng: for the draws.
        auroc: (seeds, values, classes).
        unit: as in `opposition.points`, for what is published.
        draws: of each floor, and of the bootstrap.

    Raises:
        UserError: fewer than five values, or one seed.
    """
    flags = flagged(points(y, unit))
    found = {name: drawn(y, floor, lambda y: flagged(points(y, unit)), rng, draws) for name, floor in FLOORS.items()}
    low, high = bootstrap(y, lambda y: flagged(points(y, unit)).sum(), rng, draws)
    again, by_luck = replicated(y), drawn(y, by_chance, replicated, rng, draws)
    way = directions(slopes(x, y))
    ranges = [opposed(of) for of in by_range(x, y).values()]
    other = None if auroc is None else boundary(way, directions(slopes(x, auroc)))
    return Summary(
        flags=flags,
        draws=found,
        flagged=beside(float(flags.sum()), {name: of.sum(axis=1) for name, of in found.items()}),
        interval=(float(low), float(high)),
        replicated=again,
        replicated_by_chance=float(by_luck.mean()),
        replicated_p=float(chance(again, by_luck)),
        directions=way,
        pairs=count_pairs(opposed(way)),
        pairs_by_range=count_pairs(np.any(ranges, axis=0)),
        boundary=None if other is None else count_pairs(other),
    )
