"""All that is counted of one sweep: the published count with its floors, and the honest one beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phenoviews.curves.floors import DRAWS, FLOORS, Noise, beside, by_chance, chance, drawn, resampled
from phenoviews.curves.opposition import Flags, flagged, points
from phenoviews.curves.replication import replicated
from phenoviews.curves.tables import Floats
from phenoviews.curves.trends import Directions, boundary, by_range, count_pairs, directions, opposed, slopes


@dataclass(frozen=True)
class Tally:
    """Which classes have an opposite, as published: in a sweep of one method, and in draws.

    `opposition.shared` counts over the tallies of several methods.
    """

    flags: Flags  # (classes,)
    floors: dict[str, Flags]  # {floor: (draws, classes)}
    resampled: Flags  # (draws, classes), over seeds

    @property
    def counted(self) -> Noise:
        """How many, beside the floors."""
        return beside(float(self.flags.sum()), {name: of.sum(axis=1) for name, of in self.floors.items()})


def tally(y: Floats, rng: np.random.Generator, unit: str = "mean", draws: int = DRAWS) -> Tally:
    """Count as published; the arguments are as for `summary`.

    Raises:
        UserError: fewer than five values, or one seed.
    """

    def flags(y: Floats) -> Flags:
        return flagged(points(y, unit))

    observed = flags(y)
    floors = {name: drawn(y, floor, flags, rng, draws) for name, floor in FLOORS.items()}
    return Tally(observed, floors, drawn(y, resampled, flags, rng, draws))


@dataclass(frozen=True)
class Summary:
    """Of one data set, method, backbone and sweep."""

    tally: Tally  # as published
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
    published = tally(y, rng, unit, draws)
    again, by_luck = replicated(y), drawn(y, by_chance, replicated, rng, draws)
    way = directions(slopes(x, y))
    ranges = [opposed(of) for of in by_range(x, y).values()]
    other = None if auroc is None else boundary(way, directions(slopes(x, auroc)))
    return Summary(
        tally=published,
        replicated=again,
        replicated_by_chance=float(by_luck.mean()),
        replicated_p=float(chance(again, by_luck)),
        directions=way,
        pairs=count_pairs(opposed(way)),
        pairs_by_range=count_pairs(np.any(ranges, axis=0)),
        boundary=None if other is None else count_pairs(other),
    )
