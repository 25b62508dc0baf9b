"""What a classifier on frozen embeddings gets right, over all images and by class (*No Free Lunch*, D.1)."""

from __future__ import annotations

from typing import Any

import numpy as np

from phenoviews.errors import UserError


def probe_scores(labels: np.ndarray, predictions: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """Top-1 accuracy, and accuracy and F1 of every class, all in percent.

    Args:
        labels: (n,) int, the true class of each image, an index into `classes`.
        predictions: (n,) int, the predicted class.
        classes: names by label.

    Returns:
        top1; per_class: name → accuracy (the share of the class's images that are recognised, its recall) and f1
        (2PR / (P + R), which the paper's code logs in its place: ambiguity A-13), both None for a class without
        images; n.

    Raises:
        UserError: no images, or not one prediction per image.
    """
    # Here, since every training imports this package and need not wait seconds for scikit-learn.
    from sklearn.metrics import accuracy_score, f1_score, recall_score

    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if len(labels) == 0 or labels.shape != predictions.shape:
        raise UserError(
            f"probe: {len(predictions)} predictions for {len(labels)} test images; need one for each of them"
        )
    options = {"labels": range(len(classes)), "average": None, "zero_division": 0.0}
    recall, f1 = recall_score(labels, predictions, **options), f1_score(labels, predictions, **options)
    present = np.bincount(labels, minlength=len(classes)) > 0
    return {
        "top1": 100 * float(accuracy_score(labels, predictions)),
        "per_class": {
            name: {
                "accuracy": 100 * float(recall[i]) if present[i] else None,
                "f1": 100 * float(f1[i]) if present[i] else None,
            }
            for i, name in enumerate(classes)
        },
        "n": len(labels),
    }
