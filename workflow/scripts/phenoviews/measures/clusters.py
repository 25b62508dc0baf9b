"""What an embedding's clusters follow: silhouette, AMI, Hungarian accuracy (*No Free Lunch*, D.2, D.3)."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_mutual_info_score, silhouette_score
from sklearn.metrics.cluster import contingency_matrix
from threadpoolctl import threadpool_limits

from phenoviews.errors import NotMeasured, UserError
from phenoviews.measures.finite import check_finite
from phenoviews.values import table


def clusters(
    embeddings: np.ndarray, labels: np.ndarray, rows: np.ndarray, k: int, seed: int = 0, n_init: int = 10
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """K-means (k-means++, Euclidean, on the raw embeddings) and what its clusters share with `labels`.

    Args:
        embeddings: (n, d) float.
        labels: (n,) int, the class of each point.
        rows: (n,) int, the row of each point in its data set's `images.npy`.
        k: number of clusters.
        seed: K-means' random state.
        n_init: restarts; the one with the lowest inertia counts.

    Returns:
        values: with the dimension k: silhouette (Euclidean, over all points), ami (normalised by the larger entropy,
            as the paper's D.3 defines it), ami_arithmetic (by their mean, as scikit-learn), hungarian_accuracy.
        points: one line per point: row, cluster, distance (to the centroid of its cluster), label.

    Raises:
        UserError: as `k_means`.
    """
    fit = k_means(embeddings, k, seed, n_init)
    with threadpool_limits(1):
        silhouette = float(silhouette_score(embeddings, fit.labels_))
    points = pd.DataFrame(
        {
            "row": np.asarray(rows, dtype=np.int64),
            "cluster": fit.labels_.astype(np.int64),
            "distance": np.linalg.norm(embeddings - fit.cluster_centers_[fit.labels_], axis=1).astype(np.float64),
            "label": np.asarray(labels, dtype=np.int64),
        }
    )
    values = {
        "silhouette": silhouette,
        "ami": ami(labels, fit.labels_),
        "ami_arithmetic": float(adjusted_mutual_info_score(labels, fit.labels_, average_method="arithmetic")),
        "hungarian_accuracy": hungarian_accuracy(labels, fit.labels_),
    }
    return table({"metric": metric, "value": value, "k": float(k)} for metric, value in values.items()), points


def no_points() -> pd.DataFrame:
    """The points of `clusters`, where there are none."""
    types = {"row": np.int64, "cluster": np.int64, "distance": np.float64, "label": np.int64}
    return pd.DataFrame({name: np.empty(0, kind) for name, kind in types.items()})


def k_means(embeddings: np.ndarray, k: int, seed: int = 0, n_init: int = 10) -> KMeans:
    """K-means as `clusters` has it, fitted: `labels_` (n,), `cluster_centers_` (k, d).

    Raises:
        UserError: no more points than clusters, NaN or infinity.
        NotMeasured: fewer distinct points than clusters.
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
        raise NotMeasured(
            f"the {len(embeddings)} embeddings hold {found} distinct point(s), fewer than k = {k}: "
            "the encoder has collapsed; see the embedding spread in the run's history.csv"
        )
    return fit


def ami(labels: np.ndarray, assigned: np.ndarray) -> float:
    """Adjusted mutual information of classes and clusters, normalised by the larger entropy (D.3)."""
    return float(adjusted_mutual_info_score(labels, assigned, average_method="max"))


def hungarian_accuracy(labels: np.ndarray, assigned: np.ndarray) -> float:
    """Share of points, in [0, 1], in the cluster that the best one-to-one assignment gives to their class.

    Where there are more clusters than classes, or fewer, what stays unmatched counts as wrong.
    """
    counts = contingency_matrix(labels, assigned)
    classes, matched = linear_sum_assignment(counts, maximize=True)
    return float(counts[classes, matched].sum() / counts.sum())
