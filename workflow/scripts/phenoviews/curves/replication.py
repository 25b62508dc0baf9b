"""Whether opposite classes are so again in other trainings.

A misclassified image of one class is counted for another. So confusable classes are negatively correlated within a
training, by arithmetic, and in halves of the same seeds as well. What replicates is asked crosswise: the curve of one
class in some seeds, that of the other in the rest.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from phenoviews.curves.opposition import ALL, opposite
from phenoviews.curves.tables import Floats, mean_curves
from phenoviews.errors import UserError

Split = tuple[tuple[int, ...], tuple[int, ...]]


def splits(seeds: int) -> list[Split]:
    """All ways to part so many seeds in two, a half (rounded down) and the rest; every split once.

    Raises:
        UserError: one seed.
    """
    if seeds < 2:
        raise UserError("one seed cannot be split to see whether its result replicates; train at least two `seeds`")
    every = set(range(seeds))
    parts = [(part, tuple(sorted(every - set(part)))) for part in itertools.combinations(range(seeds), seeds // 2)]
    return [(part, other) for part, other in parts if len(part) < len(other) or 0 in part]


def crosswise(y: Floats, coefficients: Sequence[str] = ALL) -> Floats:
    """In which share of the splits of the seeds each pair is opposite both ways, (classes, classes).

    Args:
        y: (seeds, values, classes).
        coefficients: as for `opposition.opposite`.

    Raises:
        UserError: fewer than five values, or one seed.
    """
    found = []
    for part, other in splits(len(y)):
        cross = opposite(mean_curves(y[list(part)]), mean_curves(y[list(other)]), coefficients)
        found.append(cross & cross.T)
    return np.asarray(np.mean(found, axis=0, dtype=np.float64))


def replicated(y: Floats, coefficients: Sequence[str] = ALL) -> float:
    """How many pairs replicate, the mean over splits. Its floor is `floors.by_chance`: chance lets some replicate."""
    return float(np.triu(crosswise(y, coefficients), 1).sum())
