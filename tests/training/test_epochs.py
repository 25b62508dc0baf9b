"""What the loop promises to methods, kept for every one that there is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.methods import small
from tests.methods.small import PARAMS
from tests.training.conftest import same

from phenoviews.data import Images
from phenoviews.methods import METHODS
from phenoviews.methods.deepcluster import DeepCluster
from phenoviews.methods.simclr import SimCLR
from phenoviews.study.audits import is_shorter_training
from phenoviews.study.resolved import Pretraining
from phenoviews.training.loop import Trainer, weights_of
from phenoviews.training.optim import SCHEDULES
from phenoviews.training.pretrain import pretrain

CPU = torch.device("cpu")
STEPS = 3  # of an epoch


@pytest.fixture
def run_of(make_run: Callable) -> Callable[[str], Pretraining]:
    def run(kind: str, **changes: object) -> Pretraining:
        training = {"epochs": 3, "batch_size": 100, "optimizer": "sgd", "lr": 0.05, **changes}
        return Pretraining.of(make_run(method={"name": kind, **PARAMS[kind]}, training=training))

    return run


@pytest.mark.parametrize("kind", PARAMS)
def test_a_training_goes_on_with_the_same_bits_from_before_any_step(kind: str, run_of: Callable, few: Path):
    """Inside an epoch and between two; while prototypes are frozen, before a queue is in use, and after. It is followed
    until another epoch has begun."""
    run, images = run_of(kind, epochs=small.EPOCHS + 2, batch_size=16), Images.open(few)
    straight, states, losses = Trainer(run, images, CPU), [], []
    while straight.step < straight.steps:
        states.append(copy.deepcopy(straight.state_dict()))
        losses.append(straight.advance())
    states.append(straight.state_dict())
    assert len(losses) == (small.EPOCHS + 2) * STEPS
    for start in range(len(losses)):
        resumed = Trainer(run, images, CPU)
        resumed.load_state_dict(copy.deepcopy(states[start]))
        end = min(start + STEPS, len(losses))
        assert [resumed.advance() for _ in range(start, end)] == losses[start:end]
        assert same(states[end]["method"], resumed.method.state_dict())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", PARAMS)
def test_a_training_that_is_stopped_after_every_step_ends_with_the_same_bits(
    kind: str, precision: str, run_of: Callable, few: Path
):
    run, images = run_of(kind, epochs=small.EPOCHS + 2, batch_size=16, precision=precision), Images.open(few)
    straight = Trainer(run, images, CPU)
    state = copy.deepcopy(straight.state_dict())
    while straight.step < straight.steps:
        straight.advance()
        resumed = Trainer(run, images, CPU)
        resumed.load_state_dict(copy.deepcopy(state))
        resumed.advance()
        state = resumed.state_dict()
    assert same(straight.method.state_dict(), state["method"])


def test_what_an_epoch_computes_is_computed_once(run_of: Callable, digits: Path, monkeypatch: pytest.MonkeyPatch):
    clusterings: list[int] = []

    class Counting(DeepCluster):
        def before_epoch(self, epoch: int, generator: torch.Generator) -> None:
            super().before_epoch(epoch, generator)
            clusterings.append(epoch)

    monkeypatch.setitem(METHODS, "deepcluster", Counting)
    run, images = run_of("deepcluster"), Images.open(digits)
    trainer = Trainer(run, images, CPU)
    for _ in range(STEPS + 1):
        trainer.advance()
    assert clusterings == [0, 1]
    assert len(trainer.method.assigned[0].unique()) > 1
    resumed = Trainer(run, images, CPU)
    resumed.load_state_dict(trainer.state_dict())
    for _ in range(STEPS):
        resumed.advance()
    assert clusterings == [0, 1, 2]


def test_every_epoch_and_every_seed_draws_its_own(run_of: Callable, digits: Path, monkeypatch: pytest.MonkeyPatch):
    drawn: dict[tuple[int, int], float] = {}

    class Drawing(SimCLR):
        def before_epoch(self, epoch: int, generator: torch.Generator) -> None:
            assert generator.device == CPU
            drawn[torch.initial_seed(), epoch] = torch.rand((), generator=generator).item()

    monkeypatch.setitem(METHODS, "simclr", Drawing)
    for seed in (5, 5, 6):
        run = run_of("simclr", epochs=2, batch_size=300)
        trainer = Trainer(Pretraining.from_dict({**run.to_dict(), "seed": seed}), Images.open(digits), CPU)
        trainer.advance()
        trainer.advance()
    assert len(drawn) == len(set(drawn.values())) == 4  # the second training drew what the first had


def test_an_epoch_without_a_loss_learns_nothing(
    run_of: Callable, digits: Path, outputs: dict[str, Path], tmp_path: Path
):
    run = run_of("deepcluster")
    trainer = Trainer(run, Images.open(digits), CPU)
    start = {name: value.clone() for name, value in trainer.method.named_parameters()}
    assert [trainer.advance() for _ in range(STEPS)] == [None] * STEPS
    assert same(start, dict(trainer.method.named_parameters()))
    assert trainer.method.memory.norm(dim=2).min() > 0.99  # and has seen every image
    assert trainer.advance() is not None
    assert not same(start, dict(trainer.method.named_parameters()))
    pretrain(run, digits, outputs, tmp_path / "checkpoint.pt", threads=1)
    lines = outputs["history"].read_text().splitlines()
    assert [line.split(",")[1] == "" for line in lines[1:]] == [True, False, False]


@pytest.mark.parametrize("kind", [kind for kind, parameters in PARAMS.items() if "frozen_epochs" in parameters])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lars"])
def test_frozen_prototypes_do_not_move_nor_decay(kind: str, optimizer: str, run_of: Callable, few: Path):
    run = run_of(kind, batch_size=16, optimizer=optimizer, weight_decay=0.1)
    trainer = Trainer(run, Images.open(few), CPU)
    prototypes = trainer.method.prototypes.weight
    start = prototypes.detach().clone()
    for _ in range(PARAMS[kind]["frozen_epochs"] * STEPS):
        trainer.advance()
        assert torch.equal(prototypes, start)
    trainer.advance()
    assert not torch.equal(prototypes, start)


def test_a_group_may_keep_its_learning_rate(run_of: Callable, few: Path):
    """SimSiam's predictor's, in the warm-up too; the others' rises to the peak and falls along a cosine."""
    run = run_of("simsiam", batch_size=16, epochs=4, schedule="cosine", warmup_epochs=1)
    trainer, rates = Trainer(run, Images.open(few), CPU), []
    while trainer.step < trainer.steps:
        trainer.advance()
        rest, predictor = trainer.optimizer.param_groups
        assert predictor["lr"] == 0.05
        rates.append(rest["lr"])
    assert rates[0] < 1e-3
    assert max(rates) == rates[STEPS] == 0.05
    assert rates[-1] < 0.01
    assert len(rest["params"]) + len(predictor["params"]) == len(list(trainer.method.parameters()))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("kind", PARAMS)
def test_weights_on_the_way_are_those_of_a_shorter_training_where_an_audit_says_so_and_not_elsewhere(
    kind: str, schedule: str, run_of: Callable, few: Path
):
    images = Images.open(few)
    short, long = (
        Trainer(run_of(kind, epochs=epochs, batch_size=16, schedule=schedule), images, CPU)
        for epochs in (small.EPOCHS + 1, small.EPOCHS + 3)
    )
    for trainer in (short, long):
        while trainer.step < short.steps:
            trainer.advance()
    alike = same(weights_of(short.method)["encoder"], weights_of(long.method)["encoder"])
    assert alike == is_shorter_training(long.run)
