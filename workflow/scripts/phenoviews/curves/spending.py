"""Looks at trainings that are not all there yet, fixed beforehand, and the error that is spent at each of them.

To judge after every few seeds and to stop what is decided finds too much: each look is another chance to be wrong. So
the error is spent over them, by a function of the share of the trainings that a look has (Lan & DeMets, Biometrika 70,
1983). Each look is judged at what is spent there, and not before, so that the errors of all looks add up to the whole
whatever the statistics and however a look depends on those before it. The bounds in textbooks let more pass later, as
they know how means that are normal depend on each other; those of two or three trainings are not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import ndtr, ndtri

from phenoviews.curves.tables import Floats


def obrien_fleming(share: Floats, level: float) -> Floats:
    """Little at first, nearly all at the end: 2 - 2Φ(z / √share), z being the two-sided bound of `level`."""
    return np.asarray(2 * ndtr(ndtri(level / 2) / np.sqrt(share)))


def pocock(share: Floats, level: float) -> Floats:
    """About as much at each of looks that are equally far apart: level · ln(1 + (e - 1) · share)."""
    return np.asarray(level * np.log1p((np.e - 1) * share))


SPENDING: dict[str, Callable[[Floats, float], Floats]] = {
    "obrien_fleming": obrien_fleming,
    "pocock": pocock,
}


def spent(looks: Sequence[int], level: float, how: str) -> list[float]:
    """What is spent of `level` at each look; all of it in the end.

    Args:
        looks: how many seeds there are at each, rising; the last is the end.
        how: of `SPENDING`.
    """
    share = np.array(looks, dtype=np.float64) / looks[-1]
    return [float(one) for one in np.diff(SPENDING[how](share, level), prepend=0.0)]
