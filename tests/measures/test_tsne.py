from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from phenoviews.errors import UserError
from phenoviews.measures.tsne import tsne


def groups(n: int = 150, k: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % k
    return (10 * rng.normal(size=(k, 16))[labels] + rng.normal(size=(n, 16))).astype(np.float32), labels


def test_neighbours_stay_neighbours():
    x, labels = groups()
    table = tsne(x, np.arange(150) + 1000)
    assert list(table.columns) == ["row", "x", "y"]
    assert (table["row"] == np.arange(150) + 1000).all()
    near = NearestNeighbors(n_neighbors=6).fit(table[["x", "y"]]).kneighbors(return_distance=False)
    assert (labels[near] == labels[:, None]).mean() > 0.95


def test_the_seed_decides_the_map():
    x, _ = groups()
    rows = np.arange(150)
    assert tsne(x, rows, seed=1).equals(tsne(x, rows, seed=1))


def test_at_most_so_many_points_in_order_without_repetition():
    x, _ = groups()
    some = tsne(x, np.arange(150) * 2, points=40, seed=5)
    assert len(some) == 40
    assert some["row"].is_monotonic_increasing
    assert some["row"].is_unique
    assert (some["row"] % 2 == 0).all()
    assert set(tsne(x, np.arange(150) * 2, points=40, seed=6)["row"]) != set(some["row"])


def test_few_points_lower_the_perplexity():
    x, _ = groups()
    assert np.isfinite(tsne(x[:4], np.arange(4))).all().all()
    with pytest.raises(UserError, match="3 embeddings are too few"):
        tsne(x[:3], np.arange(3))


def test_nan_is_refused():
    x, _ = groups()
    x[17, 2] = np.nan
    with pytest.raises(UserError, match=r"1 of 150 embeddings hold NaN or infinity \(first: number 17\)"):
        tsne(x, np.arange(150))
