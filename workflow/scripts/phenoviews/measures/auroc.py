"""How well each class is told from all others, wherever the boundary between them is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from phenoviews.errors import UserError


def one_vs_rest_auroc(labels: npt.NDArray[Any], scores: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The chance that an image of a class has a higher score for it than an image of another class; ties count half.

    A boundary that moves in favour of one class and against another changes the accuracy of both, and neither of these.

    Args:
        labels: (n,) int, the true classes.
        scores: (n, classes), such as a classifier's logits less their log-sum-exp. Of a class only the order of its
            scores counts.

    Returns:
        (classes,) in [0, 1]; NaN for a class of which there is no image, or nothing else.

    Raises:
        UserError: scores that are not finite, or not one row for each label.
    """
    labels, scores = np.asarray(labels), np.asarray(scores)
    if scores.ndim != 2 or len(labels) != len(scores):
        raise UserError(f"AUROC: scores of shape {scores.shape} for {len(labels)} images; need a row for each of them")
    if not np.isfinite(scores).all():
        raise UserError(
            "AUROC: a score is NaN or infinite: the classifier has diverged; lower its learning rate (`probe`)"
        )
    own = labels[:, None] == np.arange(scores.shape[1])
    images = own.sum(axis=0)
    ranks = np.asarray(rankdata(scores, axis=0))
    above = np.where(own, ranks, 0).sum(axis=0) - images * (images + 1) / 2  # Mann and Whitney's U
    pairs = images * (len(labels) - images)
    return np.where(pairs > 0, above / np.maximum(pairs, 1), np.nan)
