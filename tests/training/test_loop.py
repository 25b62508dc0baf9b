from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.training.conftest import HEAD, SETS, SIMCLR, STRONG, WEAK, same

from phenoviews.data import Images, pool
from phenoviews.study.resolved import Pretraining
from phenoviews.training.loop import Trainer

CPU = torch.device("cpu")


def trainer_of(run, digits: Path) -> Trainer:
    return Trainer(Pretraining.of(run), Images.open(digits), CPU)


def test_every_pass_sees_each_image_at_most_once_in_an_order_of_its_own(make_run: Callable, digits: Path):
    trainer = trainer_of(make_run(training={"min_iters_per_epoch": 20}), digits)
    assert (trainer.steps_per_pass, trainer.steps_per_epoch, trainer.steps) == (9, 20, 40)
    passes = []
    for first in (0, 9):
        rows = [trainer.rows(step) for step in range(first, first + 9)]
        assert [len(r) for r in rows] == [32] * 9
        passes.append(torch.cat(rows))
    for rows in passes:
        assert len(rows.unique()) == 9 * 32
    assert not torch.equal(*passes)


def test_views_follow_from_seed_and_step_alone(make_run: Callable, digits: Path):
    trainer, rows = trainer_of(make_run(), digits), torch.arange(4)
    [(weight, first, second)] = trainer.views(trainer.take(rows))
    assert weight == 1.0
    assert first.shape == second.shape == (4, 3, 32, 32)
    assert first.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(first, second)
    torch.rand(3)
    assert torch.equal(trainer.views(trainer.take(rows))[0][1], first)
    trainer.step = 1
    assert not torch.equal(trainer.views(trainer.take(rows))[0][1], first)


def test_two_sets_and_two_pipelines(make_run: Callable, digits: Path):
    sets = [{"weight": 0.4, "views": [STRONG, WEAK]}, *SETS]
    trainer = trainer_of(make_run(transform={"name": "dual", "sets": sets}), digits)
    pairs = trainer.views(trainer.take(torch.arange(4)))
    assert [weight for weight, *_ in pairs] == [0.4, 1.0]
    assert all(view.shape == (4, 3, 32, 32) for _, *views in pairs for view in views)
    assert math.isfinite(trainer.advance().item())


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lars"])
@pytest.mark.parametrize("room", [pool.HOST, 0], ids=["resident", "streamed"])
def test_a_state_taken_at_any_step_continues_bit_by_bit(
    make_run: Callable, digits: Path, optimizer: str, room: int, monkeypatch: pytest.MonkeyPatch
):
    """With every optimizer; with every method in test_epochs.py."""
    backbone = {"kind": "resnet18" if optimizer == "lars" else "vgg11"}
    training = {"optimizer": optimizer, "lr": 0.01, "batch_size": 100}  # three steps per epoch
    run = make_run(backbone=backbone, training=training)
    straight = trainer_of(run, digits)
    expected = [straight.advance() for _ in range(5)]
    monkeypatch.setattr(pool, "HOST", room)
    stopped = trainer_of(run, digits)
    for _ in range(2):
        stopped.advance()
    resumed = trainer_of(run, digits)
    resumed.load_state_dict(copy.deepcopy(stopped.state_dict()))
    assert [resumed.advance() for _ in range(3)] == expected[2:]
    assert same(straight.method.state_dict(), resumed.method.state_dict())


def test_a_projector_without_weights_goes_on_bit_by_bit(make_run: Callable, digits: Path):
    run = make_run(method={**SIMCLR, "projector": {**HEAD, "head": "identity"}}, training={"batch_size": 100})
    straight = trainer_of(run, digits)
    straight.advance()
    resumed = trainer_of(run, digits)
    resumed.load_state_dict(copy.deepcopy(straight.state_dict()))
    assert straight.advance() == resumed.advance()
    assert same(straight.method.state_dict(), resumed.method.state_dict())


def test_it_stays_in_the_precision_that_it_began_in(make_run: Callable, digits: Path):
    """As where `auto` begins on one kind of node and goes on on another."""
    began = trainer_of(make_run(training={"precision": "bf16"}), digits)
    began.advance()
    elsewhere = trainer_of(make_run(training={"precision": "fp32"}), digits)
    elsewhere.load_state_dict(began.state_dict())
    assert torch.equal(began.advance(), elsewhere.advance())
    alone = trainer_of(make_run(training={"precision": "fp32"}), digits)
    alone.advance()
    assert not torch.equal(began.advance(), alone.advance())


@pytest.mark.parametrize(("width", "layout"), [(0.125, torch.contiguous_format), (0.25, torch.channels_last)])
def test_weights_and_views_lie_in_the_layout_that_is_safe_for_the_backbone(
    make_run: Callable, digits: Path, width: float, layout: torch.memory_format
):
    trainer = trainer_of(make_run(backbone={"kind": "resnet18", "width": width}), digits)
    [(_, *views)] = trainer.views(trainer.take(torch.arange(4)))
    assert all(view.is_contiguous(memory_format=layout) for view in views)
    strided = trainer.method.encoder.layer2[0].downsample[0].weight
    assert strided.is_contiguous(memory_format=layout)
