"""What an embedding's clusters follow: silhouette, AMI, Hungarian accuracy (*No Free Lunch*, D.2, D.3)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_mutual_info_score, silhouette_score
from sklearn.metrics.cluster import contingency_matrix
from threadpoolctl import threadpool_limits

from phenoviews.errors import UserError


def clusters(
    embeddings: np.ndarray, labels: np.ndarray, rows: np.ndarray, k: int, seed: int = 0, n_init: int = 10
) -> tuple[dict[str, Any], pd.DataFrame]:
    """K-means (k-means++, Euclidean, on the raw embeddings) and what its clusters share with `labels`.

    Args:
        embeddings: (n, d) float.
        labels: (n,) int, the class of each point.
        rows: (n,) int, the row of each point in its data set's `images.npy`; kept in the table.
        k: number of clusters.
        seed: K-means' random state.
        n_init: restarts; the one with the lowest inertia counts.

    Returns:
        numbers: k, n, silhouette (Euclidean, over all points), ami (normalised by the larger entropy, as the
            paper's D.3 defines it), ami_arithmetic (by their mean, as scikit-learn), hungarian_accuracy.
        table: one line per point: row, cluster, distance (to the centroid of its cluster), label.

    Raises:
        UserError: as `k_means`.
    """
    fit = k_means(embeddings, k, seed, n_init)
    with threadpool_limits(1):
        silhouette = float(silhouette_score(embeddings, fit.labels_))
    table = pd.DataFrame(
        {
            "row": np.asarray(rows, dtype=np.int64),
            "cluster": fit.labels_.astype(np.int64),
            "distance": np.linalg.norm(embeddings - fit.cluster_centers_[fit.labels_], axis=1).astype(np.float64),
            "label": np.asarray(labels, dtype=np.int64),
        }
    )
    numbers = {
        "k": int(k),
        "n": len(embeddings),
        "silhouette": silhouette,
        "ami": ami(labels, fit.labels_),
        "ami_arithmetic": float(adjusted_mutual_info_score(labels, fit.labels_, average_method="arithmetic")),
        "hungarian_accuracy": hungarian_accuracy(labels, fit.labels_),
    }
    return numbers, table


def k_means(embeddings: np.ndarray, k: int, seed: int = 0, n_init: int = 10) -> KMeans:
    """K-means as `clusters` has it, fitted: `labels_` (n,), `cluster_centers_` (k, d).

    Raises:
        UserError: no more points than clusters, fewer distinct points than clusters, NaN or infinity.
    """
    check_finite(embeddings)
    if len(embeddings) <= k:
        raise UserError(
            f"{len(embeddings)} embeddings are too few for k = {k} clusters; use more images or a smaller k"
        )
    # One thread: the order in which threads add their partial sums must not decide the last bit.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = KMeans(k, init="k-means++", n_init=n_init, random_state=seed).fit(embeddings)
    if (found := len(np.unique(fit.labels_))) < k:
        raise UserError(
            f"the {len(embeddings)} embeddings hold {found} distinct point(s), fewer than k = {k}: "
            "the encoder has collapsed; see the embedding spread in the run's history.csv"
        )
    return fit


def ami(labels: np.ndarray, assigned: np.ndarray) -> float:
    """Adjusted mutual information of classes and clusters, normalised by the larger entropy (D.3)."""
    return float(adjusted_mutual_info_score(labels, assigned, average_method="max"))


def no_clusters(k: int, reason: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """As from `clusters`, where there are no embeddings: no numbers but the reason, and an empty table."""
    numbers = dict.fromkeys(("silhouette", "ami", "ami_arithmetic", "hungarian_accuracy"))
    table = pd.DataFrame({"row": [], "cluster": [], "distance": [], "label": []})
    types = {"row": np.int64, "cluster": np.int64, "distance": np.float64, "label": np.int64}
    return {"k": k, "n": 0, **numbers, "reason": reason}, table.astype(types)


def hungarian_accuracy(labels: np.ndarray, assigned: np.ndarray) -> float:
    """Share of points, in [0, 1], in the cluster that the best one-to-one assignment gives to their class.

    Where there are more clusters than classes, or fewer, what stays unmatched counts as wrong.
    """
    counts = contingency_matrix(labels, assigned)
    classes, matched = linear_sum_assignment(counts, maximize=True)
    return float(counts[classes, matched].sum() / counts.sum())


def check_finite(embeddings: np.ndarray) -> None:
    """Raise UserError if an embedding holds NaN or infinity."""
    bad = ~np.isfinite(embeddings).all(axis=1)
    if bad.any():
        raise UserError(
            f"{bad.sum()} of {len(bad)} embeddings hold NaN or infinity (first: number {bad.argmax()}): "
            "the training has diverged; lower `lr` or use precision: fp32"
        )
