"""Which classes are opposed, as the paper counts them (*No Free Lunch*, appendix C).

Two classes are opposite if at least one of three correlations of their curves is below `BOUND`, with a p of its own
below `LEVEL`; a class is flagged if it has an opposite. There is no correction for the number of pairs: noise
alone flags nearly all of 100 classes. So a count never stands without `floors`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from phenoviews.curves.correlation import FORMS, correlations, enough, p_values, ties, unit
from phenoviews.curves.tables import Floats, mean_curves

BOUND = -0.3
LEVEL = 0.05
ALL = tuple(FORMS)

Flags = npt.NDArray[np.bool_]


def points(y: Floats, unit: str = "mean") -> Floats:
    """What is correlated between classes (what the paper leaves open), (points, classes).

    Args:
        y: (seeds, values, classes).
        unit: "mean", one point per value, its mean over seeds; or "run", one per training. Of trainings the values of
            the sweep are no part: these correlations stay the same however they are assigned.
    """
    if unit not in UNITS:
        raise ValueError(f"{unit!r} is none of {', '.join(UNITS)}")
    return mean_curves(y) if unit == "mean" else y.reshape(-1, y.shape[-1])


UNITS = ("mean", "run")


def opposite(first: Floats, second: Floats | None = None, coefficients: Sequence[str] = ALL) -> Flags:
    """Which curves are opposite to which, (classes of the first, classes of the second).

    Args:
        first: (values, classes).
        second: (values, classes), curves of the same or of other classes; None: the first.
        coefficients: of these at least one is below `BOUND` with p < `LEVEL`.

    Raises:
        UserError: fewer than five values.
    """
    enough(len(first))
    other = first if second is None else second
    tied, tied_other = ties(first), ties(other)
    found: Flags = np.zeros((first.shape[1], other.shape[1]), dtype=np.bool_)
    for name in coefficients:
        matrix = unit(name, first).T @ unit(name, other)
        rows, columns = np.nonzero((matrix < BOUND) & ~found)  # for p takes longer
        found[rows, columns] = p_values(name, matrix[rows, columns], tied, tied_other, rows, columns) < LEVEL
    return found


def flagged(curves: Floats, coefficients: Sequence[str] = ALL) -> Flags:
    """Which classes of (values, classes) have an opposite; their mean is the paper's ratio."""
    return np.asarray(opposite(curves, None, coefficients).any(axis=1))


def pairs(curves: Floats, classes: Sequence[str]) -> pd.DataFrame:
    """Every pair of classes of (values, classes): first, second, the three coefficients, each with its p (`pearson_p`,
    …), and opposite. NaN where a curve is constant.

    Raises:
        UserError: fewer than five values.
    """
    rows, columns = np.triu_indices(curves.shape[1], 1)
    names = np.asarray(classes, dtype=object)
    found: dict[str, npt.NDArray[np.generic]] = {"first": names[rows], "second": names[columns]}
    for name in FORMS:
        matrix, p = correlations(name, curves)
        found |= {name: matrix[rows, columns], f"{name}_p": p[rows, columns]}
    return pd.DataFrame(found | {"opposite": opposite(curves)[rows, columns]})


def shared(flags: Flags, at_least: int) -> npt.NDArray[np.int64]:
    """How many classes are flagged in at least so many methods (Table 5), for flags (..., methods, classes)."""
    return np.asarray((flags.sum(axis=-2) >= at_least).sum(axis=-1))
