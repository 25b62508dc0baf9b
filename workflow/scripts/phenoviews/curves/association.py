"""Whether a property of the classes goes with how they behave (*No Free Lunch*, Table 3).

A property is a number of each class, or several, such as a spectrum; a behaviour is what a class does with one method.
Pillai's trace of the multivariate analysis of variance is, for one number, the share of the variance that lies between
behaviours, and its F is that of the analysis of variance; so both are the same function.

The published p takes every class with every method for a unit, and the methods' behaviours of one class are alike. The
honest p is by permutation of the classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import fdtrc

from phenoviews.curves.tables import Floats
from phenoviews.errors import UserError

PERMUTATIONS = 9_999


@dataclass(frozen=True)
class Association:
    """Of a property with behaviours."""

    pillai: float  # 0: the same in all behaviours; for one number the share of its variance that lies between them
    f: float
    df: tuple[float, float]
    p: float  # as published: every class with every method is a unit
    permuted: float  # with classes as units


def association(
    properties: Floats,
    behaviours: npt.NDArray[np.str_],
    rng: np.random.Generator,
    within: Sequence[str] | None = None,
    permutations: int = PERMUTATIONS,
) -> Association:
    """Analysis of variance of a property by behaviour, with its permutation test.

    Args:
        properties: (classes,), or (classes, numbers).
        behaviours: (methods, classes), labels.
        rng: for the permutations: the properties change places among classes, and each class keeps its behaviours.
        within: (classes,), the superclass of each, to permute within these alone; None: among all.
        permutations: how many.

    Raises:
        UserError: one behaviour only; a property that is not finite or the same for all classes, or whose numbers
            determine one another; too few classes and methods for so many numbers.
    """
    points = np.asarray(properties, dtype=np.float64).reshape(len(properties), -1)
    labels = np.unique(behaviours)
    units, numbers, groups = behaviours.size, points.shape[1], len(labels)
    if groups < 2:
        raise UserError(f"all classes are {labels[0]} with every method: there are no behaviours to compare")
    if units - groups - numbers < 1:
        raise UserError(f"{units} behaviours are too few for a property of {numbers} numbers; take fewer of them")
    whole = _whitened(points) / np.sqrt(len(behaviours))  # each class counts once for every method
    members = (behaviours == labels[:, None, None]).sum(axis=1).astype(np.float64)  # (behaviours, classes)
    weights = members / np.sqrt(members.sum(axis=1, keepdims=True))
    pillai = float(((weights @ whole) ** 2).sum())
    drawn = np.array([((weights @ whole[_order(within, len(whole), rng)]) ** 2).sum() for _ in range(permutations)])
    rank = min(numbers, groups - 1)
    first, second = max(numbers, groups - 1), units - groups - numbers + rank  # per dimension of the rank
    f = second / first * pillai / (rank - pillai) if pillai < rank * (1 - 1e-12) else np.inf
    return Association(
        pillai=pillai,
        f=f,
        df=(rank * first, rank * second),
        p=float(fdtrc(rank * first, rank * second, f)),
        permuted=float((1 + (drawn >= pillai * (1 - 1e-9)).sum()) / (1 + permutations)),
    )


def _whitened(points: Floats) -> Floats:
    """(classes, numbers) as deviations from their means, turned and scaled: uncorrelated, their squares sum to one."""
    if not np.isfinite(points).all():
        raise UserError("a property of a class is not finite; measure it again, or leave the property out")
    left, sizes, _ = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    if len(points) <= points.shape[1] or sizes[-1] <= 1e-9 * max(sizes[0], np.abs(points).max()):
        raise UserError(
            f"the {points.shape[1]} number(s) of a property are the same for all classes, or follow from one another; "
            "take fewer of them"
        )
    return np.asarray(left, dtype=np.float64)


def _order(within: Sequence[str] | None, classes: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """A random order of the classes; within each group, where there are groups."""
    if within is None:
        return rng.permutation(classes)
    groups = np.asarray(within)
    order = np.arange(classes)
    for group in np.unique(groups):
        places = np.flatnonzero(groups == group)
        order[places] = rng.permutation(places)
    return order
