"""Every method of `METHODS` as config.yaml has it, with small sizes and few epochs, and a step of its training."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from phenoviews import methods
from phenoviews.models import Backbone
from phenoviews.study.schema import complete, part

LARGEST = 16  # of the sizes of heads and queues
EPOCHS = 2  # at most, of what a method does in its first epochs only, or not yet
LATE = 99  # an epoch in which nothing of that is left
N = 6  # images of a batch
IMAGES = 3 * N  # to train with


class Encoder(Backbone):
    """A small convolutional network with BatchNorm, in the form of a backbone."""

    def __init__(self) -> None:
        layers: dict[str, nn.Module] = {
            "convolution": nn.Conv2d(3, 12, 3, stride=2),
            "norm": nn.BatchNorm2d(12),
            "relu": nn.ReLU(),
            "pool": nn.AdaptiveAvgPool2d(1),
            "flat": nn.Flatten(),
        }
        super().__init__(layers, dim=12)


def small(value: Any, largest: int = LARGEST) -> Any:
    """`value` with its whole numbers no larger than `largest`, and those of epochs than `EPOCHS`."""
    if isinstance(value, dict):
        return {key: small(entry, EPOCHS if "epoch" in key else largest) for key, entry in value.items()}
    if isinstance(value, list):
        return [small(entry, largest) for entry in value]
    return min(value, largest) if isinstance(value, int) and not isinstance(value, bool) else value


def shipped() -> dict[str, dict[str, Any]]:
    """The hyper-parameters of each kind of method that is trained, from the first entry of config.yaml."""
    entries = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())["methods"]
    found: dict[str, dict[str, Any]] = {}
    for entry in entries.values():
        parameters = {key: value for key, value in entry.items() if key not in ("label", "backbone")}
        if entry["kind"] != "frozen":
            found.setdefault(entry["kind"], complete(small(parameters), part("method")))
    return found


PARAMS = shipped()


def new(kind: str, sets: int = 1, images: int = IMAGES, **changes: Any) -> methods.Method:
    """A method before its first epoch."""
    return methods.build(PARAMS[kind] | changes, Encoder(), sets, images)


def begin(method: methods.Method, epoch: int) -> None:
    """What the training loop does as an epoch begins."""
    method.enter_epoch(epoch)
    method.before_epoch(epoch, torch.Generator().manual_seed(epoch))


def build(kind: str, sets: int = 1, images: int = IMAGES, **changes: Any) -> methods.Method:
    """A method in the midst of its training: nothing is frozen, every queue is in use, and what has to look at all
    images before it learns has looked."""
    method = new(kind, sets, images, **changes)
    begin(method, 0)
    if loss_of(copy.deepcopy(method), pair()) is None:
        for rows in torch.arange(images).split(N):
            method(pair(len(rows)), rows)
            method.after_step(0.0)
    begin(method, LATE)
    return method


def views(n: int = N) -> Tensor:
    return torch.randn(n, 3, 8, 8)


def pair(n: int = N) -> list[tuple[float, Tensor, Tensor]]:
    """The views of one set of transformations."""
    return [(1.0, views(n), views(n))]


def loss_of(method: methods.Method, pairs: list[tuple[float, Tensor, Tensor]]) -> Tensor:
    first = pairs[0][1]
    return method(pairs, torch.arange(len(first), device=first.device))


def step(
    method: methods.Method,
    pairs: list[tuple[float, Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    progress: float,
) -> Tensor:
    """What the training loop does."""
    loss = loss_of(method, pairs)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    method.after_step(progress)
    return loss.detach()


def sgd(method: methods.Method) -> torch.optim.Optimizer:
    return torch.optim.SGD(method.parameter_groups(), lr=0.01, momentum=0.9)
