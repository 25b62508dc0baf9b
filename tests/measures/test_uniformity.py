from __future__ import annotations

import numpy as np
import pytest
import torch

from phenoviews.errors import NotMeasured
from phenoviews.measures.uniformity import MOST, uniformity


def of(embeddings: np.ndarray) -> float:
    return uniformity(embeddings, 0)["value"].item()


def test_it_is_that_of_the_authors():
    """Wang & Isola's own lines, figure 5 there, of embeddings of length one."""
    found = np.random.default_rng(0).normal(size=(50, 7)) + 1
    unit = torch.nn.functional.normalize(torch.from_numpy(found), dim=1)
    assert of(found) == pytest.approx(torch.pdist(unit, p=2).pow(2).mul(-2).exp().mean().log().item(), rel=1e-10)


def test_by_hand():
    """Two opposite points are at a squared distance of 4; of a square's six pairs two are, and four are at 2."""
    assert of(np.array([[1.0, 0], [-3, 0]])) == pytest.approx(-8)
    square = np.array([[1.0, 0], [0, 2], [-1, 0], [0, -1]])
    assert of(square) == pytest.approx(np.log((4 * np.exp(-4) + 2 * np.exp(-8)) / 6))
    assert of(np.ones((5, 3))) == pytest.approx(0)


def test_many_dimensions_alike_are_at_minus_four():
    assert of(np.random.default_rng(0).normal(size=(500, 2000))) == pytest.approx(-4, abs=0.02)


def test_of_many_images_those_that_the_seed_draws():
    found = np.random.default_rng(0).normal(size=(2 * MOST, 8))
    assert of(found) == of(found) != uniformity(found, 1)["value"].item()
    assert of(found) == pytest.approx(uniformity(found, 1)["value"].item(), abs=0.02)


@pytest.mark.parametrize("found", [np.zeros((4, 3)), np.ones((1, 3))])
def test_what_has_no_direction_is_said(found):
    with pytest.raises(NotMeasured, match="is zero, or there are fewer than two"):
        of(found)
