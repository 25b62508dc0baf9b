"""Pearson, Spearman and Kendall of every pair of curves, each with its own p.

Each coefficient is the inner product of two curves in a form of its own, at length one: their deviations, their ranks'
deviations, or the signs of all their differences (tau-b). So a matrix product gives those of all pairs.

p is two-sided. Pearson's is Student's, as scipy has it. With fewer than `EXACT` values, those of Spearman and Kendall
count all orders of the values, ties as they are; scipy's own are wrong there (Student's gives 0 at rho = -1, where 8
values have 2/8!, and tau with ties is taken for normal). From `EXACT` values on they are scipy's: Student's for rho;
for tau, exact without ties up to 33 values, and otherwise normal, with ties counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtr

from phenoviews.curves.tables import Floats
from phenoviews.errors import UserError

FEWEST_VALUES = 5  # four have 24 orders, so that p of ranks is .08 or more
EXACT = 10
EXACT_TAU = 33  # as scipy's
SAME = 1e-9  # lengths below are the rounding of floats

Ints = npt.NDArray[np.int64]


def deviations(curves: Floats) -> Floats:
    """(values, classes) less the means of its columns."""
    return np.asarray(curves - curves.mean(axis=0))


def ranks(curves: Floats) -> Floats:
    """The ranks of (values, classes), those of ties averaged, as twice their deviations.

    That is how many values of the curve are lower, less how many are higher.
    """
    return np.asarray(np.sign(curves[:, None] - curves).sum(axis=1))


def signs(curves: Floats) -> Floats:
    """The signs of the differences of every two values of (values, classes): (values·(values - 1)/2, classes)."""
    first, second = np.triu_indices(len(curves), 1)
    return np.sign(curves[second] - curves[first])


FORMS: dict[str, Callable[[Floats], Floats]] = {"pearson": deviations, "spearman": ranks, "kendall": signs}


def unit(name: str, curves: Floats) -> Floats:
    """(values, classes) in the form of a coefficient, at length one; NaN for a curve that is constant."""
    form = FORMS[name](curves)
    length = np.sqrt((form**2).sum(axis=0))
    return form / np.where(length > SAME, length, np.nan)


@dataclass(frozen=True)
class Ties:
    """Which values of each curve are equal, as far as p depends on them; all are (classes,).

    `pairs`, `triples`, `weighted`: t(t - 1), t(t - 1)(t - 2) and t(t - 1)(2t + 5), summed over its groups of t equal
    values. `pattern`: of a curve of fewer than `EXACT` values the number whose binary digit k is one where its values
    k + 1 and k + 2 in order are equal; else 0.
    """

    n: int
    pairs: Ints
    triples: Ints
    weighted: Ints
    pattern: Ints


def ties(curves: Floats) -> Ties:
    """The ties of (values, classes)."""
    n = len(curves)
    size = (curves[:, None] == curves).sum(axis=1)  # of the group of each value
    pattern = np.zeros(curves.shape[1], dtype=np.int64)
    if n < EXACT:
        pattern = (np.diff(np.sort(curves, axis=0), axis=0) == 0).T @ (1 << np.arange(n - 1))
    return Ties(
        n=n,
        pairs=(size - 1).sum(axis=0),
        triples=((size - 1) * (size - 2)).sum(axis=0),
        weighted=((size - 1) * (2 * size + 5)).sum(axis=0),
        pattern=pattern,
    )


def p_values(name: str, coefficients: Floats, first: Ties, second: Ties, rows: Ints, columns: Ints) -> Floats:
    """Two-sided p of some pairs.

    Args:
        name: of the coefficient, a key of `FORMS`.
        coefficients: (pairs,); NaN where there is none, and then p is NaN.
        first, second: the ties of the curves.
        rows, columns: (pairs,), the curves of each pair, among the first and among the second.
    """
    n = first.n
    if name == "pearson" or (name == "spearman" and n >= EXACT):
        squared = np.minimum(coefficients**2, 1.0)
        with np.errstate(divide="ignore"):
            t = np.sqrt(squared * (n - 2) / (1 - squared))
        return np.asarray(2 * stdtr(n - 2, -t))
    if n < EXACT:
        return _orders(name, n).p(np.abs(coefficients), first.pattern[rows], second.pattern[columns])
    normal = _normal_tau(n, coefficients, first, second, rows, columns)
    if n > EXACT_TAU:
        return normal
    discordant = np.nan_to_num((1 - np.abs(coefficients)) / 2 * (n * (n - 1) // 2)).round().astype(np.int64)
    untied = (first.pairs[rows] == 0) & (second.pairs[columns] == 0)
    return np.where(untied, _exact_tau(n)[discordant], normal)


def correlations(name: str, curves: Floats) -> tuple[Floats, Floats]:
    """A coefficient of every pair of (values, classes), and its p: two arrays (classes, classes).

    Raises:
        UserError: fewer than `FEWEST_VALUES` values.
    """
    enough(len(curves))
    units, tied = unit(name, curves), ties(curves)
    matrix = units.T @ units
    rows, columns = np.indices(matrix.shape).reshape(2, -1)
    return matrix, p_values(name, matrix.ravel(), tied, tied, rows, columns).reshape(matrix.shape)


def enough(n: int) -> None:
    """Raise UserError where n values of a sweep are too few to correlate curves."""
    if n < FEWEST_VALUES:
        raise UserError(
            f"a sweep of {n} values is too short to correlate the curves of classes, {FEWEST_VALUES} are needed (the "
            "ranks of four cannot have p < .05); give the sweep more values, or leave the panel out"
        )


def _normal_tau(n: int, tau: Floats, first: Ties, second: Ties, rows: Ints, columns: Ints) -> Floats:
    """Kendall's p as scipy approximates it (Kendall, Rank Correlation Methods, chapter 4)."""
    of = [first.pairs[rows], second.pairs[columns]]
    pairs = n * (n - 1)
    variance = (pairs * (2 * n + 5) - first.weighted[rows] - second.weighted[columns]) / 18
    variance = variance + of[0] * of[1] / (2 * pairs)
    variance = variance + first.triples[rows] * second.triples[columns] / (9 * pairs * (n - 2))
    score = tau * np.sqrt((pairs - of[0]) / 2 * ((pairs - of[1]) / 2))
    return np.asarray(2 * ndtr(-np.abs(score) / np.sqrt(variance)))


@cache
def _exact_tau(n: int) -> Floats:
    """Two-sided p of tau without ties for 0, 1, … discordant pairs among n values, or as many concordant ones, up to a
    half of the pairs."""
    chances = np.ones(1)
    for k in range(2, n + 1):  # the value that comes k-th in order precedes 0 to k - 1 of the lower ones
        chances = np.convolve(chances, np.full(k, 1 / k))
    pairs = len(chances) - 1
    return np.minimum(2 * np.cumsum(chances[: pairs // 2 + 1]), 1.0)


class _Orders:
    """What a coefficient is over all orders of n values, for every two patterns of ties as they come up.

    Its sums are whole numbers: `chances[row[a, b], k]` is the chance that the sum of two curves with the patterns a and
    b is k or more, or -k or less. Row 0 stands for those that have not come up.
    """

    def __init__(self, name: str, n: int):
        self.name, self.n = name, n
        curves = [self.curve(pattern) for pattern in range(1 << (n - 1))]
        self.lengths = np.array([np.sqrt((curve**2).sum()) for curve in curves])
        self.chances = np.full((1, int(self.lengths[0] ** 2 + 0.5) + 1), np.nan)  # none is longer than without ties
        self.row = np.zeros((len(curves), len(curves)), dtype=np.int64)

    def p(self, coefficients: Floats, first: Ints, second: Ints) -> Floats:
        """Of the absolute values of coefficients and the patterns of their curves, all (pairs,); NaN stays."""
        none = np.isnan(coefficients)
        new = ~none & (self.row[first, second] == 0)
        # Either curve may be the one that is moved; that with more ties has fewer orders.
        pairs = zip(first[new].tolist(), second[new].tolist(), strict=True)
        ordered = {tuple(sorted(pair, key=lambda pattern: (-pattern.bit_count(), pattern))) for pair in pairs}
        found = [self.chances]
        for moved, still in sorted(ordered):
            self.row[moved, still] = self.row[still, moved] = len(self.chances) + len(found) - 1
            found.append(self.of(moved, still)[None])
        self.chances = np.concatenate(found)
        sums = np.where(none, 0, coefficients * self.lengths[first] * self.lengths[second]).round().astype(np.int64)
        return np.where(none, np.nan, self.chances[self.row[first, second], sums])

    def of(self, moved: int, still: int) -> Floats:
        """The chances of two patterns."""
        sums = np.abs(self.curve(still) @ _moved(self.name, self.n, moved)).astype(np.int64)
        counts = np.bincount(sums, minlength=self.chances.shape[1])
        return np.cumsum(counts[::-1])[::-1] / len(sums)

    def curve(self, pattern: int) -> Floats:
        """An ascending curve with the pattern, in the coefficient's form."""
        groups = _groups(self.n, pattern)
        return FORMS[self.name](np.repeat(np.arange(len(groups), dtype=np.float64), groups)[:, None])[:, 0]


@cache
def _orders(name: str, n: int) -> _Orders:
    return _Orders(name, n)


@lru_cache(maxsize=8)
def _moved(name: str, n: int, pattern: int) -> Floats:
    """A curve with the pattern in each order that differs from the others, in the coefficient's form: (…, orders)."""
    orders, free = np.zeros((1, n)), np.arange(n)[None]
    for height, size in enumerate(_groups(n, pattern)):
        among = range(free.shape[1])
        taken = list(itertools.combinations(among, size))
        left = np.array([sorted({*among}.difference(places)) for places in taken], dtype=np.int64)
        places = free[:, np.array(taken)].reshape(-1, size)
        orders = np.repeat(orders, len(taken), axis=0)
        np.put_along_axis(orders, places, height, axis=1)
        free = free[:, left].reshape(len(orders), -1)
    return FORMS[name](orders.T)


def _groups(n: int, pattern: int) -> list[int]:
    """The sizes of the groups of equal values, the lowest first."""
    starts = [0, *(k + 1 for k in range(n - 1) if not pattern >> k & 1), n]
    return [end - start for start, end in itertools.pairwise(starts)]
