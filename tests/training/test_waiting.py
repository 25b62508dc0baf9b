"""A step hands the device its work and waits for no answer: on a GPU that wait would be longer than many a step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.methods.small import PARAMS
from torch.utils._python_dispatch import TorchDispatchMode

from phenoviews.data import Images
from phenoviews.study.resolved import Pretraining, Resolved
from phenoviews.training.loop import Trainer

aten = torch.ops.aten
# What cannot be answered before the numbers are there: `.item()`, `if tensor`, and what has as many rows as they say.
ANSWERS = {aten._local_scalar_dense, aten.nonzero, aten.equal, aten.masked_select, aten._unique2, aten.unique_dim}
INDEXED = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}


class Waiting(TorchDispatchMode):
    """Notes every operation that waits for the device, by its name; seen on the CPU as well."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        packet = function.overloadpacket
        masks = [
            one for one in (arguments[1] if packet in INDEXED else []) if one is not None and one.dtype == torch.bool
        ]
        if packet in ANSWERS or masks:
            self.seen.append(str(packet))
        return function(*arguments, **(named or {}))


def method_of(kind: str) -> dict[str, Any]:
    return {"name": kind, "kind": kind, **PARAMS[kind]}


def steps_of(run: Resolved, digits: Path, device: torch.device) -> Trainer:
    """Two steps on: in the middle of an epoch, with whatever the first step makes made."""
    trainer = Trainer(Pretraining.of(run), Images.open(digits), device)
    trainer.advance()
    trainer.advance()
    return trainer


@pytest.mark.parametrize(
    "look", [lambda x: x.sum().item(), lambda x: bool(x.any()), lambda x: x[x > 0], lambda x: x.nonzero()]
)
def test_what_waits_is_seen(look: Callable):
    with Waiting() as waiting:
        look(torch.arange(3))
    assert waiting.seen


@pytest.mark.parametrize("kind", PARAMS)
def test_no_method_waits_within_its_step(make_run: Callable, digits: Path, kind: str):
    trainer = steps_of(make_run(method=method_of(kind)), digits, torch.device("cpu"))
    with Waiting() as waiting:
        trainer.advance()
    assert waiting.seen == []


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lars"])
def test_no_optimizer_waits(make_run: Callable, digits: Path, optimizer: str):
    trainer = steps_of(make_run(training={"optimizer": optimizer, "lr": 0.01}), digits, torch.device("cpu"))
    with Waiting() as waiting:
        trainer.advance()
    assert waiting.seen == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lars"])
@pytest.mark.parametrize("kind", PARAMS)
def test_the_gpu_is_never_waited_for(make_run: Callable, digits: Path, kind: str, optimizer: str):
    """As CUDA itself sees it."""
    run = make_run(method=method_of(kind), training={"optimizer": optimizer, "lr": 0.01})
    trainer = steps_of(run, digits, torch.device("cuda", 0))
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer.advance()
    finally:
        torch.cuda.set_sync_debug_mode("default")
