"""What a classifier on frozen embeddings gets right, over all images and by class (*No Free Lunch*, D.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.errors import UserError
from phenoviews.files import atomic
from phenoviews.values import table

ABOVE = ("superclass_accuracy", "superclass_recognised")


def write_predictions(path: str | Path, predictions: np.ndarray, classes: int) -> None:
    """Write the predicted classes of images as a .npy file, in one byte each, or two where there are more than 256
    classes. None at all stands for a classifier that there is not."""
    with atomic(path) as partial:
        np.save(partial, predictions.astype(np.uint8 if classes <= 256 else np.uint16), allow_pickle=False)


def probe_scores(
    labels: np.ndarray,
    predictions: np.ndarray,
    classes: list[str],
    scores: np.ndarray | None = None,
    superclasses: list[str] | None = None,
    split: str = "test",
) -> pd.DataFrame:
    """Top-1 accuracy, accuracy and F1 of every class, and of every superclass, all in percent.

    Args:
        labels: (n,) int, the true class of each image, an index into `classes`.
        predictions: (n,) int, the predicted class.
        classes: names by label.
        scores: (n, classes), such as log probabilities, for AUROC; without them there is none.
        superclasses: the superclass of each class, by label; None: there are none.
        split: what the images are.

    Returns:
        Values with the dimension split: top1; and with class: accuracy (the share of the class's images that are
        recognised, its recall), both with the images that they count; f1 (2PR / (P + R), which the paper's code logs in
        its place: ambiguity A-13); auroc, of this class against all others. A class without images has a reason in
        place of values. With superclass, by the two readings of ambiguity A-20: superclass_accuracy, the mean of its
        classes' accuracies, and superclass_recognised, the share of its images that are taken for any class in it.

    Raises:
        UserError: no images, or not one prediction per image.
    """
    # Here, since every training imports this package and need not wait seconds for scikit-learn and scipy.
    from sklearn.metrics import accuracy_score, f1_score, recall_score

    from phenoviews.measures.auroc import one_vs_rest_auroc

    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if len(labels) == 0 or labels.shape != predictions.shape:
        raise UserError(
            f"probe: {len(predictions)} predictions for {len(labels)} test images; need one for each of them"
        )
    options = {"labels": range(len(classes)), "average": None, "zero_division": 0.0}
    by_class = {
        "accuracy": 100 * recall_score(labels, predictions, **options),
        "f1": 100 * f1_score(labels, predictions, **options),
    }
    if scores is not None:
        by_class["auroc"] = one_vs_rest_auroc(labels, scores)
    images, right = (np.bincount(of, minlength=len(classes)) for of in (labels, labels[labels == predictions]))
    rows = [{"metric": "top1", "value": 100 * accuracy_score(labels, predictions)}]
    rows[0] |= {"correct": right.sum(), "of": len(labels)}
    for label, name in enumerate(classes):
        for metric, found in by_class.items():
            row = {"metric": metric, "value": found[label] if images[label] else np.nan, "class": name}
            rows.append(row if np.isfinite(row["value"]) else {**row, "reason": _without(name, split, images[label])})
            if metric == "accuracy" and images[label]:
                rows[-1] |= {"correct": right[label], "of": images[label]}
    for name in dict.fromkeys(superclasses or ()):
        members = np.flatnonzero([above == name for above in superclasses or ()])
        rows += _of_superclass(name, members, labels, predictions, by_class["accuracy"], images, split)
    if superclasses is None:
        rows += [{"metric": name, "value": np.nan, "reason": "the classes have no superclasses"} for name in ABOVE]
    return table(rows).assign(split=split)


def _without(name: str, split: str, images: int) -> str:
    return "every image is of it" if images else f"no {split} image is of it"


def _of_superclass(
    name: str,
    members: np.ndarray,
    labels: np.ndarray,
    predictions: np.ndarray,
    accuracy: np.ndarray,
    images: np.ndarray,
    split: str,
) -> list[dict[str, Any]]:
    """The rows of one superclass, whose classes are `members`."""
    of = np.isin(labels, members)
    if not images[members].all():
        return [
            {"metric": metric, "value": np.nan, "superclass": name, "reason": f"no {split} image is of a class in it"}
            for metric in ABOVE
        ]
    right = np.isin(predictions[of], members)
    counted = {"correct": right.sum(), "of": of.sum()}
    return [
        {"metric": "superclass_accuracy", "value": accuracy[members].mean(), "superclass": name},
        {"metric": "superclass_recognised", "value": 100 * right.mean(), "superclass": name, **counted},
    ]
