"""How well found points are the true ones: precision, recall and F1 at matched centres."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree


def pairs(found: np.ndarray, truth: np.ndarray, radius: float) -> np.ndarray:
    """Match points one to one, at most `radius` apart: as many pairs as can be, and of those the nearest in all.

    Args:
        found: (n, 2) coordinates in pixels.
        truth: (m, 2) coordinates in pixels.
        radius: the largest distance of a pair, in pixels.

    Returns:
        (k, 2) int64, the rows in `found` and in `truth` of each pair, ordered by the former.
    """
    found, truth = np.asarray(found, float).reshape(-1, 2), np.asarray(truth, float).reshape(-1, 2)
    if not len(found) or not len(truth):
        return np.empty((0, 2), np.int64)
    near = KDTree(found).sparse_distance_matrix(KDTree(truth), radius, output_type="ndarray")
    # Points that can reach each other form small groups, each an assignment problem (Hungarian method) of its own.
    size = len(found) + len(truth)
    links = coo_array((np.ones(len(near)), (near["i"], len(found) + near["j"])), shape=(size, size))
    group = connected_components(links, directed=False)[1][near["i"]]
    order = np.argsort(group, kind="stable")
    ends = np.flatnonzero(np.diff(group[order])) + 1
    groups = [_assign(near[rows]) for rows in np.split(order, ends)] if len(near) else []
    matched = np.concatenate([*groups, np.empty((0, 2), np.int64)])
    return matched[np.argsort(matched[:, 0])]


def _assign(near: np.ndarray) -> np.ndarray:
    i, rows = np.unique(near["i"], return_inverse=True)
    j, columns = np.unique(near["j"], return_inverse=True)
    # No pair costs more than all allowed ones together, so that one more pair is always worth it.
    forbidden = 1.0 + near["v"].sum()
    cost = np.full((len(i), len(j)), forbidden)
    cost[rows, columns] = near["v"]
    left, right = linear_sum_assignment(cost)
    allowed = cost[left, right] < forbidden
    return np.stack([i[left[allowed]], j[right[allowed]]], axis=1).astype(np.int64)


def score(found: np.ndarray, truth: np.ndarray, radius: float) -> dict[str, float | int]:
    """Score found points, (n, 2), against the true ones, (m, 2); a pair is at most `radius` pixels apart (`pairs`).

    Returns found, true and matched (counts), precision, recall and f1; a ratio of nothing to nothing is 1.
    """
    return totals([{"found": len(found), "true": len(truth), "matched": len(pairs(found, truth, radius))}])


def totals(scores: list[dict[str, float | int]]) -> dict[str, float | int]:
    """The score of several fields together, every point weighing the same."""
    found, true, matched = (sum(score[key] for score in scores) for key in ("found", "true", "matched"))
    return {
        "found": found,
        "true": true,
        "matched": matched,
        "precision": matched / found if found else 1.0,
        "recall": matched / true if true else 1.0,
        "f1": 2 * matched / (found + true) if found + true else 1.0,
    }


def of_fields(found: pd.DataFrame, truth: pd.DataFrame, radius: float) -> dict[str, float | int]:
    """The score of all fields of either table; both have Metadata_Field, x and y."""
    places, true = (
        {name: rows[["x", "y"]].to_numpy() for name, rows in table.groupby("Metadata_Field")}
        for table in (found, truth)
    )
    nothing = np.empty((0, 2))
    return totals([score(places.get(name, nothing), true.get(name, nothing), radius) for name in {*places, *true}])
