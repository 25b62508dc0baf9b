"""How well clusters tell the cells of each dose from untreated ones (*No Free Lunch*, D.3, figures 6 and 7)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from phenoviews.errors import UserError
from phenoviews.measures.clusters import ami, k_means
from phenoviews.measures.finite import check_finite
from phenoviews.values import table

BELOW = 0.95
FEWEST = 10  # cells of a class; with fewer, chance alone moves the AMI by more than 0.05


def doses(
    embeddings: np.ndarray, concentrations: np.ndarray, seed: int, k_means_seed: int = 0, n_init: int = 10
) -> pd.DataFrame:
    """AMI of two K-means clusters with treated/untreated, for every concentration on equal samples.

    Args:
        embeddings: (n, d) float.
        concentrations: (n,) float, µM; 0 for untreated cells.
        seed: decides which cells are drawn, and how labels are shuffled. The draw does not depend on the embeddings,
            so with one seed all encoders see the same cells; the untreated ones are the same at every concentration.
        k_means_seed, n_init: as in `k_means`.

    Returns:
        Values with the dimensions concentration (µM) and dose (1 is the highest, 2 the next, ...), the lowest
        concentration first: ami_treated (normalised by the larger entropy), ami_random_labels (of the same clusters
        with the labels shuffled), ami_random_most (see `by_chance`), cells (of each class, as
        many as the rarest concentration, or the untreated, has).

    Raises:
        UserError: no treated or no untreated cells, fewer than `FEWEST` of one kind, a concentration that is negative
            or not finite; what `k_means` raises.
    """
    check_finite(embeddings)
    if not (np.isfinite(concentrations) & (concentrations >= 0)).all():
        raise UserError("a concentration is negative or not finite; correct Metadata_Concentration (0: untreated)")
    cells = {float(value): np.flatnonzero(concentrations == value) for value in np.unique(concentrations)}
    if 0.0 not in cells or len(cells) < 2:
        raise UserError(
            "needs untreated cells (Metadata_Concentration 0) and treated ones; check the dataset's `plates`"
        )
    rarest = min(cells, key=lambda value: len(cells[value]))
    n = len(cells[rarest])
    if n < FEWEST:
        raise UserError(
            f"{n} cells {f'at {rarest:g} µM' if rarest else 'untreated'} are too few, at least {FEWEST} are needed; "
            "take more `plates`, or fewer doses (`highest_doses`)"
        )
    rng = np.random.default_rng(seed)
    drawn = {value: rng.choice(rows, n, replace=False) for value, rows in cells.items()}
    untreated = drawn.pop(0.0)
    labels = np.repeat([0, 1], n)
    rows = []
    for dose, (value, treated) in zip(range(len(drawn), 0, -1), drawn.items(), strict=True):
        points = np.concatenate([untreated, treated])
        assigned = k_means(embeddings[points], 2, k_means_seed, n_init).labels_
        numbers = {
            "ami_treated": ami(labels, assigned),
            "ami_random_labels": ami(rng.permutation(labels), assigned),
            "ami_random_most": by_chance(assigned, n),
        }
        rows += [
            {"metric": metric, "value": number, "concentration": value, "dose": float(dose)}
            for metric, number in {**numbers, "cells": n}.items()
        ]
    return table(rows)


def by_chance(assigned: np.ndarray, n: int) -> float:
    """The AMI that 95 % of all ways to label do not exceed, of two clusters and two classes of n points each.

    With both clusters and both classes given, all hangs on how many of one class fall into the second cluster, which
    follows the hypergeometric distribution; the farther from its mean, the higher the AMI.

    Args:
        assigned: (2n,), the cluster of each point, 0 or 1.
    """
    second = int(assigned.sum())
    counts = np.arange(max(0, second - n), min(n, second) + 1)
    far = np.abs(counts - second / 2)
    order = np.argsort(far, kind="stable")
    reached = np.cumsum(hypergeom.pmf(counts[order], 2 * n, n, second))
    # Counts as far on the one side as on the other have one AMI, and are reached together.
    at = far[order][np.searchsorted(reached, BELOW - 1e-9)]
    count = int(counts[far <= at].max())
    labels = np.zeros(2 * n, dtype=np.int64)
    labels[np.flatnonzero(assigned == 1)[:count]] = 1
    labels[np.flatnonzero(assigned == 0)[: n - count]] = 1
    return ami(labels, assigned)
