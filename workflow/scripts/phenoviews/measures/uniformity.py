"""How evenly embeddings are spread on the sphere (Wang & Isola, ICML 2020, equation 2)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist
from scipy.special import logsumexp

from phenoviews.errors import NotMeasured
from phenoviews.measures.finite import check_finite
from phenoviews.values import table

MOST = 3000  # images, drawn by the seed where there are more: 4.5 million pairs


def uniformity(embeddings: np.ndarray, seed: int) -> pd.DataFrame:
    """The logarithm of the mean of exp(-2 · squared distance) over all pairs of images, of embeddings of length one.

    It is 0 where all are in one point, and the lower the more evenly they are spread: no less than -4 on average, as
    points on a sphere are at a squared distance of 2.

    Args:
        embeddings: (n, d) float, two at least.
        seed: draws `MOST` of them.

    Returns:
        One value: uniformity.

    Raises:
        UserError: NaN or infinity.
        NotMeasured: an embedding is zero, and so has no direction; fewer than two.
    """
    check_finite(embeddings)
    found = np.asarray(embeddings, dtype=np.float64)
    if len(found) > MOST:
        found = found[np.sort(np.random.default_rng(seed).choice(len(found), MOST, replace=False))]
    length = np.linalg.norm(found, axis=1, keepdims=True)
    if len(found) < 2 or not length.all():
        raise NotMeasured("an embedding is zero, or there are fewer than two")
    squares = pdist(found / length, "sqeuclidean")
    return table([{"metric": "uniformity", "value": logsumexp(-2 * squares) - np.log(len(squares))}])
