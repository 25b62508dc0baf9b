"""What changes of a set of views do: every setting against every other, with trainings as units, paired by seed.

Three seeds say little of how much the difference of two settings varies, and an audit's many differences together
say much. But some settings vary more than others (one that is always right does not at all), so that one error for
all finds too much: something in one of five audits of nothing, at a nominal 2.5 %, where half of the settings vary
ten times as much as the others. So the variance of each difference is drawn towards what is usual for its outcome, by
as much as the variances of all differences are alike: the empirical Bayes of Smyth (Statistical Applications in
Genetics and Molecular Biology 3, 2004, article 3), which is the common error where all vary alike, and each one's own
where they do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, polygamma, stdtr, stdtrit
from scipy.stats import false_discovery_control

from phenoviews.curves.tables import Floats
from phenoviews.errors import UserError

LEVEL = 0.05
SAME = 1e-9

Flags = npt.NDArray[np.bool_]
Signs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Contrasts:
    """Differences of settings: `change[a, b]` is setting b less setting a, the mean over the seeds that have both. NaN
    where fewer than two have."""

    change: Floats  # (settings, settings, outcomes)
    error: Floats  # its standard error, likewise
    df: Floats  # degrees of freedom, likewise

    @property
    def p(self) -> Floats:
        """Two-sided, Student's; 1 for what never differs, a setting from itself too."""
        return self.beyond(0)

    def beyond(self, margin: float) -> Floats:
        """p of changes by no more than `margin` either way (McCarthy & Smyth 2009, section 2.4)."""
        still = self.error < SAME
        of, size = np.where(still, 1, self.error), np.abs(self.change)
        tails = stdtr(self.df, (margin - size) / of) + stdtr(self.df, -(margin + size) / of)
        return np.where(still, (size < margin + SAME).astype(np.float64), np.minimum(tails, 1))

    def reach(self, level: float = LEVEL, family: int = 1) -> Floats:
        """Half the width of intervals that are all right at once with probability 1 - level, if there are `family` of
        them (Bonferroni)."""
        return np.asarray(stdtrit(self.df, 1 - level / family / 2) * self.error)

    def of(self, outcomes: slice) -> Contrasts:
        """Of some outcomes."""
        return Contrasts(self.change[..., outcomes], self.error[..., outcomes], self.df[..., outcomes])

    def untested(self, settings: Flags) -> Contrasts:
        """With some `settings`, (settings,), that count among all and of which nothing can be shown: p is 1."""
        change, error = self.change.copy(), self.error.copy()
        for numbers in (change, error):
            numbers[settings] = numbers[:, settings] = 0
        return Contrasts(change, error, self.df)


def contrasts(y: Floats) -> Contrasts:
    """All differences of settings; of a single one from itself.

    Args:
        y: (seeds, settings, outcomes); NaN, of all outcomes, where a training is missing.

    Raises:
        UserError: several settings, no two of which two seeds have both.
    """
    seeds, settings, outcomes = y.shape
    rows, columns = np.triu_indices(settings, 1)
    by_seed = y[:, columns] - y[:, rows]  # (seeds, pairs, outcomes)
    count = np.isfinite(by_seed).all(axis=2).sum(axis=0)  # (pairs,)
    known = count > 1
    trainings = np.isfinite(y).all(axis=2)
    if settings > 1 and not np.any(known):
        raise UserError(
            f"{int(trainings.sum())} trainings of {settings} sets with {seeds} seed(s) leave nothing to judge their "
            "differences by; give the audit a larger budget"
        )
    shape = (settings, settings, outcomes)
    change, error, degrees = (np.full(shape, np.nan) for _ in range(3))
    if np.any(known):
        by_seed, count = by_seed[:, known], count[known]
        mean, variance = np.nanmean(by_seed, axis=0), np.nanvar(by_seed, axis=0, ddof=1)
        # What counts few things, as the mechanisms of a class, may change by the same in every seed. That is no proof
        # that it always does: one seed more might have had no change (Laplace's rule of succession).
        variance = np.where(variance < SAME**2, mean**2 / (count[:, None] + 1), variance)
        most = np.sum(trainings) - np.sum(np.any(trainings, axis=0)) - np.sum(np.any(trainings, axis=1)) + 1
        variance, df = moderated(variance, np.broadcast_to((count - 1.0)[:, None], variance.shape), float(most))
        change[rows[known], columns[known]], change[columns[known], rows[known]] = mean, -mean
        for full, found in ((error, np.sqrt(variance / count[:, None])), (degrees, df)):
            full[rows[known], columns[known]] = full[columns[known], rows[known]] = found
    own = np.flatnonzero(trainings.any(axis=0))
    change[own, own], error[own, own], degrees[own, own] = 0, 0, 1
    return Contrasts(change, error, degrees)


def moderated(variance: Floats, df: Floats, most: float) -> tuple[Floats, Floats]:
    """Variances drawn towards the usual one of their outcome, and their degrees of freedom, no more than `most`.

    Sample variances with `df` degrees of freedom, of truths that follow a scaled inverse chi-square with d and s²: d
    and s² are fitted to the mean and the variance of log variances (Smyth 2004, section 6.2), and the posterior
    variance is (d s² + df · variance) / (d + df).

    Args:
        variance, df: (differences, outcomes).
    """
    # One of exactly nothing has no logarithm: a hundred-thousandth of the usual stands for it, as in limma.
    floor = 1e-5 * np.median(variance, axis=0) + SAME**2
    logs = np.log(np.maximum(variance, floor)) - digamma(df / 2) + np.log(df / 2)
    centre = logs.mean(axis=0)
    beyond = (logs.var(axis=0, ddof=1) if len(logs) > 1 else 0 * centre) - polygamma(1, df / 2).mean(axis=0)
    alike = beyond < 1e-3  # no more spread than equal truths have
    prior = np.where(alike, 1.0, 2 * inverse_trigamma(np.where(alike, 1.0, beyond)))
    usual = np.exp(centre + np.where(alike, 0, digamma(prior / 2) - np.log(prior / 2)))
    drawn = np.where(alike, usual, (prior * usual + df * variance) / (prior + df))
    return np.asarray(drawn), np.minimum(np.where(alike, np.inf, prior + df), most)


def inverse_trigamma(values: Floats) -> Floats:
    """The arguments at which the trigamma function has these values (> 0): Newton's method, as in Smyth's appendix."""
    found = 0.5 + 1 / values
    for _ in range(50):
        at = polygamma(1, found)
        found = found + at * (1 - at / values) / polygamma(2, found)
    return np.asarray(found)


def shown(found: Contrasts, base: int, q: float = LEVEL, margin: float = 0) -> Signs:
    """Which outcomes each setting raises (1) and lowers (-1) by more than `margin` against the setting `base`,
    (settings, outcomes): false discoveries among all of them held to q (Benjamini and Hochberg)."""
    p, change = found.beyond(margin)[base], found.change[base]
    counted = np.isfinite(p)
    counted[base] = False
    signs = np.zeros(p.shape, dtype=np.int64)
    if np.any(counted):
        signs[counted] = np.where(false_discovery_control(p[counted]) <= q, np.sign(change[counted]), 0)
    return signs


def every(found: Contrasts, q: float = LEVEL) -> Signs:
    """As `shown`, of every setting against every other: [a, b] is of b against a; (settings, settings, outcomes)."""
    settings = len(found.change)
    rows, columns = np.triu_indices(settings, 1)
    p, change = found.p[rows, columns], found.change[rows, columns]
    counted = np.isfinite(p)
    half = np.zeros(p.shape, dtype=np.int64)
    if np.any(counted):
        half[counted] = np.where(false_discovery_control(p[counted]) <= q, np.sign(change[counted]), 0)
    signs = np.zeros(found.change.shape, dtype=np.int64)
    signs[rows, columns], signs[columns, rows] = half, -half
    return signs


def front(signs: Signs) -> Flags:
    """Which settings none beats, (settings,): none raises an outcome over it, as far as is shown, and lowers none.

    `signs`: of `every`, over all outcomes that matter.
    """
    beats = (signs > 0).any(axis=2) & ~(signs < 0).any(axis=2)  # [a, b]: b beats a
    return np.asarray(~np.any(beats, axis=1))


def interaction(y: Floats, base: int, one: int, other: int, both: int) -> tuple[Floats, Floats, int]:
    """How much more leaving out two things does together than each by itself: the change, its standard error,
    (outcomes,), and the degrees of freedom; by seed, of `y` as `contrasts` takes it.

    Raises:
        UserError: fewer than two seeds with all four trainings.
    """
    by_seed = y[:, both] - y[:, one] - y[:, other] + y[:, base]
    by_seed = by_seed[np.isfinite(by_seed).all(axis=1)]
    if len(by_seed) < 2:
        raise UserError("fewer than two seeds have all four trainings of a pair")
    return by_seed.mean(axis=0), by_seed.std(axis=0, ddof=1) / np.sqrt(len(by_seed)), len(by_seed) - 1


def needed(reach: float, seeds: int, margin: float) -> int:
    """How many seeds an interval of half-width `reach` at `seeds` of them needs to be no wider than ± margin: its width
    falls with the root of their number."""
    return int(np.ceil(seeds * max(reach / margin, 1) ** 2))
