"""Where the right ones are in the order of the nearest: average precision, hits among the first, enrichment.

A profile ranks others by cosine. Average precision is that of copairs (Kalinin et al. 2025), which ranks positives
before negatives that are equally near; here they come after them, since a tie tells nothing. Nothing larger than the
cosines of a block of queries is held, so a screen of any size can be ranked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

NULL = 1000  # random rankings behind a p-value
LEVEL = 0.05  # false discovery rate at which a group counts as found
FIRST = (1, 3, 5, 10)  # nearest ones among which hits are counted
SHARES = (0.01, 0.05)  # of the nearest ones, in which the right ones are enriched
BLOCK = 2**22  # cosines that are held at once


class Ranked(NamedTuple):
    """One row per query and label, of the queries that have candidates.

    query: its row. label: what makes the positives right. positives, total: how many candidates are right, how many
    there are. precision: average precision; NaN without a right one or without a wrong one. hits: (rows, FIRST +
    SHARES) how many right ones are among the nearest 1, 3, 5, 10, and the nearest 1 % and 5 % (rounded up).
    """

    query: np.ndarray
    label: np.ndarray
    positives: np.ndarray
    total: np.ndarray
    precision: np.ndarray
    hits: np.ndarray


class Candidates(NamedTuple):
    """Of queries (b,) at one task. cosines: (b, c). wrong: (b, c) bool, which candidates are. right: for each query its
    labels, each with the cosines of the candidates that are right (m,)."""

    cosines: np.ndarray
    wrong: np.ndarray
    right: Sequence[Sequence[tuple[Any, np.ndarray]]]


def ranked(
    blocks: Iterable[np.ndarray],
    candidates: Callable[[np.ndarray], Sequence[Candidates]],
    done: Callable[[int], object] = lambda count: None,
) -> list[Ranked]:
    """Rank the candidates of every query, at each of the tasks that `candidates` gives.

    Args:
        blocks: rows of queries, a part at a time.
        candidates: for such a part (b,) what there is to rank at each task; tasks may share their cosines.
        done: is told how many queries have been ranked, as it goes.
    """
    tasks: list[list[tuple[int, Any, int, int, float, list[int]]]] = []
    for block in blocks:
        told = candidates(block)
        tasks = tasks or [[] for _ in told]
        for rows, of in zip(tasks, told, strict=True):
            rows += _ranks(block, of)
            done(len(block))
    found = []
    for rows in tasks:
        queries, labels, positives, total, precision, hits = zip(*rows, strict=True) if rows else ((),) * 6
        found.append(
            Ranked(
                np.array(queries, dtype=int),
                np.array(labels, dtype=object),
                np.array(positives, dtype=int),
                np.array(total, dtype=int),
                np.array(precision, dtype=float),
                np.array(hits, dtype=int).reshape(len(rows), len(FIRST) + len(SHARES)),
            )
        )
    return found


def _ranks(block: np.ndarray, of: Candidates) -> Iterator[tuple[int, Any, int, int, float, list[int]]]:
    """The rows of `Ranked` for a part of the queries."""
    ordered = np.sort(np.where(of.wrong, of.cosines, -np.inf), axis=1)
    negatives = of.wrong.sum(axis=1)
    for at, query in enumerate(block):
        for label, right in of.right[at]:
            m, n = len(right), int(negatives[at]) + len(right)
            if n == 0:
                continue
            before = ordered.shape[1] - np.searchsorted(ordered[at], np.sort(right)[::-1], side="left")
            rank = np.arange(1, m + 1) + np.minimum(before, negatives[at])
            precision = float((np.arange(1, m + 1) / rank).mean()) if 0 < m < n else np.nan
            limits = [*FIRST, *(np.ceil(share * n) for share in SHARES)]
            yield int(query), label, m, n, precision, [int((rank <= limit).sum()) for limit in limits]


def parts(rows: np.ndarray, width: int) -> Iterator[np.ndarray]:
    """`rows` in parts whose cosines with `width` others are at most `BLOCK`."""
    step = max(1, BLOCK // max(1, width))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def precisions(found: Ranked, groups: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Mean average precision of groups of queries.

    Args:
        found: of `ranked`; rows without a precision are left out.
        groups: a row per row of `found`: what tells its group.
        seed: of the random rankings.

    Returns:
        A row per group, sorted: the columns of `groups`, profiles (how many), map (mean of their average precisions),
        chance (mean of what random rankings give), p (how often 1,000 random rankings of as many right and wrong ones
        are as good on average, the ranking itself counted; so at least 1/1001. copairs counts those that are better
        only, which is too few where ties are likely), q (p at the false discovery rate, Benjamini–Hochberg).
    """
    kept = np.flatnonzero(~np.isnan(found.precision))
    keys = list(groups)
    if not len(kept):
        return pd.DataFrame(columns=[*keys, "profiles", "map", "chance", "p", "q"])
    sizes, which = np.unique(np.stack([found.positives, found.total])[:, kept], axis=1, return_inverse=True)
    null = _null(sizes, seed)
    table = groups.iloc[kept].reset_index(drop=True)
    lines = []
    for names, rows in table.groupby(keys, sort=True).indices.items():
        value = found.precision[kept[rows]].mean()
        counts = np.bincount(which[rows], minlength=sizes.shape[1])
        of = np.flatnonzero(counts)
        random = counts[of] @ null[of] / len(rows)
        # As good to within the rounding of a mean.
        p = (1 + (random >= value - 1e-9).sum()) / (1 + NULL)
        names = names if isinstance(names, tuple) else (names,)
        chance = counts[of] @ expected(*sizes[:, of]) / len(rows)
        lines.append((*names, len(rows), float(value), float(chance), float(p)))
    result = pd.DataFrame(lines, columns=[*keys, "profiles", "map", "chance", "p"])
    return result.assign(q=false_discovery_control(result["p"]))


def _null(sizes: np.ndarray, seed: int) -> np.ndarray:
    """(sizes, NULL) average precisions of random rankings, for sizes (2, k): how many are right, of how many. They
    depend on `seed` and on the size alone."""
    found = np.empty((sizes.shape[1], NULL))
    for total in np.unique(sizes[1]):
        kind: Any = np.uint16 if total < 2**16 else np.uint32
        places = np.tile(np.arange(1, total + 1, dtype=kind), (NULL, 1))
        np.random.default_rng([seed, int(total)]).permuted(places, axis=1, out=places)
        for at in np.flatnonzero(sizes[1] == total):
            m = int(sizes[0, at])
            found[at] = (np.arange(1, m + 1) / np.sort(places[:, :m], axis=1)).mean(axis=1)
    return found


def expected(positives: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Expected average precision of a random ranking of `total` profiles, `positives` of which are right: with H the
    harmonic number, (m - 1)/(n - 1) + H(n)/n · (n - m)/(n - 1) (Bestgen 2015)."""
    m, n = np.asarray(positives, dtype=float), np.asarray(total, dtype=int)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n.max() + 1))])[n]
    found: np.ndarray = (m - 1) / (n - 1) + harmonic / n * (n - m) / (n - 1)
    return found


def among_first(found: Ranked) -> dict[str, float]:
    """Hits among the nearest, over all rows of `found`: top_k, the share with at least one right one among the k
    nearest; precision_k, the mean share of right ones among them; enrichment_1 and _5, how many times more right ones
    there are in the nearest 1 % and 5 % than in a random part of that size."""
    result = {}
    for at, k in enumerate(FIRST):
        result[f"top_{k}"] = float((found.hits[:, at] > 0).mean())
        result[f"precision_{k}"] = float((found.hits[:, at] / np.minimum(k, found.total)).mean())
    for at, share in enumerate(SHARES, start=len(FIRST)):
        chance = (found.positives * np.ceil(share * found.total) / found.total).sum()
        result[f"enrichment_{100 * share:.0f}"] = float(found.hits[:, at].sum() / chance) if chance else float("nan")
    return result
