"""A step as one CUDA graph: what it takes for granted does not change behind it, and its numbers are the plain ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.methods.small import PARAMS

from phenoviews.data import Images
from phenoviews.study.resolved import Pretraining, Resolved
from phenoviews.training.capture import assumed
from phenoviews.training.loop import Trainer

STEPS = 9  # of an epoch of the digits here

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def trainer_of(run: Resolved, digits: Path, device: str = "cpu") -> Trainer:
    return Trainer(Pretraining.of(run), Images.open(digits), torch.device(device, 0 if device == "cuda" else None))


def run_of(make_run: Callable, kind: str, **changes: Any) -> Resolved:
    training = {"epochs": 3, "min_iters_per_epoch": 0, "lr": 0.01, **changes.pop("training", {})}
    return make_run(method={"name": kind, "kind": kind, **PARAMS[kind], **changes}, training=training)


@pytest.mark.parametrize("kind", PARAMS)
def test_nothing_that_a_capture_assumes_changes_within_an_epoch(make_run: Callable, digits: Path, kind: str):
    trainer = trainer_of(run_of(make_run, kind), digits)
    assert trainer.steps_per_epoch == STEPS
    for _ in range(2):
        trainer.advance()
        at_first = assumed(trainer.trained)
        while trainer.step % STEPS:
            trainer.advance()
            assert assumed(trainer.trained) == at_first


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("swav", {"frozen_epochs": 1, "queue_from_epoch": 9}),
        ("swav", {"frozen_epochs": 0, "queue_from_epoch": 1}),
        ("dino", {"frozen_epochs": 0, "teacher_temperature": [0.04, 0.07], "teacher_warmup_epochs": 3}),
        ("deepcluster", {}),
    ],
)
def test_an_epoch_whose_steps_are_other_ones_is_noticed(make_run: Callable, digits: Path, kind: str, changes: dict):
    trainer = trainer_of(run_of(make_run, kind, **changes), digits)
    trainer.advance()
    before = assumed(trainer.trained)
    while trainer.step <= STEPS:
        trainer.advance()
    assert assumed(trainer.trained) != before


def test_moved_weights_and_other_settings_are_noticed(make_run: Callable, digits: Path):
    method = trainer_of(run_of(make_run, "simclr"), digits).method
    before = assumed(method)
    assert assumed(method) == before
    method.temperature *= 2
    assert assumed(method) != before
    method.temperature /= 2
    weight = next(method.parameters())
    weight.data = weight.data.clone()
    assert assumed(method) != before


# ------------------------------------------------------------------------------------------------------- on a GPU


@pytest.fixture
def repeatable() -> Iterator[None]:
    """The same kernels and the same order of every sum, so that equal steps give equal bits."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.deterministic, before = True, torch.backends.cudnn.deterministic
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = before


def trained(run: Resolved, digits: Path, capture: bool, interrupted_at: int | None = None) -> tuple[list, dict]:
    """The losses of all steps, and the state after them."""
    trainer, losses = trainer_of(run, digits, "cuda"), []
    while trainer.step < trainer.steps:
        if trainer.step == interrupted_at:
            state = trainer.state_dict()
            trainer = trainer_of(run, digits, "cuda")
            trainer.load_state_dict(state)
        if not capture:
            trainer.captured = None
        loss = trainer.advance()
        losses.append(math.nan if loss is None else loss.item())
    return losses, trainer.method.state_dict()


def same(a: tuple[list, dict], b: tuple[list, dict]) -> None:
    torch.testing.assert_close(torch.tensor(a[0]), torch.tensor(b[0]), rtol=0, atol=0, equal_nan=True)
    for name, value in a[1].items():
        assert torch.equal(value, b[1][name]), name


@gpu
@pytest.mark.usefixtures("repeatable")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", PARAMS)
def test_a_captured_training_is_the_plain_one_bit_by_bit(make_run: Callable, digits: Path, kind: str, precision: str):
    run = run_of(make_run, kind, training={"precision": precision})
    same(trained(run, digits, capture=True), trained(run, digits, capture=False))


@gpu
@pytest.mark.usefixtures("repeatable")
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lars"])
@pytest.mark.parametrize("at", [1, 5, STEPS, STEPS + 6])
def test_a_captured_training_goes_on_bit_by_bit(make_run: Callable, digits: Path, optimizer: str, at: int):
    run = run_of(make_run, "moco", training={"optimizer": optimizer, "warmup_epochs": 1})
    alone = trained(run, digits, capture=True)
    same(alone, trained(run, digits, capture=True, interrupted_at=at))
    same(alone, trained(run, digits, capture=False))
