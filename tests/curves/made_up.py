"""Trainings whose truth is known: Gaussian noise, 100 classes of which 30 pairs are confused with one another."""

from __future__ import annotations

import numpy as np

CLASSES, PAIRS, SD = 100, 30, 2.5


def noise(rng, seeds: int, values: int, rho: float = 0.0, classes: int = CLASSES, pairs: int = PAIRS) -> np.ndarray:
    """(seeds, values, classes) of `SD`; the classes 2k and 2k + 1 of the first pairs are correlated by rho."""
    y = rng.normal(size=(seeds, values, classes))
    first, second = y[..., 0 : 2 * pairs : 2], y[..., 1 : 2 * pairs : 2]
    y[..., 1 : 2 * pairs : 2] = rho * first + np.sqrt(1 - rho**2) * second
    return SD * y


def ramp(values: int) -> np.ndarray:
    """(values, 1) from -1 to 1."""
    return np.linspace(-1, 1, values)[:, None]


def rising_and_falling(rng, seeds: int, values: int, points: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Noise in which the last but ten to twenty classes go from -points to points and the last ten back; and which of
    them do what: 1, -1, 0."""
    truth = np.repeat([0, 1, -1], [CLASSES - 20, 10, 10])
    return noise(rng, seeds, values, rho=-0.5) + points * ramp(values) * truth, truth
