"""K-means of directions, on the device."""

from __future__ import annotations

import torch
from torch import Tensor

from phenoviews.errors import UserError
from phenoviews.methods.parts.float32 import unit

CHUNK = 8192  # points that are compared with all centroids at a time


@torch.no_grad()
def spherical_k_means(
    points: Tensor, clusters: int, iterations: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """K-means by the cosine of points (n, d) of length 1 → (centroids of length 1 (clusters, d), the nearest one of
    each point (n), int64).

    It starts from as many of the points, drawn by `generator`, which is on the CPU. A centroid without points stays
    where it is. Waits for the device.

    Raises `UserError` for fewer points than clusters.
    """
    if len(points) < clusters:
        raise UserError(f"K-means: there are {len(points)} images for {clusters} clusters; lower their number")
    start = torch.randperm(len(points), generator=generator)[:clusters]
    centroids = points[start.to(points.device)]
    for _ in range(iterations):
        nearest = _nearest(points, centroids)
        sums = torch.zeros_like(centroids).index_add_(0, nearest, points)
        empty = torch.ones(clusters, dtype=torch.bool, device=points.device).index_fill_(0, nearest, False)
        centroids = unit(torch.where(empty[:, None], centroids, sums))
    return centroids, _nearest(points, centroids)


def _nearest(points: Tensor, centroids: Tensor) -> Tensor:
    return torch.cat([(chunk @ centroids.T).argmax(dim=1) for chunk in points.split(CHUNK)])
