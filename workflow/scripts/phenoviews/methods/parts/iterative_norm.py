"""Whitening over the batch by Newton's iterations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-5  # beside the variances
MOMENTUM = 0.1  # of the running statistics


class IterativeNorm(nn.Module):
    """Iterative normalisation (Huang et al. 2019): embeddings (n, dim) → (n, dim), float32. Groups of dimensions are
    whitened over the batch, each by itself, so far as a few iterations do; then every dimension has a weight and a
    bias, which are trained, as in batch normalisation.

    `groups`: at most as many, of equal sizes: dim / groups rounded up, and halved until it divides dim (the authors'
    rule). In evaluation mode it takes the running mean and whitening matrices.
    """

    running_mean: Tensor
    running_whitening: Tensor

    def __init__(self, dim: int, groups: int, iterations: int):
        super().__init__()
        size = -(-dim // groups)
        while dim % size:
            size //= 2
        self.shape = (dim // size, size)
        self.iterations = iterations
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.register_buffer("running_mean", torch.zeros(*self.shape, 1))
        self.register_buffer("running_whitening", torch.eye(size).repeat(self.shape[0], 1, 1))

    def forward(self, embeddings: Tensor) -> Tensor:
        with torch.autocast(embeddings.device.type, enabled=False):
            grouped = embeddings.float().T.reshape(*self.shape, len(embeddings))
            if self.training:
                mean = grouped.mean(dim=2, keepdim=True)
                whitening = inverse_root(covariance(grouped - mean), self.iterations)
                self.running_mean.lerp_(mean.detach(), MOMENTUM)
                self.running_whitening.lerp_(whitening.detach(), MOMENTUM)
            else:
                mean, whitening = self.running_mean, self.running_whitening
            white = whitening @ (grouped - mean)
            return white.reshape(len(self.weight), -1).T * self.weight + self.bias


def covariance(centred: Tensor) -> Tensor:
    """Of every group (…, size, n), the mean over the batch: (…, size, size), with `EPSILON` on the diagonal."""
    size, n = centred.shape[-2:]
    return centred @ centred.mT / n + EPSILON * torch.eye(size, dtype=centred.dtype, device=centred.device)


def inverse_root(matrices: Tensor, iterations: int) -> Tensor:
    """About M^(-1/2) of symmetric positive matrices (…, d, d), by Newton's iterations from the identity (algorithm 1
    there): P ← (3 P - P³ S) / 2, with S = M / trace(M), for which it converges to S^(-1/2). S P is carried along, since
    the rounding errors of the plain form grow without bound (Higham 2008, section 6.4)."""
    trace = matrices.diagonal(dim1=-2, dim2=-1).sum(dim=-1)[..., None, None]
    identity = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    root, other = identity.expand_as(matrices), matrices / trace
    for _ in range(iterations):
        step = (3 * identity - root @ other) / 2
        root, other = step @ root, other @ step
    return root / trace.sqrt()
