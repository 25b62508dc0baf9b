"""What a classifier on frozen embeddings gets right, over all images and by class (*No Free Lunch*, D.1)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from phenoviews.errors import UserError
from phenoviews.files import atomic
from phenoviews.values import table


def write_predictions(path: str | Path, predictions: np.ndarray, classes: int) -> None:
    """Write the predicted classes of images as a .npy file, in one byte each, or two where there are more than 256
    classes. None at all stands for a classifier that there is not."""
    with atomic(path) as partial:
        np.save(partial, predictions.astype(np.uint8 if classes <= 256 else np.uint16), allow_pickle=False)


def probe_scores(labels: np.ndarray, predictions: np.ndarray, classes: list[str], split: str = "test") -> pd.DataFrame:
    """Top-1 accuracy, and accuracy and F1 of every class, all in percent.

    Args:
        labels: (n,) int, the true class of each image, an index into `classes`.
        predictions: (n,) int, the predicted class.
        classes: names by label.
        split: what the images are.

    Returns:
        Values with the dimension split: top1; and with class: accuracy (the share of the class's images that are
        recognised, its recall), both with the images that they count; f1 (2PR / (P + R), which the paper's code logs in
        its place: ambiguity A-13). A class without images has a reason in place of values.

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
    images, right = (np.bincount(of, minlength=len(classes)) for of in (labels, labels[labels == predictions]))
    rows = [{"metric": "top1", "value": 100 * accuracy_score(labels, predictions)}]
    rows[0] |= {"correct": right.sum(), "of": len(labels)}
    for label, name in enumerate(classes):
        scores = {"accuracy": recall[label], "f1": f1[label]}
        for metric, score in scores.items() if images[label] else ():
            rows.append({"metric": metric, "value": 100 * score, "class": name})
            rows[-1] |= {"correct": right[label], "of": images[label]} if metric == "accuracy" else {}
        for metric in scores if not images[label] else ():
            rows.append({"metric": metric, "value": None, "reason": f"no {split} image is of it", "class": name})
    return table(rows).assign(split=split)
