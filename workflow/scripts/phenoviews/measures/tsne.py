"""A map of an embedding in two dimensions (*No Free Lunch*, figure 1)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from phenoviews.errors import UserError
from phenoviews.measures.clusters import check_finite


def tsne(embeddings: np.ndarray, points: pd.DataFrame, limit: int = 5000, seed: int = 0) -> pd.DataFrame:
    """t-SNE (PCA initialisation; perplexity 30, or a third of the points if less) of at most `limit` points.

    Args:
        embeddings: (n, d) float.
        points: n lines in the same order, such as the table of `clusters.clusters`; its columns are kept.
        limit: where n is larger, that many points are drawn at random without replacement, and stay in order.
        seed: of that draw and of t-SNE.

    Returns:
        The lines of `points` that were mapped, with x and y (arbitrary units) after `row`.

    Raises:
        UserError: fewer than four points, NaN or infinite embeddings.
    """
    check_finite(embeddings)
    if len(embeddings) < 4:
        raise UserError(f"{len(embeddings)} embeddings are too few for a t-SNE map, which needs 4; use more images")
    keep = np.arange(len(embeddings))
    if len(keep) > limit:
        keep = np.sort(np.random.default_rng(seed).choice(keep, limit, replace=False))
    perplexity = min(30.0, (len(keep) - 1) / 3)
    # One thread: t-SNE amplifies the order in which threads add up, and the map has to be reproducible.
    with threadpool_limits(1):
        xy = TSNE(2, perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed).fit_transform(
            embeddings[keep]
        )
    table = points.iloc[keep].reset_index(drop=True)
    table.insert(1, "x", xy[:, 0].astype(np.float64))
    table.insert(2, "y", xy[:, 1].astype(np.float64))
    return table
