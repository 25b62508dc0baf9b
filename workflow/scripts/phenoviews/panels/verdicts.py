"""When a claim is reproduced: tests on its margins, over trainings or over the treatments of one training.

A margin is how far a comparison holds; it is negative where the comparison does not hold. Units are what is drawn
independently. With several trainings the units are seeds; with one training per cell they are compounds, and mechanisms
of action, of the treatments that the training was scored on.

    reproduced    p < LEVEL, one-sided, that the mean margin is above zero
    contradicted  p < LEVEL that it is below zero, after Holm's correction over the comparisons of the claim
    undecided     the test could have decided, and did not
    too few runs  the test cannot reach LEVEL
    cannot say    there are no margins
    not yet       some of its runs may yet come
    not distinguishable from noise    the claim holds, and noise alone would meet it as well (`curves.floors`)

A claim of several comparisons is reproduced if each of them is. That is an intersection-union test, whose level is the
level of each comparison, hence no correction. It is contradicted if one of them is, and to be wrong once takes only one
of many, hence Holm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, ttest_1samp

LEVEL = 0.05
CONFIDENCE = 0.90  # of intervals: that of both one-sided tests
FEWEST_SEEDS = 3
FEWEST_UNITS = 5  # compounds, or mechanisms; with four, the sign-flip test ends at 1/16
SAME = 1e-9  # margins that differ by less differ by the rounding of floats
REPRODUCED, CONTRADICTED, UNDECIDED = "reproduced", "contradicted", "undecided"
FEW, CANNOT, NOISE = "too few runs", "cannot say", "not distinguishable from noise"
LATER = "not yet"  # runs of it are to come: judged now and again, one in twenty would turn out by chance each time
WORST = [CONTRADICTED, CANNOT, FEW, UNDECIDED, REPRODUCED]

Floats = npt.NDArray[np.float64]


def over_seeds(margins: npt.ArrayLike) -> tuple[Floats, Floats]:
    """One-sided p that the mean margin is above zero, and that it is below: Student's t, over the last axis.

    Margins that are all equal have no spread for a t test; they are judged by the exact sign-flip test.

    Args:
        margins: (..., n), one per seed, without NaN.

    Returns:
        Two arrays of shape (...); NaN where the test cannot reach `LEVEL`.
    """
    margins = np.asarray(margins, dtype=np.float64)
    n = margins.shape[-1]
    if n < FEWEST_SEEDS:
        return np.full(margins.shape[:-1], np.nan), np.full(margins.shape[:-1], np.nan)
    equal = np.ptp(margins, axis=-1) < SAME
    spread = np.where(equal[..., None], np.nan, margins)
    above, below = (ttest_1samp(spread, 0.0, axis=-1, alternative=side).pvalue for side in ("greater", "less"))
    if (flipped := 0.5**n) < LEVEL:
        value = margins[..., 0]
        above = np.where(equal, np.where(value > SAME, flipped, 1.0), above)
        below = np.where(equal, np.where(value < -SAME, flipped, 1.0), below)
    return np.asarray(above), np.asarray(below)


def interval(margins: npt.ArrayLike) -> tuple[float, float]:
    """Student's interval, at `CONFIDENCE`, of the mean of (n,) margins; NaN for fewer than two."""
    margins = np.asarray(margins, dtype=np.float64)
    if len(margins) < 2:
        return float("nan"), float("nan")
    if np.ptp(margins) < SAME:
        return float(margins[0]), float(margins[0])
    found = ttest_1samp(margins, 0.0).confidence_interval(CONFIDENCE)
    return float(found.low), float(found.high)


def sign_flip(values: npt.ArrayLike) -> float:
    """Exact one-sided p of the sum of (n,) values when the sign of each is a fair coin; 1 for no values.

    The sums of either half of the values are listed with their chances, equal sums once, and every sum of one half is
    compared with those of the other. That is quick for counts, of however many compounds, and for 40 unequal values.
    """
    given: Floats = np.asarray(values, dtype=np.float64)
    scale = np.abs(given).max(initial=0.0)
    if scale == 0:
        return 1.0
    scaled = given / scale
    (left, chances), (right, others) = (_flipped(half) for half in np.array_split(scaled, 2))
    at_least = np.concatenate([np.cumsum(others[::-1])[::-1], [0.0]])  # the chance of each sum or a larger one
    needed = np.searchsorted(right, scaled.sum() - left - 1e-8)
    return float(min(chances @ at_least[needed], 1.0))


def _flipped(values: Floats) -> tuple[Floats, Floats]:
    """The sums of values of either sign, ascending, and the chance of each."""
    sums: Floats = np.zeros(1)
    chances: Floats = np.ones(1)
    for value in np.abs(values):
        sums, at = np.unique(np.concatenate([sums - value, sums + value]).round(10), return_inverse=True)
        chances = np.bincount(at, np.tile(chances / 2, 2)).astype(np.float64)
    return sums, chances


@dataclass(frozen=True)
class OneTraining:
    """What the treatments of one training say; valid for these treatments and this training."""

    p: float  # one-sided, the larger of compounds and mechanisms; NaN: fewer than FEWEST_UNITS differ
    against: float  # likewise, on the other side
    compounds: int  # whose outcomes differ
    moas: int
    mcnemar: float  # exact and one-sided; treats treatments as independent, which doses of a compound are not


def over_treatments(differences: npt.ArrayLike, compounds: Sequence[str], moas: Sequence[str]) -> OneTraining:
    """Compare two scores of one training each by their outcomes for every treatment.

    Doses of one compound are right together, and mutual neighbours of one mechanism of action are. So the differences
    are summed within compounds, and again within mechanisms; of both sign-flip tests the larger p counts.

    Args:
        differences: (t,), per treatment, right with A less right with B; or a weighted sum of several such outcomes.
        compounds, moas: (t,), of each treatment.
    """
    per_treatment: Floats = np.asarray(differences, dtype=np.float64)
    units = [summed[np.abs(summed) > SAME] for summed in (_sums(per_treatment, of) for of in (compounds, moas))]
    better, worse = int((per_treatment > SAME).sum()), int((per_treatment < -SAME).sum())
    mcnemar = binomtest(better, better + worse, alternative="greater").pvalue if better + worse else 1.0
    enough = min(map(len, units)) >= FEWEST_UNITS
    return OneTraining(
        p=max(map(sign_flip, units)) if enough else float("nan"),
        against=max(sign_flip(-unit) for unit in units) if enough else float("nan"),
        compounds=len(units[0]),
        moas=len(units[1]),
        mcnemar=float(mcnemar),
    )


def over_draws(margins: npt.ArrayLike) -> tuple[float, float]:
    """One-sided p that a margin is above zero, and that it is below, from its (n,) bootstrap draws."""
    draws = np.asarray(margins, dtype=np.float64)
    above, below = ((1 + wrong.sum()) / (1 + len(draws)) for wrong in (draws <= SAME, draws >= -SAME))
    return float(above), float(below)


def holm(p: npt.ArrayLike) -> Floats:
    """Holm's correction over the first axis; NaN stays, and does not count."""
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, axis=0)  # NaN last
    counted = (~np.isnan(p)).sum(axis=0)
    left = counted - np.arange(len(p)).reshape(-1, *[1] * (p.ndim - 1))
    stepped = np.fmax.accumulate(np.take_along_axis(p, order, axis=0) * left, axis=0)
    corrected = np.empty_like(p)
    np.put_along_axis(corrected, order, np.minimum(stepped, 1.0), axis=0)
    return np.where(np.isnan(p), np.nan, corrected)


def results(p: npt.ArrayLike, against: npt.ArrayLike, n: npt.ArrayLike) -> npt.NDArray[np.str_]:
    """The verdict of each comparison of a claim.

    Args:
        p, against: (comparisons, ...), one-sided, on the claim's side and on the other, uncorrected.
        n: margins that each is made from, broadcast against them.
    """
    p, against, n = np.broadcast_arrays(p, holm(against), n)
    chosen = [n == 0, np.isnan(p), p < LEVEL, against < LEVEL]
    return np.select(chosen, [CANNOT, FEW, REPRODUCED, CONTRADICTED], UNDECIDED)


def verdict(results: npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
    """The verdict of a claim from those of its comparisons, (comparisons, ...): the worst of them, as in `WORST`."""
    rank = np.min([np.where(results == name, at, len(WORST)) for at, name in enumerate(WORST)], axis=(0, 1))
    return np.asarray(np.asarray(WORST)[rank])


def _sums(values: Floats, of: Sequence[str]) -> Floats:
    _, at = np.unique(np.asarray(of, dtype=str), return_inverse=True)
    return np.bincount(at, values).astype(np.float64)
