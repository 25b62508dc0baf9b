"""Which classes rise and which fall over a sweep, with trainings as units and false discoveries under control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit
from scipy.stats import false_discovery_control

from phenoviews.curves.tables import Floats
from phenoviews.errors import UserError

Q = 0.025  # two-sided, so that either direction has as much
SAME = 1e-9  # changes and errors below are the rounding of floats

Directions = npt.NDArray[np.int64]  # 1 where a class rises, -1 where it falls, 0 where neither is shown


@dataclass(frozen=True)
class Slopes:
    """Lines through the trainings of each class: their change from the lowest value to the highest, (classes,)."""

    change: Floats
    error: Floats  # its standard error
    df: int

    @property
    def p(self) -> Floats:
        """Two-sided, Student's; 1 for a class that never changes."""
        still = self.error < SAME
        t = np.abs(self.change) / np.where(still, 1, self.error)
        return np.where(still, np.abs(self.change) < SAME, 2 * stdtr(self.df, -t))

    def interval(self, level: float = 0.90) -> tuple[Floats, Floats]:
        """Of the change, class by class."""
        reach = stdtrit(self.df, (1 + level) / 2) * self.error
        return self.change - reach, self.change + reach


def changes(x: Floats, y: Floats) -> Floats:
    """The change of the least-squares line of each class from the lowest value to the highest, in every seed by itself.

    `x`: (values,); `y`: (seeds, values, classes). (seeds, classes)
    """
    deviation = x - x.mean()
    return np.asarray(np.einsum("v,svc->sc", deviation, y) / (deviation**2).sum() * np.ptp(x))


def slopes(x: Floats, y: Floats) -> Slopes:
    """Least squares of each class on the swept value, with an effect for each seed.

    Args:
        x: (values,).
        y: (seeds, values, classes).

    Raises:
        UserError: no trainings beyond those that the line itself takes.
    """
    seeds, values, _ = y.shape
    if (df := seeds * values - seeds - 1) < 1:
        raise UserError(f"{seeds * values} trainings leave nothing to judge a slope by; give the sweep more values")
    deviation, span = x - x.mean(), float(np.ptp(x))
    change = changes(x, y).mean(axis=0)
    left = y - y.mean(axis=1, keepdims=True) - deviation[:, None] / span * change
    squares = seeds * (deviation**2).sum()
    return Slopes(change, np.sqrt((left**2).sum(axis=(0, 1)) / df / squares) * span, df)


def directions(found: Slopes, q: float = Q) -> Directions:
    """The classes that rise and those that fall, false discoveries among them held to q (Benjamini and Hochberg)."""
    return _shown(found.change, found.p, q)


def by_range(x: Floats, y: Floats, q: float = Q) -> dict[str, Directions]:
    """Directions over the whole range and over either half of it, each at a third of q: a class may rise and then fall.

    A value in the middle belongs to both halves.
    """
    middle = (x[0] + x[-1]) / 2
    parts = {"whole": x == x, "lower": x <= middle, "upper": x >= middle}
    return {name: directions(slopes(x[part], y[:, part]), q / len(parts)) for name, part in parts.items()}


def opposed(found: Directions) -> npt.NDArray[np.bool_]:
    """Which classes are opposed, (classes, classes): one rises and the other falls."""
    return np.outer(found, found) < 0


def count_pairs(which: npt.NDArray[np.bool_]) -> int:
    """How many pairs a symmetric matrix (classes, classes) names."""
    return int(np.triu(which, 1).sum())


def boundary(accuracy: Directions, auroc: Directions) -> npt.NDArray[np.bool_]:
    """Pairs that are opposed in accuracy alone: a boundary between classes moved, and neither is told apart worse."""
    return opposed(accuracy) & ~opposed(auroc)


def over_images(x: Floats, right: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """The change of one class for new images, not only for these: errors clustered by training and by image.

    The variance is that of two-way clusters or, where it is larger, of one of both, as the difference in the former can
    be too small by chance, even negative (MacKinnon, Nielsen and Webb 2024).

    Args:
        x: (values,).
        right: (seeds, values, images), whether an image of the class was recognised.

    Returns:
        The change from the lowest value to the highest, in percent; its standard error; p, two-sided.

    Raises:
        UserError: fewer than two images.
    """
    from statsmodels.regression.linear_model import OLS  # here, since it takes a second and other panels need it not

    seeds, values, images = right.shape
    if images < 2:
        raise UserError(f"{images} image(s) of a class say nothing of new ones; give it more in the test split")
    seed, value, image = (axis.ravel() for axis in np.indices(right.shape))
    place = (x - x.mean())[value] / np.ptp(x)
    design = np.column_stack([place, seed[:, None] == np.arange(seeds)]).astype(np.float64)
    fit = OLS(100.0 * right.ravel(), design).fit()
    training = seed * values + value
    errors = [
        fit.get_robustcov_results("cluster", groups=groups, use_t=True).bse[0]
        for groups in (training, image, np.column_stack([training, image]))
    ]
    change, error = float(fit.params[0]), float(np.fmax.reduce(errors))
    df = min(seeds * values, images) - 1
    return change, error, float(2 * stdtr(df, -abs(change) / error)) if error > SAME else float(abs(change) < SAME)


def directions_over_images(x: Floats, right: Sequence[npt.NDArray[np.bool_]], q: float = Q) -> Directions:
    """`directions` for new images: of each class (seeds, values, images), as `over_images` takes them.

    Raises:
        UserError: a class with fewer than two images.
    """
    change, _, p = np.array([over_images(x, of) for of in right]).T
    return _shown(change, p, q)


def _shown(change: Floats, p: Floats, q: float) -> Directions:
    return np.where(false_discovery_control(p) <= q, np.sign(change), 0).astype(np.int64)
