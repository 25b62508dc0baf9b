"""What intensities alone say of an image: the baseline beside which a network has to show that it sees more."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

PERCENTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
PER_CHANNEL = 2 + len(PERCENTILES) + 2


class Intensity(nn.Module):
    """Images (n, C, H, W) → (n, C · `PER_CHANNEL`): of each channel the mean and the standard deviation of its pixels,
    their percentiles, and how far from the centre its light lies, mean and standard deviation, in half sides.

    There are no weights and nothing is learnt. Of the light the least of the channel is taken off first, so that
    neither background nor the scale of the values has a part in where it lies; a channel of one value lies nowhere,
    and has the numbers of an even one.
    """

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.float().flatten(2)
        spread, mean = torch.std_mean(pixels, dim=2, correction=0)
        quantiles = _percentiles(pixels)
        light = pixels - pixels.amin(dim=2, keepdim=True)
        light = torch.where(light.sum(dim=2, keepdim=True) > 0, light, 1.0)
        radius = _radius(images.shape[2], images.shape[3], images.device)
        share = light / light.sum(dim=2, keepdim=True)
        distance = (share * radius).sum(dim=2)
        width = (share * (radius - distance[..., None]).square()).sum(dim=2).sqrt()
        return torch.cat([torch.stack([mean, spread, distance, width]), quantiles]).permute(1, 2, 0).flatten(1)


def _percentiles(pixels: Tensor) -> Tensor:
    """(percentiles, n, C) of (n, C, pixels), between two pixels in proportion. (`torch.quantile` takes no large
    batches.)"""
    ascending = pixels.sort(dim=2).values
    found = []
    for share in PERCENTILES:
        place = share * (pixels.shape[2] - 1)
        below, above = math.floor(place), math.ceil(place)
        found.append(torch.lerp(ascending[..., below], ascending[..., above], place - below))
    return torch.stack(found)


def _radius(height: int, width: int, device: torch.device) -> Tensor:
    """(H · W,): of each pixel the distance from the centre, in halves of the shorter side."""
    half = min(height, width) / 2
    down, across = (
        torch.arange(size, device=device, dtype=torch.float32).sub((size - 1) / 2).div(half) for size in (height, width)
    )
    return torch.hypot(down[:, None], across[None, :]).flatten()
