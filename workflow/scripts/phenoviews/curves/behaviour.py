"""Whether a class is ascending, descending or neither, and how far two sorts agree (*No Free Lunch*, Tables 3, 6)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from phenoviews.curves.replication import splits
from phenoviews.curves.tables import Floats, mean_curves
from phenoviews.curves.trends import Q, directions, slopes

LEVEL = 0.05
ASCENDING, DESCENDING, RANDOM = "ascending", "descending", "random"
FLAT, UNDETERMINED = "flat", "undetermined"

Labels = npt.NDArray[np.str_]


def published(x: Floats, y: Floats, level: float = LEVEL) -> Labels:
    """As the paper sorts, by the line through the means over seeds: a slope with p < level, and its sign; or random.

    The default is ours. (classes,), for (values,) and (seeds, values, classes).
    """
    found = slopes(x, mean_curves(y)[None])
    shown = np.where(found.p < level, np.sign(found.change), 0)
    return np.select([shown > 0, shown < 0], [ASCENDING, DESCENDING], RANDOM)


def shown(x: Floats, y: Floats, margin: float, q: float = Q) -> Labels:
    """By single trainings: ascending and descending as `trends.directions`; flat where the 90 % interval of the change
    from end to end lies within ± margin; else undetermined. (classes,)"""
    found = slopes(x, y)
    way = directions(found, q)
    low, high = found.interval(0.90)
    within = (low >= -margin) & (high <= margin)
    return np.select([way > 0, way < 0, within], [ASCENDING, DESCENDING, FLAT], UNDETERMINED)


def net(y: Floats) -> Floats:
    """(seeds, values, classes) less each training's mean over classes: what a class does beyond the overall curve."""
    return np.asarray(y - y.mean(axis=2, keepdims=True))


def agreement(first: Labels, second: Labels) -> tuple[float, float]:
    """The share of classes with the same label, and Cohen's kappa; NaN where either has but one label, and the same."""
    labels = np.unique(np.concatenate([first, second]))
    same = float((first == second).mean())
    chance = float(sum((first == label).mean() * (second == label).mean() for label in labels))
    return same, (same - chance) / (1 - chance) if chance < 1 else float("nan")


def ceiling(x: Floats, y: Floats, sort: Callable[[Floats, Floats], Labels]) -> tuple[float, float]:
    """`agreement` of one training regime with itself: between parts of its seeds, the mean over all splits.

    Args:
        x, y: (values,) and (seeds, values, classes).
        sort: `published`, or `shown` with its margin.

    Raises:
        UserError: one seed.
    """
    found = [agreement(sort(x, y[list(part)]), sort(x, y[list(other)])) for part, other in splits(len(y))]
    shares, kappas = np.array(found).T
    return float(shares.mean()), float(np.nanmean(kappas)) if np.isfinite(kappas).any() else float("nan")
