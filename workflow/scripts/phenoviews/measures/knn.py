"""Accuracy of a nearest-neighbour classifier on embeddings (Wu et al., CVPR 2018)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from phenoviews.errors import UserError
from phenoviews.measures.finite import check_finite
from phenoviews.values import table

ROWS = 2**32
BLOCK = 1024  # test images whose similarities with a piece of the training images are held at a time


def knn(
    test: np.ndarray,
    test_labels: np.ndarray,
    train: Iterable[np.ndarray],
    train_labels: np.ndarray,
    k: int = 20,
    temperature: float = 0.07,
) -> pd.DataFrame:
    """Top-1 accuracy, in percent, of the votes of the `k` most similar training images, by cosine.

    A vote has the weight exp(cosine / temperature). Of images that are equally similar the first ones count; of classes
    with equally many votes, that with the lowest label. Where there are fewer than `k` training images, all vote. The
    cosine with an embedding that is zero is 0.

    Args:
        test: (n, d) float.
        test_labels: (n,) int ≥ 0.
        train: the training embeddings, (m, d) float, in consecutive pieces of which one at a time is kept.
        train_labels: (m,) int ≥ 0.

    Returns:
        One value with the dimensions neighbours (k) and split: knn, with the images that it counts.

    Raises:
        UserError: no images, NaN or infinity.
    """
    if not len(test) or not len(train_labels):
        raise UserError(f"knn: {len(test)} test and {len(train_labels)} training images; there must be some of both")
    check_finite(test)
    test = _unit(test)
    best = np.full((len(test), min(k, len(train_labels))), np.iinfo(np.int64).min)
    first = 0
    # One thread: the order in which threads add must not decide the last bit.
    with threadpool_limits(1):
        for chunk in train:
            check_finite(chunk)
            unit = _unit(chunk)
            for rows in np.array_split(np.arange(len(test)), -(-len(test) // BLOCK)):
                found = np.hstack([best[rows], _keys(test[rows] @ unit.T, first)])
                best[rows] = np.partition(found, -best.shape[1], axis=1)[:, -best.shape[1] :]
            first += len(chunk)
    if first != len(train_labels):
        raise ValueError(f"{first} training embeddings for {len(train_labels)} labels")
    similarity, neighbour = _values(np.sort(best, axis=1))
    votes = np.zeros((len(test), max(train_labels.max(), test_labels.max()) + 1))
    weights = np.exp(similarity.astype(np.float64) / temperature)
    np.add.at(votes, (np.arange(len(test))[:, None], train_labels[neighbour]), weights)
    right = int((votes.argmax(axis=1) == test_labels).sum())
    accuracy = {"metric": "knn", "value": 100 * right / len(test), "correct": right, "of": len(test)}
    return table([{**accuracy, "neighbours": float(k), "split": "test"}])


def _unit(embeddings: np.ndarray) -> np.ndarray:
    single = np.asarray(embeddings, dtype=np.float32)
    length = np.linalg.norm(single, axis=1, keepdims=True)
    unit: np.ndarray = single / np.where(length == 0, 1, length)
    return unit


def _keys(similarity: np.ndarray, first: int) -> np.ndarray:
    """Similarities (n, m) float32 and the rows they are with, from `first` on, as integers (n, m) that have their
    order: the more similar, and at a tie the earlier, the larger."""
    bits = (similarity + np.float32(0)).view(np.int32)  # 0 added: -0 is 0
    ordered = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
    found: np.ndarray = ordered * ROWS + (ROWS - 1 - np.arange(first, first + similarity.shape[1]))
    return found


def _values(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The similarities and rows of `_keys`."""
    ordered = (keys // ROWS).astype(np.int32)
    bits = np.where(ordered < 0, ordered ^ np.int32(0x7FFFFFFF), ordered)
    return bits.view(np.float32), ROWS - 1 - keys % ROWS
