"""Every method of `METHODS` as config.yaml has it, with small sizes, and a step of its training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from phenoviews import methods
from phenoviews.models import Backbone
from phenoviews.study.schema import complete, part

LARGEST = 16  # of the sizes of heads and queues
N = 6  # images of a batch


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


def small(value: Any) -> Any:
    """`value` with its whole numbers no larger than `LARGEST`."""
    if isinstance(value, dict):
        return {key: small(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [small(entry) for entry in value]
    return min(value, LARGEST) if isinstance(value, int) and not isinstance(value, bool) else value


def shipped() -> dict[str, dict[str, Any]]:
    """The hyper-parameters of each kind of method that is trained, from the first entry of config.yaml."""
    entries = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())["methods"]
    found: dict[str, dict[str, Any]] = {}
    for entry in entries.values():
        parameters = {key: value for key, value in entry.items() if key not in ("label", "training")}
        if entry["kind"] != "frozen":
            found.setdefault(entry["kind"], complete(small(parameters), part("method")))
    return found


PARAMS = shipped()


def build(kind: str, sets: int = 1, images: int = N, **changes: Any) -> methods.Method:
    return methods.build(PARAMS[kind] | changes, Encoder(), sets, images)


def views(n: int = N) -> Tensor:
    return torch.randn(n, 3, 8, 8)


def pair(n: int = N) -> list[tuple[float, Tensor, Tensor]]:
    """The views of one set of transformations."""
    return [(1.0, views(n), views(n))]


def loss_of(method: methods.Method, pairs: list[tuple[float, Tensor, Tensor]]) -> Tensor:
    return method(pairs, torch.arange(len(pairs[0][1])))


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
