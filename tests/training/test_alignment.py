"""How near two views of an image are, of networks whose answer can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from phenoviews.data import Images
from phenoviews.errors import NotMeasured
from phenoviews.study.resolved import Dataset
from phenoviews.training.alignment import alignment
from phenoviews.training.subject import Subject

PLAIN = [{"normalize": {}}]
INVERTED = [{"random_invert": {"p": 1.0}}, {"normalize": {}}]


class Direction(nn.Module):
    """(mean grey, 1 - mean grey)."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        mean = images.mean(dim=(1, 2, 3))
        return torch.stack([mean, 1 - mean], dim=1)


def subject(network: nn.Module, make_run, digits: Path) -> Subject:
    images = Images.open(digits)
    as_they_are = {"mean": [0.0] * 3, "std": [1.0] * 3, "size": images.array.shape[1]}
    shown = Dataset.from_dict({**make_run().dataset.to_dict(), **as_they_are})
    return Subject(network, images, shown, np.empty((0, 2), np.float32), 5, torch.device("cpu"))


def sets(first, second):
    return [{"weight": 1.0, "views": [first, second]}]


def test_views_that_are_one_are_aligned_and_the_inverted_ones_as_far_as_their_angle(make_run, digits: Path):
    measured = subject(Direction(), make_run, digits)
    assert alignment(measured, sets(PLAIN, PLAIN))["value"].item() == 0
    rows = measured.images.rows(measured.dataset.evaluated)
    images = np.asarray(measured.images.array[rows], dtype=np.float64) / 255
    grey = images.mean(axis=(1, 2, 3))
    # By hand: (m, 1 - m) and (1 - m, m), both of the same length; their cosine is 2 m (1 - m) / (m² + (1 - m)²).
    cosine = 2 * grey * (1 - grey) / (grey**2 + (1 - grey) ** 2)
    expected = (2 - 2 * cosine).mean()
    assert alignment(measured, sets(PLAIN, INVERTED))["value"].item() == pytest.approx(expected, rel=1e-5)


def test_what_has_no_direction_is_said(make_run, digits: Path):
    class Nothing(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(images), 3)

    with pytest.raises(NotMeasured, match="no direction"):
        alignment(subject(Nothing(), make_run, digits), sets(PLAIN, PLAIN))
