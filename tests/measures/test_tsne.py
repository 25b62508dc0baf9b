from __future__ import annotations

import subprocess
import sys

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


EQUAL = """
import sys
import numpy as np
from phenoviews.measures.tsne import tsne

def case(name, x):
    n = len(x)
    if name == "all equal":
        x[:] = x[0]
    elif name == "all zero":
        x[:] = 0
    elif name == "half equal":
        x[: n // 2] = x[0]
    elif name == "half zero":
        x[::2] = 0
    elif name.endswith(" kinds"):
        x = x[np.arange(n) % int(name.split()[0])]
    elif name == "nearly equal":
        x = x[:1] + np.float32(1e-7) * x
    elif name == "tiny":
        x *= np.float32(1e-30)
    elif name == "huge":
        x *= np.float32(1e30)
    return x

for name in sys.argv[2:]:
    n = 1000 if name in ("all equal", "half equal") else 40
    x = case(name, np.random.default_rng(0).normal(size=(n, 16)).astype(np.float32))
    print(f"{n} points, {name}, {sys.argv[1]}", flush=True)
    xy = tsne(x, np.arange(n), metric=sys.argv[1])[["x", "y"]].to_numpy()
    assert xy.shape == (n, 2) and np.isfinite(xy).all(), xy
    _, place = np.unique(x, axis=0, return_inverse=True)
    _, mapped = np.unique(xy, axis=0, return_inverse=True)
    of = {}
    for point, spot in zip(place.ravel().tolist(), mapped.ravel().tolist()):
        assert of.setdefault(point, spot) == spot, "equal points lie apart"
    if "kinds" in name or "half" in name:
        assert len(set(of.values())) == len(of), "unequal points lie together"
"""


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_equal_points_are_one_point_of_the_map(root, metric):
    """In a process of its own: what scikit-learn's quadtree cannot take ends the process with SIGSEGV."""
    names = ["all equal", "all zero", "half equal", "half zero", "1 kinds", "2 kinds", "3 kinds", "4 kinds", "10 kinds",
             "nearly equal", "tiny", "huge"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", EQUAL, metric, *names],
        env={"PYTHONPATH": str(root / "workflow/scripts")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"ended with {done.returncode} at {done.stdout.splitlines()[-1:]}\n{done.stderr}"
