"""A map of an embedding in two dimensions (*No Free Lunch*, figure 1)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from phenoviews.errors import UserError
from phenoviews.measures.clusters import check_finite


def tsne(
    embeddings: np.ndarray,
    rows: np.ndarray,
    perplexity: float = 30,
    points: int = 5000,
    seed: int = 0,
    metric: str = "euclidean",
) -> pd.DataFrame:
    """t-SNE, initialised with PCA.

    Args:
        embeddings: (n, d) float.
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
    # One thread: t-SNE amplifies the order in which threads add up, and the map has to be reproducible.
    with threadpool_limits(1):
        model = TSNE(2, perplexity=min(perplexity, (len(keep) - 1) / 3), metric=metric, init="pca", random_state=seed)
        xy = model.fit_transform(embeddings[keep]).astype(np.float64)
    return pd.DataFrame({"row": np.asarray(rows, np.int64)[keep], "x": xy[:, 0], "y": xy[:, 1]})
