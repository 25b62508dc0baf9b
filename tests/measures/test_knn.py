from __future__ import annotations

import numpy as np
import pytest
import torch
from lightly.utils.benchmarking import knn_predict
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from phenoviews.errors import UserError
from phenoviews.measures.knn import BLOCK, knn
from phenoviews.study.metrics import measured


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, ...]:
    """Embeddings and labels, 1,200 to learn from and 597 to test with, far enough from the origin that cosines differ
    little."""
    found = load_digits()
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 64)))[0]
    x = (found.data @ turn + 20).astype(np.float32)
    return x[1200:], found.target[1200:], x[:1200], found.target[:1200]


def accuracy(test, test_labels, train, train_labels, pieces=1, **settings) -> float:
    values = knn(test, test_labels, np.array_split(train, pieces), train_labels, **settings)
    return values["value"].item()


@pytest.mark.parametrize("k", [1, 20, 200])
@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_the_votes_are_those_of_lightly(digits, k, temperature):
    test, test_labels, train, train_labels = digits
    unit = [torch.nn.functional.normalize(torch.from_numpy(x), dim=1) for x in (test, train)]
    ranked = knn_predict(unit[0], unit[1].T, torch.from_numpy(train_labels), 10, k, temperature)
    expected = 100 * (ranked[:, 0].numpy() == test_labels).mean()
    assert accuracy(*digits, k=k, temperature=temperature) == pytest.approx(expected)
    assert 80 < expected < 100


def test_one_neighbour_is_that_of_scikit_learn(digits):
    test, test_labels, train, train_labels = digits
    reference = KNeighborsClassifier(1, metric="cosine", algorithm="brute").fit(train, train_labels)
    assert accuracy(*digits, k=1) == pytest.approx(100 * reference.score(test, test_labels))


def test_the_value_says_of_what_it_is(digits):
    values = knn(digits[0], digits[1], [digits[2]], digits[3], k=20)
    line = values.iloc[0]
    assert [line["metric"]] == measured("knn")
    assert (line["neighbours"], line["split"], line["of"]) == (20, "test", 597)
    assert line["value"] == pytest.approx(100 * line["correct"] / 597)


@pytest.mark.parametrize("pieces", [2, 7, 1200])
def test_it_does_not_matter_in_what_pieces_the_training_images_come(digits, pieces):
    assert accuracy(*digits, pieces=pieces) == accuracy(*digits)


def test_length_of_embeddings_does_not_matter_nor_does_their_direction(digits):
    test, test_labels, train, train_labels = digits
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(64, 64)))[0].astype(np.float32)
    longer = train * np.random.default_rng(2).uniform(0.1, 10, (len(train), 1)).astype(np.float32)
    expected = accuracy(*digits)
    assert accuracy(test @ turn, test_labels, train @ turn, train_labels) == pytest.approx(expected, abs=0.4)
    assert accuracy(test * 3, test_labels, longer, train_labels) == pytest.approx(expected, abs=0.4)


AXES = np.eye(3, dtype=np.float32)


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_ties_go_to_the_first_images_and_the_lowest_label(pieces):
    # All five training images are alike: the first two vote, for classes 2 and 1, and equally.
    train, labels = np.repeat(AXES[:1], 5, axis=0), np.array([2, 1, 0, 0, 0])
    for label, right in ((0, 0), (1, 100), (2, 0)):
        assert accuracy(AXES[:1], np.array([label]), train, labels, pieces, k=2) == right
    assert accuracy(AXES[:1], np.array([2]), train, labels, pieces, k=1) == 100


def test_all_images_vote_where_there_are_fewer_than_k():
    train, labels = AXES[[0, 1, 1]], np.array([0, 1, 1])
    # One at cosine 1 outweighs two at 0 by exp(1 / T) : 2.
    assert accuracy(AXES[:1], np.array([0]), train, labels, k=20, temperature=0.07) == 100
    assert accuracy(AXES[:1], np.array([1]), train, labels, k=20, temperature=2) == 100


def test_a_class_may_be_absent_among_the_training_images_or_the_test_images():
    train, labels = AXES[[0, 1]], np.array([0, 1])
    assert accuracy(AXES, np.array([0, 1, 2]), train, labels, k=1) == pytest.approx(200 / 3)
    assert accuracy(AXES[:1], np.array([0]), train, np.array([0, 7]), k=1) == 100


def test_opposite_directions_are_farthest_and_zero_is_in_between():
    train = np.stack([-AXES[0], np.zeros(3, np.float32), -0.1 * AXES[0] + AXES[1]])
    for k, label in ((1, 1), (2, 2)):  # the nearest is zero, at cosine 0; of two equal votes the lower label's counts
        assert accuracy(AXES[:1], np.array([label]), train, np.array([0, 1, 2]), k=k, temperature=1e6) == (k == 1) * 100
    assert accuracy(AXES[:1], np.array([0]), train, np.array([1, 0, 0]), k=2) == 100


def test_test_images_are_taken_in_blocks(digits):
    test, test_labels, train, train_labels = digits
    many = (np.tile(test, (2, 1)), np.tile(test_labels, 2), train, train_labels)
    assert len(many[0]) > BLOCK
    assert accuracy(*many) == accuracy(*digits)


def test_what_cannot_be_classified_is_refused(digits):
    test, test_labels, train, train_labels = digits
    with pytest.raises(UserError, match="0 test and 1200 training images"):
        accuracy(test[:0], test_labels[:0], train, train_labels)
    with pytest.raises(UserError, match="597 test and 0 training images"):
        accuracy(test, test_labels, train[:0], train_labels[:0])
    with pytest.raises(ValueError, match="1200 training embeddings for 1199 labels"):
        accuracy(test, test_labels, train, train_labels[1:])
    broken = train.copy()
    broken[3, 2] = np.nan
    with pytest.raises(UserError, match="1 of 1200 embeddings hold NaN"):
        accuracy(test, test_labels, broken, train_labels)
