"""How much trainings that differ in their seed alone agree on which images are alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

FEWEST = 3  # seeds: of two there is one number, and nothing that tells how much it varies


def linear_cka(first: np.ndarray, second: np.ndarray) -> float:
    """Linear centred kernel alignment (Kornblith et al., ICML 2019, equation 2) of two embeddings of the same images,
    (n, d) and (n, e): 1 where one is the other turned and scaled; of what is unrelated about d e / (n √(d e)). NaN
    where one of them is the same for all images."""
    one, other = (np.asarray(x, dtype=np.float64) - np.mean(x, axis=0, dtype=np.float64) for x in (first, second))
    norms = np.linalg.norm(one.T @ one) * np.linalg.norm(other.T @ other)
    return float(np.linalg.norm(one.T @ other) ** 2 / norms) if norms > 0 else float("nan")


def agreement(embeddings: Sequence[np.ndarray | None]) -> npt.NDArray[np.float64]:
    """Of each of several seeds' embeddings of the same images a number whose mean is the mean `linear_cka` of all
    pairs, and whose variance between seeds tells that mean's.

    Each pair is of two seeds, so that a seed's mean with the others varies too little to judge by. These are the
    jackknife's pseudo-values of a U-statistic (Arvesen, Annals of Mathematical Statistics 40, 1969): n times the mean
    of all pairs less n - 1 times that of the pairs without the seed; one of them may be larger than 1.

    Args:
        embeddings: (images, d) each; None of a seed whose training failed.

    Returns:
        (seeds,); NaN of a seed without embeddings, and of all where fewer than `FEWEST` have some.
    """
    found = np.full(len(embeddings), np.nan)
    there = [seed for seed, one in enumerate(embeddings) if one is not None]
    count = len(there)
    if count < FEWEST:
        return found
    pairs = np.zeros((count, count))
    with threadpool_limits(1):  # the order in which threads add must not decide the last bit
        for one in range(count):
            for other in range(one):
                first, second = embeddings[there[one]], embeddings[there[other]]
                assert first is not None
                assert second is not None
                pairs[one, other] = pairs[other, one] = linear_cka(first, second)
    mean = pairs.sum() / (count * (count - 1))
    own = pairs.sum(axis=1) / (count - 1)
    found[there] = (2 * (count - 1) * own - count * mean) / (count - 2)
    return found
