"""A map of an embedding in two dimensions (*No Free Lunch*, figure 1)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from phenoviews.errors import UserError
from phenoviews.measures.finite import check_finite


def tsne(
    embeddings: np.ndarray,
    rows: np.ndarray,
    perplexity: float = 30,
    points: int = 5000,
    seed: int = 0,
    metric: str = "euclidean",
) -> pd.DataFrame:
    """t-SNE, initialised with PCA. Equal embeddings are one point of the map.

    Args:
        embeddings: (n, d) float, d at least 2.
        rows: (n,) int, the row of each point in its data set's `images.npy`.
        perplexity: lowered to a third of the points where there are few.
        points: where n is larger, that many are drawn at random without replacement, and stay in order.
        seed: of that draw and of t-SNE.
        metric: euclidean or cosine.

    Returns:
        row, x, y (arbitrary units) of the points that were mapped.

    Raises:
        UserError: fewer than four points, NaN or infinite embeddings.
    """
    check_finite(embeddings)
    if len(embeddings) < 4:
        raise UserError(f"{len(embeddings)} embeddings are too few for a t-SNE map, which needs 4; use more images")
    keep = np.arange(len(embeddings))
    if len(keep) > points:
        keep = np.sort(np.random.default_rng(seed).choice(keep, points, replace=False))
    distinct, place = _distinct(embeddings[keep].astype(np.float64))
    # One thread: t-SNE amplifies the order in which threads add up, and the map has to be reproducible.
    with threadpool_limits(1):
        xy = _mapped(distinct, perplexity, seed, metric)[place]
    return pd.DataFrame({"row": np.asarray(rows, np.int64)[keep], "x": xy[:, 0], "y": xy[:, 1]})


def no_map() -> pd.DataFrame:
    """As from `tsne`, where there are no embeddings."""
    return pd.DataFrame({"row": np.empty(0, np.int64), "x": np.empty(0), "y": np.empty(0)})


def _distinct(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of `x` that differ, in the order in which they first come, and for each row of `x` its number there."""
    place, _ = pd.factorize(np.array([row.tobytes() for row in x + 0.0], object))  # + 0.0, for -0.0 is 0.0
    _, first = np.unique(place, return_index=True)
    return x[first], place


def _mapped(x: np.ndarray, perplexity: float, seed: int, metric: str) -> np.ndarray:
    """(n, d) float64, no two rows alike → (n, 2).

    scikit-learn divides its start, the first two principal components, by their standard deviation. Where that is 0
    (all points are equal, or differ by less than float32 can tell) the start is NaN, and the quadtree, which has no
    place for a NaN, ends the process with a segmentation fault (scikit-learn #28368). Of distinct rows, centred and
    scaled in float64, it is positive.
    """
    centred = x - x.mean(axis=0)
    centred /= np.abs(centred).max() or 1.0
    if len(x) < 4:  # too few for t-SNE; up to three points lie in a plane as they are
        axes, lengths, _ = np.linalg.svd(centred, full_matrices=False)
        return np.pad(axes * lengths, ((0, 0), (0, 1)))[:, :2]
    start = PCA(2, random_state=seed).fit_transform(centred)
    start *= 1e-4 / start[:, 0].std()
    model = TSNE(
        2,
        perplexity=min(perplexity, (len(x) - 1) / 3),
        metric=metric,
        init=start.astype(np.float32),
        random_state=seed,
    )
    # It squares distances in float32: those of the scaled points do not overflow. The cosine needs the origin.
    mapped: np.ndarray = model.fit_transform(x if metric == "cosine" else centred)
    return mapped.astype(np.float64)
