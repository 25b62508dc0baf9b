"""Cuts that go through one nucleus are undone, and those between two stay."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter

from phenoviews.cells.joining import WEIGHTS, evidence, hull, joined, measured, touching
from phenoviews.cells.segmentation import segment

TYPICAL = np.pi / 4 * 20**2
PARAMS = {"diameter": 40, "least_area": 0.08, "contrast": 1.3}


def ellipse(shape, centre, half, turn=0.0):
    y, x = np.mgrid[: shape[0], : shape[1]] - np.reshape(centre, (2, 1, 1))
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return (along / half[0]) ** 2 + (across / half[1]) ** 2 <= 1


def test_two_halves_of_a_disc_and_two_discs_that_touch():
    disc = ellipse((60, 80), (30, 20), (10, 10)).astype(int)
    halves = disc * np.where(np.arange(80) < 20, 1, 2)
    first, second = ellipse((60, 80), (30, 50), (10, 10)), ellipse((60, 80), (30, 68), (10, 10))
    labels = np.where(halves, halves, 3 * first + 4 * (second & ~first))
    found = joined(labels, np.log(np.where(labels, 4000.0, 600.0)), TYPICAL)
    assert found[30, 14] == found[30, 26] > 0
    assert len({found[30, 14], found[30, 45], found[30, 72]}) == 3
    assert ((found > 0) == (labels > 0)).all()


def test_pieces_of_another_brightness_stay_apart():
    disc = ellipse((60, 60), (30, 30), (10, 10)).astype(int)
    labels = disc * np.where(np.arange(60) < 30, 1, 2)
    step = np.log(np.where(labels == 1, 4000.0, 16000.0))
    assert len(np.unique(joined(labels, np.zeros(labels.shape), TYPICAL))) == 2
    assert len(np.unique(joined(labels, step, TYPICAL))) == 3


def test_evidence_of_a_square_cut_in_two():
    labels = np.zeros((20, 20), int)
    labels[5:15, 5:10], labels[5:15, 10:15] = 1, 2

    dna, depth = np.zeros(labels.shape), distance_transform_edt(labels > 0)
    one, other = measured(labels, dna, depth).values()
    told = evidence(one, other, touching(labels)[1][2], dna, depth, 100)
    assert list(told) == list(WEIGHTS)
    assert told["convex"] == pytest.approx(1)
    assert told["less_convex"] == pytest.approx(0)
    assert told["area"] == pytest.approx(0)
    assert told["smaller"] == pytest.approx(np.log(0.5))
    assert told["neck"] == pytest.approx(5 / np.sqrt(4 / np.pi * 50))
    assert told["saddle"] == pytest.approx(1)
    assert told["step"] == told["valley"] == 0


def test_a_hull_counts_pixels_as_squares():
    assert hull(np.array([[3, 4]])) == pytest.approx(1)
    assert hull(np.argwhere(np.ones((4, 6)))) == pytest.approx(24)


@pytest.mark.parametrize("turn", [0, 0.6, 1.2])
@pytest.mark.parametrize("factor", [0.75, 1, 1.33])
def test_long_nuclei_are_whole(turn, factor):
    """Three times as long as they are wide, side by side and end to end."""
    shape, half = (300, 400), (36, 12)
    along = np.array([np.sin(turn), np.cos(turn)])
    across = np.array([along[1], -along[0]])
    centres = [np.array([150, 200]) + a * along + b * across for a, b in ((-80, 0), (0, 0), (80, 0), (0, 27), (0, -27))]
    image = gaussian_filter(600 + 4000.0 * np.any([ellipse(shape, c, half, turn) for c in centres], axis=0), 1.5)
    image = np.random.default_rng(0).normal(image, 0.5 * np.sqrt(image)).astype(np.float32)
    labels = segment(image, {**PARAMS, "diameter": factor * 2 * np.sqrt(half[0] * half[1])})
    rows, columns = np.round(centres).astype(int).T
    assert labels.max() == 5
    assert len(set(labels[rows, columns])) == 5
