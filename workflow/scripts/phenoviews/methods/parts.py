"""What several methods are made of: heads, momentum copies, queues."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phenoviews.errors import UserError


def mlp(
    inputs: int, hidden: Sequence[int], out: int, batch_norm: bool, activation: type[nn.Module] = nn.ReLU
) -> nn.Sequential:
    """A head (n, inputs) → (n, out): per hidden size Linear, BatchNorm if wanted, activation; then Linear.

    The form of solo-learn's projectors and predictors of SimCLR, MoCo v2+, BYOL and VICReg; all linear layers
    have biases and torch's default start.
    """
    layers: list[nn.Module] = []
    for size in hidden:
        layers.append(nn.Linear(inputs, size))
        if batch_norm:
            layers.append(nn.BatchNorm1d(size))
        layers.append(activation())
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, out))


def projector(inputs: int, hidden: Sequence[int | str], out: int, batch_norm: bool, head: str = "mlp") -> nn.Sequential:
    """A method's projector (n, inputs) → (n, dim), with the attribute `dim`, as a backbone has one.

    `head`: `mlp` of all the others, where a hidden size `encoder` stands for `inputs`, the encoder's own width;
    `linear`: one Linear(inputs, out); `identity`: the features themselves. What a head has no use for is ignored, so
    that another head is one change of a setting.

    Raises `UserError` for another head.
    """
    match head:
        case "mlp":
            built = mlp(inputs, [inputs if size == "encoder" else size for size in hidden], out, batch_norm)
        case "linear":
            built = mlp(inputs, [], out, batch_norm)
        case "identity":
            built = nn.Sequential()
        case other:
            raise UserError(f"projector head: {other!r} is none of mlp, linear, identity")
    built.dim = inputs if head == "identity" else out
    return built


def momentum_tau(ema: Sequence[float], progress: float) -> float:
    """final - (final - base) · (cos(π · progress) + 1) / 2: from `ema` = (base, final) at progress 0 to final
    at 1 (BYOL, section 3.1 there; solo-learn)."""
    base, final = ema
    return final - (final - base) * (math.cos(math.pi * progress) + 1) / 2


class Momentum(nn.Module):
    """A slow copy of networks in a row: its parameters follow theirs as an exponential moving average.

    Only the parameters do: BatchNorm's statistics come from the copy's own forward passes in training mode.
    """

    def __init__(self, networks: Sequence[nn.Module], ema: Sequence[float]):
        super().__init__()
        self.ema = tuple(ema)
        self.network = nn.Sequential(*map(copy.deepcopy, networks)).requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)

    @torch.no_grad()
    def update(self, networks: Sequence[nn.Module], progress: float) -> None:
        """slow ← tau · slow + (1 - tau) · trained, with tau at `progress` of the training."""
        slow = list(self.network.parameters())
        trained = [p for network in networks for p in network.parameters()]
        torch._foreach_lerp_(slow, trained, 1 - momentum_tau(self.ema, progress))


class Queue(nn.Module):
    """The last `length` embeddings, each of length 1; random directions at first.

    `entries`: (length, dim) float32. `pointer`: int64 scalar on the device, where the next entry goes.
    """

    entries: Tensor
    pointer: Tensor

    def __init__(self, length: int, dim: int):
        super().__init__()
        self.register_buffer("entries", F.normalize(torch.randn(length, dim), dim=1))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Write keys (n, dim) over the oldest entries, around the end; of more than `length` the last stay."""
        length = len(self.entries)
        keys = keys[-length:]
        places = (self.pointer + torch.arange(len(keys), device=keys.device)) % length
        self.entries.index_copy_(0, places, keys.to(self.entries.dtype))
        self.pointer.add_(len(keys)).remainder_(length)
