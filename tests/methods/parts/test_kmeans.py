"""K-means of directions by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from phenoviews.errors import UserError
from phenoviews.methods.parts import kmeans
from phenoviews.methods.parts.float32 import unit
from phenoviews.methods.parts.kmeans import spherical_k_means


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def angles(*degrees: float) -> torch.Tensor:
    radians = torch.tensor(degrees).deg2rad()
    return torch.stack([radians.cos(), radians.sin()], dim=1)


def test_two_bundles_of_directions():
    """Wherever it starts: around 10° and around 200°."""
    points = angles(0, 10, 20, 190, 200, 210)
    for seed in range(5):
        centroids, nearest = spherical_k_means(points, 2, 5, generator(seed))
        assert nearest[:3].unique().numel() == nearest[3:].unique().numel() == 1
        torch.testing.assert_close(centroids[nearest[[0, 3]]], angles(10, 200))


def test_one_iteration_by_hand():
    """Without iterations the centroids are the points that were drawn, with one the directions of their sums."""
    points = angles(0, 20, 90, 130)
    drawn = torch.randperm(4, generator=generator(1))[:2]
    start, _ = spherical_k_means(points, 2, 0, generator(1))
    assert torch.equal(start, points[drawn])
    nearest = (points @ start.T).argmax(1)
    centroids, after = spherical_k_means(points, 2, 1, generator(1))
    expected = torch.stack([points[nearest == cluster].sum(0) for cluster in range(2)])
    torch.testing.assert_close(centroids, expected / expected.norm(dim=1, keepdim=True))
    assert torch.equal(after, (points @ centroids.T).argmax(1))


def test_on_tight_bundles_it_finds_scikit_learns_clusters():
    torch.manual_seed(3)
    centres = unit(torch.randn(5, 16))
    points = unit(centres.repeat(30, 1) + 0.05 * torch.randn(150, 16))
    found = [spherical_k_means(points, 5, 20, generator(seed)) for seed in range(20)]
    best = max(found, key=lambda each: (points * each[0][each[1]]).sum())[1]
    theirs = KMeans(5, n_init=10, random_state=0).fit(points.numpy()).labels_
    assert len(np.unique(np.stack([best.numpy(), theirs]), axis=1).T) == 5


def test_a_centroid_without_points_stays():
    """Equal points go to the first of equal centroids, which leaves the second without."""
    points = angles(30, 30, 30)
    centroids, nearest = spherical_k_means(points, 2, 3, generator())
    assert nearest.tolist() == [0, 0, 0]
    torch.testing.assert_close(centroids, points[:2])


def test_points_in_chunks_are_clustered_the_same(monkeypatch):
    points = unit(torch.randn(50, 4))
    whole = spherical_k_means(points, 6, 4, generator())
    monkeypatch.setattr(kmeans, "CHUNK", 7)
    for ours, theirs in zip(spherical_k_means(points, 6, 4, generator()), whole, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_generator_decides():
    points = unit(torch.randn(100, 4))
    first, again, other = (spherical_k_means(points, 9, 3, generator(seed))[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_fewer_points_than_clusters_are_refused():
    with pytest.raises(UserError, match="3 images for 4 clusters; lower"):
        spherical_k_means(angles(0, 1, 2), 4, 1, generator())
