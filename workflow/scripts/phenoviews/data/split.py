"""Splits that depend on the seed and on each class alone, or on whole groups such as plates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phenoviews.errors import UserError


def stratified(
    labels: np.ndarray, classes: Sequence[str], test_fraction: float, val_fraction: float, seed: int
) -> np.ndarray:
    """ "train", "val" or "test" for each of the n `labels` (n,), drawn without replacement within each class.

    Each class gives its fraction rounded to the nearest image, at least one to every split whose fraction is positive
    and at least one to train. The draw of a class depends on `seed`, its label and its size, so images added to one
    class move none of another. `UserError` where the fractions leave no train images or a class has too few.
    """
    if not (0 < test_fraction < 1 and 0 <= val_fraction < 1 and test_fraction + val_fraction < 1):
        raise UserError(
            f"datasets: test_fraction {test_fraction} and val_fraction {val_fraction} must be fractions that leave "
            "something for training, test_fraction above 0"
        )
    split = np.full(len(labels), "train", dtype=object)
    for label, name in enumerate(classes):
        rows = np.flatnonzero(labels == label)
        counts = {
            part: max(1, int(len(rows) * fraction + 0.5)) if fraction else 0
            for part, fraction in (("test", test_fraction), ("val", val_fraction))
        }
        if sum(counts.values()) >= len(rows):
            raise UserError(
                f"class {name!r} has {len(rows)} image(s), too few for a split with test_fraction {test_fraction} "
                f"and val_fraction {val_fraction}; add images, lower the fractions or drop the class"
            )
        order = np.random.default_rng([seed, label]).permutation(rows)
        split[order[: counts["test"]]] = "test"
        split[order[counts["test"] : counts["test"] + counts["val"]]] = "val"
    return split


def grouped(groups: np.ndarray, what: str, test_fraction: float, val_fraction: float, seed: int) -> np.ndarray:
    """ "train", "val" or "test" for each of the n `groups` (n,): all rows of a group are in one split.

    The fractions are of groups, rounded to the nearest, at least one of each positive fraction and of train.
    `UserError` where there are too few; `what` they are called in its message ("plate").
    """
    names = np.unique(groups)
    counts = [max(1, int(len(names) * fraction + 0.5)) if fraction else 0 for fraction in (test_fraction, val_fraction)]
    if not test_fraction or sum(counts) >= len(names):
        raise UserError(
            f"split_by: {what}: there are {len(names)}, too few for a split of whole ones with test_fraction "
            f"{test_fraction} and val_fraction {val_fraction}; add some, or change the fractions"
        )
    order = np.random.default_rng(seed).permutation(names)
    split = np.full(len(groups), "train", dtype=object)
    split[np.isin(groups, order[: counts[0]])] = "test"
    split[np.isin(groups, order[counts[0] : sum(counts)])] = "val"
    return split
