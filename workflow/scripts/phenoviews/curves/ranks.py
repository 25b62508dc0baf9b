"""Whether what is seen early ranks settings as what is seen in the end does."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import kendalltau, spearmanr

from phenoviews.curves.tables import Floats

FEWEST = 5  # settings of which a correlation is told
NONE = float("nan")


@dataclass(frozen=True)
class Ranks:
    """How alike two rankings of so many `settings` are: Spearman's and Kendall's correlation, each with the ends of an
    interval, NaN where there are too few settings or all are alike. `between`: Spearman's from one half of the seeds to
    the other, which noise that both share does not lift."""

    settings: int
    spearman: float
    spearman_low: float
    spearman_high: float
    kendall: float
    kendall_low: float
    kendall_high: float
    between: float


def ranks(early: Floats, last: Floats, level: float = 0.05) -> Ranks:
    """How alike the changes of settings rank early and in the end.

    The intervals are those of Bonett and Wright (Psychometrika 65, 2000): atanh r with the variance (1 + r²/2)/(n - 3)
    of Spearman's and .437/(n - 4) of Kendall's. They are over settings, as if these were drawn.

    Args:
        early, last: (seeds, settings), of every setting against the same; NaN where a training is missing.
    """
    both = [means(early), means(last)]
    there = np.isfinite(both).all(axis=0)
    n, (one, other) = int(there.sum()), (mean[there] for mean in both)
    if n < FEWEST or np.ptp(one) == 0 or np.ptp(other) == 0:
        return Ranks(n, NONE, NONE, NONE, NONE, NONE, NONE, between_halves(early, last))
    rho, tau = float(spearmanr(one, other).statistic), float(kendalltau(one, other).statistic)
    # Half of what one exchange of neighbours takes from a perfect order, of which the transform is infinite.
    rho_in, tau_in = _within(rho, 6 / (n * (n * n - 1))), _within(tau, 2 / (n * (n - 1)))
    of_rho = _interval(rho, rho_in, np.sqrt((1 + rho_in**2 / 2) / (n - 3)), level)
    of_tau = _interval(tau, tau_in, np.sqrt(0.437 / (n - 4)), level)
    return Ranks(n, rho, *of_rho, tau, *of_tau, between_halves(early, last))


def between_halves(early: Floats, last: Floats) -> float:
    """Spearman's correlation between changes early of one half of the seeds and changes in the end of the other, on
    average over all halves; NaN where none can be told. Of `last` with itself: how far full trainings agree, which
    nothing early can be expected to exceed."""
    seeds = range(len(early))
    found = []
    for half in itertools.combinations(seeds, len(early) // 2):
        one, other = means(early[[*half]]), means(last[[seed for seed in seeds if seed not in half]])
        there = np.isfinite(one) & np.isfinite(other)
        if there.sum() >= FEWEST and np.ptp(one[there]) and np.ptp(other[there]):
            found.append(float(spearmanr(one[there], other[there]).statistic))
    return float(np.mean(found)) if found else float("nan")


def means(changes: Floats) -> Floats:
    """Of each setting over the seeds that have it, (seeds, settings) → (settings,); NaN where none has."""
    counts = np.isfinite(changes).sum(axis=0)
    return np.asarray(np.where(counts, np.nansum(changes, axis=0) / np.maximum(counts, 1), np.nan))


def _within(r: float, step: float) -> float:
    return float(np.clip(r, step - 1, 1 - step))


def _interval(r: float, within: float, spread: float, level: float) -> tuple[float, float]:
    """Of `r`, about the number `within` beside it whose transform is finite."""
    middle, reach = np.arctanh(within), -ndtri(level / 2) * spread
    return min(float(np.tanh(middle - reach)), r), max(float(np.tanh(middle + reach)), r)
