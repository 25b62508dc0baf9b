"""Real processes, killed: what they leave, and that the next one goes on from it."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import pandas as pd
import pytest
import torch
from tests.methods.small import PARAMS
from tests.training.conftest import same

from phenoviews.data import Images
from phenoviews.study.resolved import Method, Pretraining, Resolved
from phenoviews.training import checkpoint as checkpoints
from phenoviews.training.history import History
from phenoviews.training.loop import Trainer
from phenoviews.training.pretrain import pretrain

# Children of a server that has torch imported and nothing running: real processes, without the seconds of import.
START = multiprocessing.get_context("forkserver")
START.set_forkserver_preload(["phenoviews.training.pretrain"])


def job(run: Pretraining, data: Path, outputs: dict[str, Path], checkpoint: Path, log: Path) -> None:
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(stream, sys.stderr.fileno())
    pretrain(run, data, outputs, checkpoint, threads=1)


@pytest.fixture
def run(make_run: Callable[..., Resolved]) -> Pretraining:
    """75 steps, a checkpoint about every 0.15 s."""
    return Pretraining.of(
        make_run(training={"epochs": 3, "min_iters_per_epoch": 25, "checkpoint_minutes": 0.0025, "snapshot_epochs": 1})
    )


@pytest.fixture
def start(
    digits: Path, outputs: dict[str, Path], tmp_path: Path
) -> Callable[[Pretraining, Callable[[], object]], BaseProcess]:
    """start(run, sign) starts the training in a process of its own; returns when `sign` gives something else than
    before."""

    def start(run: Pretraining, sign: Callable[[], object]) -> BaseProcess:
        before = sign()
        process = START.Process(target=job, args=(run, digits, outputs, tmp_path / "state.pt", tmp_path / "log"))
        process.start()
        while sign() == before:
            assert process.is_alive(), "the training ended before the sign"
            time.sleep(0.002)
        return process

    return start


@pytest.mark.parametrize("kind", ["moco", "deepcluster"])
def test_killed_at_random_moments_it_ends_with_the_same_bits(
    start: Callable,
    run: Pretraining,
    digits: Path,
    outputs: dict[str, Path],
    tmp_path: Path,
    kind: str,
):
    run = replace(run, method=Method.from_dict({"name": kind, **PARAMS[kind]}))
    undisturbed = {name: tmp_path / "undisturbed" / path.name for name, path in outputs.items()}
    pretrain(run, digits, undisturbed, tmp_path / "other.pt", threads=1)

    def saved() -> int | None:
        checkpoint = tmp_path / "state.pt"
        return checkpoint.stat().st_mtime_ns if checkpoint.exists() else None

    chance = random.Random()  # other moments in every call: none may matter
    for _ in range(3):
        process = start(run, saved)
        time.sleep(chance.uniform(0, 0.2))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert not outputs["encoder"].exists()
    pretrain(run, digits, outputs, tmp_path / "state.pt", threads=1)

    assert (tmp_path / "log").read_text().count("going on from step") == 2
    for name in ("encoder", "projector"):
        assert outputs[name].read_bytes() == undisturbed[name].read_bytes()
    ours, theirs = (torch.load(paths["snapshots"], weights_only=True) for paths in (outputs, undisturbed))
    assert list(ours) == [1, 2, 3]
    for epochs, networks in theirs.items():
        assert all(same(ours[epochs][name], networks[name]) for name in ("encoder", "projector"))
    columns = ["epoch", "loss", "lr", "spread"]
    a, b = (pd.read_csv(paths["history"])[columns] for paths in (outputs, undisturbed))
    pd.testing.assert_frame_equal(a, b, check_exact=True)
    assert not list(tmp_path.glob("*state*"))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_lets_the_step_be_finished_and_saved(
    start: Callable, run: Pretraining, outputs: dict[str, Path], tmp_path: Path, number: int, status: int
):
    """SIGTERM as a scheduler sends it, SIGINT as Ctrl-C does."""
    # So that what is there afterwards is of the signal.
    run = replace(run, training=replace(run.training, checkpoint_minutes=60))
    process = start(run, lambda: (tmp_path / "log").exists() and "0/75" in (tmp_path / "log").read_text())
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == status
    assert torch.load(tmp_path / "state.pt", weights_only=True)["state"]["trainer"]["step"] > 0
    assert not outputs["encoder"].parent.exists()


@pytest.fixture
def short(run: Pretraining) -> Pretraining:
    return replace(run, training=replace(run.training, epochs=1, min_iters_per_epoch=0, batch_size=150))


def test_a_damaged_checkpoint_costs_the_progress_not_the_run(
    short: Pretraining, digits: Path, outputs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture
):
    (tmp_path / "state.pt").write_bytes(b"half a file")
    pretrain(short, digits, outputs, tmp_path / "state.pt", threads=1)
    assert f"the checkpoint {tmp_path / 'state.pt'} is damaged" in capsys.readouterr().err
    assert outputs["encoder"].exists()
    assert not (tmp_path / "state.pt").exists()


def test_a_state_of_other_code_is_reported(
    short: Pretraining, digits: Path, outputs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture
):
    images = Images.open(digits)
    cpu = torch.device("cpu")
    state = {"trainer": Trainer(short, images, cpu).state_dict(), "history": History(cpu).state_dict()}
    weights = state["trainer"]["method"]
    weights["renamed"] = weights.popitem()[1]
    run_hash = checkpoints.run_hash(short.decisive(), checkpoints.data_identity(images), None)
    checkpoints.save(tmp_path / "state.pt", run_hash, state)
    pretrain(short, digits, outputs, tmp_path / "state.pt", threads=1)
    assert "does not fit this version of the code (RuntimeError): starting from the" in capsys.readouterr().err
    first = outputs["encoder"].read_bytes()
    pretrain(short, digits, outputs, tmp_path / "state.pt", threads=1)
    assert outputs["encoder"].read_bytes() == first  # nothing of the other state is left in it
