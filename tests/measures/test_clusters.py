from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import silhouette_samples

from phenoviews.errors import NotMeasured, UserError
from phenoviews.measures.clusters import clusters, hungarian_accuracy, no_points
from phenoviews.study.metrics import measured


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return data.data[:600].astype(np.float32), data.target[:600]


def test_the_numbers_are_those_of_their_definitions(digits):
    x, labels = digits
    values, points = clusters(x, labels, np.arange(600), k=10, seed=0)
    numbers, assigned = values.set_index("metric")["value"], points["cluster"].to_numpy()
    assert set(values["k"]) == {10}
    assert sorted(numbers.index) == sorted(measured("clusters"))
    assert numbers["silhouette"] == pytest.approx(silhouette_samples(x, assigned).mean(), abs=1e-6)
    # AMI by hand: mutual information, its expectation under permutation by simulation, the larger entropy.
    rng = np.random.default_rng(0)
    chance = np.mean([_mutual(rng.permutation(labels), assigned) for _ in range(300)])
    top = _mutual(labels, assigned) - chance
    larger = max(_entropy(labels), _entropy(assigned))
    mean = (_entropy(labels) + _entropy(assigned)) / 2
    assert numbers["ami"] == pytest.approx(top / (larger - chance), abs=5e-3)
    assert numbers["ami_arithmetic"] == pytest.approx(top / (mean - chance), abs=5e-3)
    assert numbers["ami"] < numbers["ami_arithmetic"]


def test_the_table_tells_each_points_cluster_and_distance(digits):
    x, labels = digits
    rows = np.arange(600) * 3 + 7
    _, table = clusters(x, labels, rows, k=10, seed=0)
    assert list(table.columns) == ["row", "cluster", "distance", "label"]
    assert (table["row"] == rows).all()
    assert (table["label"] == labels).all()
    centroids = np.stack([x[table["cluster"] == c].mean(0) for c in range(10)])
    distances = np.linalg.norm(x[:, None] - centroids, axis=2)
    assert (distances.argmin(1) == table["cluster"]).all()
    np.testing.assert_allclose(table["distance"], distances.min(1), rtol=1e-4)


def test_the_seed_decides_and_the_order_of_labels_does_not(digits):
    x, labels = digits
    first, points = clusters(x, labels, np.arange(600), k=10, seed=3)
    again, same = clusters(x, labels, np.arange(600), k=10, seed=3)
    renamed, _ = clusters(x, 9 - labels, np.arange(600), k=10, seed=3)
    assert first.equals(again)
    assert points.equals(same)
    assert renamed["value"].tolist() == pytest.approx(first["value"].tolist())


def test_where_there_are_no_embeddings_there_are_no_points(digits):
    _, points = clusters(*digits, np.arange(600), k=10, seed=0)
    assert no_points().dtypes.equals(points.dtypes)
    assert no_points().empty


@pytest.mark.parametrize(
    ("labels", "assigned", "expected"),
    [
        ([0, 0, 1, 1, 2, 2], [2, 2, 0, 0, 1, 1], 1.0),  # names of clusters do not matter
        ([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1], 5 / 6),
        ([0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 2, 2], 4 / 6),  # one cluster more than classes: it counts as wrong
        ([0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1], 4 / 6),  # one class more than clusters
    ],
)
def test_hungarian_accuracy_by_hand(labels, assigned, expected):
    assert hungarian_accuracy(np.array(labels), np.array(assigned)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        (np.zeros((5, 3)), "5 embeddings are too few for k = 10"),
        (np.where(np.arange(150).reshape(50, 3) == 31, np.nan, 0.5), "1 of 50 embeddings hold NaN"),
        (np.where(np.arange(150).reshape(50, 3) > 140, np.inf, 0.5), "first: number 47"),
    ],
)
def test_what_cannot_be_clustered_is_said_in_one_line(embeddings, message):
    n = len(embeddings)
    with pytest.raises(UserError, match=message) as error:
        clusters(embeddings, np.arange(n) % 10, np.arange(n), k=10)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("embeddings", "points"), [(np.ones((50, 3)), 1), (np.repeat(np.eye(3), 20, axis=0), 3)])
def test_an_encoder_that_has_collapsed_is_a_result(embeddings, points):
    n = len(embeddings)
    with pytest.raises(NotMeasured, match=f"{points} distinct point.*the encoder has collapsed"):
        clusters(embeddings, np.arange(n) % 10, np.arange(n), k=10)


def test_a_test_set_of_mnists_size():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 10_000)
    x = (rng.normal(size=(10, 512))[labels] + rng.normal(size=(10_000, 512))).astype(np.float32)
    values, _ = clusters(x, labels, np.arange(10_000), k=10, n_init=3)
    assert values.set_index("metric").at["ami", "value"] == pytest.approx(1)


def _mutual(a, b):
    counts = np.histogram2d(a, b, bins=[np.arange(11), np.arange(11)])[0] / len(a)
    outer = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True)
    return (counts[counts > 0] * np.log(counts[counts > 0] / outer[counts > 0])).sum()


def _entropy(a):
    p = np.bincount(a)[np.bincount(a) > 0] / len(a)
    return -(p * np.log(p)).sum()
