"""Whether a curve hardly moves: an equivalence, which no large p shows.

acc ~ value + seed, without interaction: the same error for every value, and every difference of two values has
(seeds - 1)(values - 1) degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import stdtrit
from scipy.stats import studentized_range

from phenoviews.curves.tables import Floats
from phenoviews.errors import UserError

MARGIN = 2.0  # percentage points


@dataclass(frozen=True)
class Equivalence:
    """How far the values of a sweep lie apart, in the unit of the curve."""

    difference: float  # between the best and the worst value, means over seeds
    passes: float  # the smallest margin within which the 90 % interval of every difference of two values lies
    exceeds: float  # the largest margin that a simultaneous 95 % interval (Tukey's) lies wholly outside; 0 for none

    def equivalent(self, margin: float = MARGIN) -> bool:
        """All values within ± margin of one another, at level .05."""
        return self.passes <= margin

    def contradicted(self, margin: float = MARGIN) -> bool:
        """Two values are further apart, at level .05."""
        return self.exceeds > margin


def equivalence(y: Floats) -> Equivalence:
    """Of one curve, such as the overall accuracy.

    Args:
        y: (seeds, values).

    Raises:
        UserError: fewer than two seeds or values.
    """
    seeds, values = y.shape
    if min(seeds, values) < 2:
        raise UserError(
            f"{seeds} seed(s) at {values} value(s) cannot show that a curve hardly moves; two of both are needed"
        )
    df = (seeds - 1) * (values - 1)
    means = y.mean(axis=0)
    left = y - means - y.mean(axis=1, keepdims=True) + y.mean()
    error = float(np.sqrt((left**2).sum() / df / seeds))  # of the mean of a value
    difference = float(np.ptp(means))
    return Equivalence(
        difference=difference,
        passes=difference + float(stdtrit(df, 0.95)) * np.sqrt(2) * error,
        exceeds=max(difference - _tukey(values, df) * error, 0.0),
    )


@cache
def _tukey(values: int, df: int) -> float:
    """The quantile .95 of the studentized range, which takes long."""
    return float(studentized_range.ppf(0.95, values, df))


def cross_fitted(y: Floats, most: int = 1) -> Floats:
    """How much better the best value is than the worst, without the gain of having chosen them, (seeds,).

    For each seed, the best and the worst value of every class are chosen on the other seeds, and so are the `most`
    classes that these differ for most; the difference is measured on the seed itself, and averaged over these classes.
    A raw range is largest where noise is: of 100 classes that do not move, one seems to, by more than twice the seeds'
    standard deviation.

    Args:
        y: (seeds, values, classes); of an overall curve one class.
        most: how many classes.

    Raises:
        UserError: one seed.
    """
    if len(y) < 2:
        raise UserError("one seed leaves none to choose the best value on; train the sweep with at least two `seeds`")
    found = np.empty(len(y))
    classes = np.arange(y.shape[2])
    for seed in range(len(y)):
        others = np.delete(y, seed, axis=0).mean(axis=0)
        best, worst = others.argmax(axis=0), others.argmin(axis=0)
        chosen = np.argsort(-np.ptp(others, axis=0), kind="stable")[:most]
        found[seed] = (y[seed, best, classes] - y[seed, worst, classes])[chosen].mean()
    return found
