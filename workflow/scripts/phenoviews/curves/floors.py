"""What noise alone would count: the floors under every published count.

    by chance      N0: the values of the sweep are assigned anew to the trainings of each seed. Nothing depends on them.
    without class  N1: every class follows the overall curve, and noise. No class is opposed to another.

A training's vector of classes stays whole: its classes share what the training did, and a class that is mistaken for
another falls where that one rises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from phenoviews.curves.tables import Floats
from phenoviews.errors import UserError

DRAWS = 199

Floor = Callable[[Floats, np.random.Generator], Floats]


def by_chance(y: Floats, rng: np.random.Generator) -> Floats:
    """N0, one draw: the values of (seeds, values, classes) in an order of their own for each seed."""
    orders = rng.permuted(np.tile(np.arange(y.shape[1]), (len(y), 1)), axis=1)
    return np.take_along_axis(y, orders[:, :, None], axis=1)


def without_class(y: Floats, rng: np.random.Generator) -> Floats:
    """N1, one draw: (seeds, values, classes) of classes that differ by a constant, plus noise.

    The mean of each class and the overall curve stay; to them come the deviations of the trainings from the mean over
    seeds, assigned anew within each seed. They are scaled by the root of S/(S - 1), since deviations from a mean of S
    numbers are that much smaller than those from the truth.

    Raises:
        UserError: one seed, which has no deviations.
    """
    seeds = len(y)
    if seeds < 2:
        raise UserError("one seed has no spread to tell noise by; train the sweep with at least two `seeds`")
    curves = y.mean(axis=0)
    kept = curves.mean(axis=0) + curves.mean(axis=1, keepdims=True) - curves.mean()
    return np.asarray(kept + np.sqrt(seeds / (seeds - 1)) * by_chance(y - curves, rng))


FLOORS: dict[str, Floor] = {"by_chance": by_chance, "without_class": without_class}


def drawn(
    y: Floats, floor: Floor, count: Callable[[Floats], npt.ArrayLike], rng: np.random.Generator, draws: int = DRAWS
) -> npt.NDArray[Any]:
    """What `count` finds in draws of a floor, (draws, …). `count` is given (seeds, values, classes)."""
    return np.array([count(floor(y, rng)) for _ in range(draws)])


def chance(observed: npt.ArrayLike, draws: npt.ArrayLike) -> Floats:
    """p that a floor reaches what was observed: (1 + draws that are as large) / (1 + draws).

    A claim whose published criterion holds is *not distinguishable from noise* if this is .05 or more under either
    floor. That is strict: trainings stay whole, so classes that are strongly opposed are opposed in draws of N0, too,
    and where nearly all classes are flagged by noise there is no room above it. `trends` finds what these hide.

    Args:
        observed: (...), where larger is more of what is claimed.
        draws: (draws, ...).
    """
    found = np.asarray(draws, dtype=np.float64)
    return np.asarray((1 + (found >= np.asarray(observed)).sum(axis=0)) / (1 + len(found)))


def excess(observed: npt.ArrayLike, draws: npt.ArrayLike) -> Floats:
    """How much more was observed than a floor has on average; transformations are compared by this, under N1."""
    return np.asarray(np.asarray(observed, dtype=np.float64) - np.asarray(draws, dtype=np.float64).mean(axis=0))


@dataclass(frozen=True)
class Noise:
    """What the floors say of a count; by floor, the names of `FLOORS`."""

    observed: float
    means: dict[str, float]  # what each floor counts on average
    p: dict[str, float]  # how often each counts as much

    @property
    def excess(self) -> float:
        """Beyond what classes count that all follow the overall curve."""
        return self.observed - self.means["without_class"]

    @property
    def largest(self) -> float:
        """The p that decides: where it is .05 or more, the count is not distinguishable from noise."""
        return max(self.p.values())


def beside(observed: float, draws: Mapping[str, npt.NDArray[Any]]) -> Noise:
    """A count beside its floors.

    Args:
        observed: the count.
        draws: {floor: (draws,), what was counted in them}, of every floor.
    """
    means = {name: float(draws[name].mean()) for name in FLOORS}
    return Noise(float(observed), means, {name: float(chance(observed, draws[name])) for name in FLOORS})


def resampled(y: Floats, rng: np.random.Generator) -> Floats:
    """One bootstrap draw: as many seeds of (seeds, values, classes), each with all its trainings, with replacement."""
    return y[rng.integers(len(y), size=len(y))]


def bootstrap(
    y: Floats, count: Callable[[Floats], npt.ArrayLike], rng: np.random.Generator, draws: int = 999, level: float = 0.90
) -> tuple[Floats, Floats]:
    """Percentile interval, over seeds, of a count, which has no seeds of its own: its lower and its upper end.

    Raises:
        UserError: fewer than two seeds.
    """
    if len(y) < 2:
        raise UserError("one seed has no interval; train the sweep with at least two `seeds`")
    found = drawn(y, resampled, count, rng, draws).astype(np.float64)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.asarray(low), np.asarray(high)
