"""What the loop promises to methods, kept for every one that there is, and for the smallest that go by epochs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.methods import small, toys
from tests.methods.toys import TOYS
from tests.training.conftest import same

from phenoviews.data import Images
from phenoviews.methods import METHODS
from phenoviews.study.resolved import Pretraining
from phenoviews.training.loop import Trainer
from phenoviews.training.pretrain import pretrain

CPU = torch.device("cpu")
STEPS = 3  # of an epoch
PARAMS = small.PARAMS | toys.PARAMS


@pytest.fixture(autouse=True)
def _more_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, method in TOYS.items():
        monkeypatch.setitem(METHODS, kind, method)


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


@pytest.mark.parametrize("kind", PARAMS)
def test_a_training_that_is_stopped_after_every_step_ends_with_the_same_bits(kind: str, run_of: Callable, few: Path):
    run, images = run_of(kind, epochs=small.EPOCHS + 2, batch_size=16), Images.open(few)
    straight = Trainer(run, images, CPU)
    state = copy.deepcopy(straight.state_dict())
    while straight.step < straight.steps:
        straight.advance()
        resumed = Trainer(run, images, CPU)
        resumed.load_state_dict(copy.deepcopy(state))
        resumed.advance()
        state = resumed.state_dict()
    assert same(straight.method.state_dict(), state["method"])


def test_what_an_epoch_computes_is_computed_once(run_of: Callable, digits: Path):
    run, images = run_of("clustered"), Images.open(digits)
    trainer = Trainer(run, images, CPU)
    for _ in range(STEPS + 1):
        trainer.advance()
    assert trainer.method.clusterings == [1]
    assert len(trainer.method.assigned.unique()) == 3
    resumed = Trainer(run, images, CPU)
    resumed.load_state_dict(trainer.state_dict())
    for _ in range(STEPS):
        resumed.advance()
    assert resumed.method.clusterings == [2]


def test_every_epoch_and_every_seed_draws_its_own(run_of: Callable, digits: Path, monkeypatch: pytest.MonkeyPatch):
    drawn: dict[tuple[int, int], float] = {}

    class Drawing(TOYS["constant_rate"]):
        def before_epoch(self, epoch: int, generator: torch.Generator) -> None:
            assert generator.device == CPU
            drawn[torch.initial_seed(), epoch] = torch.rand((), generator=generator).item()

    monkeypatch.setitem(METHODS, "constant_rate", Drawing)
    for seed in (5, 5, 6):
        run = run_of("constant_rate", epochs=2, batch_size=300)
        trainer = Trainer(Pretraining.from_dict({**run.to_dict(), "seed": seed}), Images.open(digits), CPU)
        trainer.advance()
        trainer.advance()
    assert len(drawn) == len(set(drawn.values())) == 4  # the second training drew what the first had


def test_an_epoch_without_a_loss_learns_nothing(
    run_of: Callable, digits: Path, outputs: dict[str, Path], tmp_path: Path
):
    trainer = Trainer(run_of("clustered"), Images.open(digits), CPU)
    start = {name: value.clone() for name, value in trainer.method.named_parameters()}
    assert [trainer.advance() for _ in range(STEPS)] == [None] * STEPS
    assert same(start, dict(trainer.method.named_parameters()))
    assert trainer.method.memory.norm(dim=1).min() > 0.99  # and has seen every image
    assert trainer.advance() is not None
    assert not same(start, dict(trainer.method.named_parameters()))
    pretrain(run_of("clustered"), digits, outputs, tmp_path / "checkpoint.pt", threads=1)
    lines = outputs["history"].read_text().splitlines()
    assert [line.split(",")[1] == "" for line in lines[1:]] == [True, False, False]


def test_prototypes_freeze_thaw_and_keep_their_length(run_of: Callable, digits: Path):
    trainer = Trainer(run_of("prototypes"), Images.open(digits), CPU)
    prototypes = trainer.method.prototypes.weight
    trainer.advance()
    start = prototypes.detach().clone()
    for _ in range(STEPS - 1):
        trainer.advance()
    torch.testing.assert_close(prototypes.detach(), start)
    trainer.advance()
    assert not torch.allclose(prototypes, start)
    torch.testing.assert_close(prototypes.norm(dim=1), torch.ones(5))


def test_a_group_may_keep_its_learning_rate(run_of: Callable, digits: Path):
    """The predictor's; the others' falls along a cosine."""
    trainer = Trainer(run_of("constant_rate", schedule="cosine"), Images.open(digits), CPU)
    for _ in range(2 * STEPS):
        trainer.advance()
    rest, predictor = trainer.optimizer.param_groups
    assert predictor["lr"] == 0.05
    assert rest["lr"] < 0.03
    assert len(rest["params"]) + len(predictor["params"]) == len(list(trainer.method.parameters()))
