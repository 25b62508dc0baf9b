from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from phenoviews.errors import NotMeasured, UserError
from phenoviews.measures.rankme import CHUNK, rankme


def rank(embeddings: np.ndarray) -> float:
    return rankme(embeddings)["value"].item()


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return load_digits().data.astype(np.float32)


def test_it_is_the_entropy_of_the_singular_values(digits):
    share = np.linalg.svd(digits.astype(np.float64), compute_uv=False)
    share = share[share > 1e-9] / share.sum()
    assert rank(digits) == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-9)
    assert 1 < rank(digits) < 64


@pytest.mark.parametrize("d", [1, 2, 37])
def test_directions_that_are_alike_count_each(d):
    assert rank(np.eye(d)) == pytest.approx(d)
    assert rank(np.repeat(np.eye(d), 5, axis=0)) == pytest.approx(d)
    isotropic = np.random.default_rng(0).normal(size=(20_000, d))
    assert d * 0.99 < rank(isotropic) <= d


def test_one_point_and_one_line_have_rank_one():
    point = np.random.default_rng(0).normal(size=512).astype(np.float32)
    assert rank(np.repeat(point[None], 1000, axis=0)) == pytest.approx(1, abs=1e-4)
    assert rank(np.outer([1.0, -2.0, 3.0], point)) == pytest.approx(1)


def test_two_directions_by_hand():
    # Singular values 3 and 1: shares 3/4 and 1/4.
    assert rank(np.array([[3.0, 0, 0], [0, 1, 0]])) == pytest.approx(4 / 3**0.75)


def test_it_does_not_change_when_the_space_is_turned_scaled_or_the_images_are_shuffled_or_doubled(digits):
    expected, random = rank(digits), np.random.default_rng(0)
    turn = np.linalg.qr(random.normal(size=(64, 64)))[0]
    for other in (digits @ turn, digits * 1e-3, digits[random.permutation(len(digits))], np.vstack([digits] * 2)):
        assert rank(other) == pytest.approx(expected, rel=1e-5)
    assert rank(np.hstack([digits, np.zeros_like(digits)])) == pytest.approx(expected, rel=1e-9)
    # But an encoder that moves everything away from the origin has one direction more than any other.
    assert rank(digits + 1000) < expected


def test_more_images_than_are_decomposed_at_once_and_fewer_than_dimensions():
    x = np.random.default_rng(0).normal(size=(2 * CHUNK + 17, 8)) * np.arange(1, 9)
    share = np.linalg.svd(x, compute_uv=False)
    share /= share.sum()
    assert rank(x) == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-9)
    assert rank(np.random.default_rng(0).normal(size=(3, 512))) == pytest.approx(3, abs=0.1)


def test_nothing_has_no_rank_and_nan_is_refused():
    with pytest.raises(NotMeasured, match="all embeddings are zero"):
        rankme(np.zeros((5, 4)))
    with pytest.raises(UserError, match="1 of 5 embeddings hold NaN"):
        rankme(np.where(np.arange(20).reshape(5, 4) == 7, np.nan, 1.0))
