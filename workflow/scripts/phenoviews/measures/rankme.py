"""Effective rank of embeddings: in how many directions they spread (Garrido et al., RankMe, ICML 2023)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import entr
from threadpoolctl import threadpool_limits

from phenoviews.errors import NotMeasured
from phenoviews.measures.finite import check_finite
from phenoviews.values import table

CHUNK = 4096


def rankme(embeddings: np.ndarray) -> pd.DataFrame:
    """The exponential of the entropy of the singular values, divided by their sum, of the embeddings as they are.

    It is d where they spread alike in all d directions, and 1 where all point in one. No labels are needed. (The
    authors add 1e-7 to each share; here a share of nothing counts as nothing.)

    Args:
        embeddings: (n, d) float.

    Returns:
        One value: rankme.

    Raises:
        UserError: NaN or infinity.
        NotMeasured: all embeddings are zero.
    """
    check_finite(embeddings)
    triangle = np.empty((0, embeddings.shape[1]))
    # One thread: the order in which threads add must not decide the last bit.
    with threadpool_limits(1):
        for start in range(0, len(embeddings), CHUNK):
            chunk = np.asarray(embeddings[start : start + CHUNK], dtype=np.float64)
            # R of a QR decomposition has the singular values of all rows so far, which need not be kept.
            triangle = np.asarray(np.linalg.qr(np.vstack([triangle, chunk]), mode="r"))
        singular = np.linalg.svd(triangle, compute_uv=False)
    if singular.sum() == 0:
        raise NotMeasured("all embeddings are zero")
    return table([{"metric": "rankme", "value": np.exp(entr(singular / singular.sum()).sum())}])
