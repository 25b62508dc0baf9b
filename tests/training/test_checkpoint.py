from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.conftest import MOCO as METHOD

from phenoviews.data import Images, write
from phenoviews.study.resolved import Pretraining, Resolved
from phenoviews.training import checkpoint as checkpoints


def test_the_hash_covers_what_decides_the_weights(make_run: Callable[..., Resolved], tmp_path: Path):
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"some")
    data = {"sha256": "a"}

    def found(weights: Path | None = None, **changes: object) -> str:
        return checkpoints.run_hash(Pretraining.of(make_run(**changes)).decisive(), data, weights)

    same = [
        {},
        {"name": "another"},
        {"scale": "paper"},
        {"evaluate": "projector"},
        {"probe": {"lr": 3.0}},
        *({section: {"name": "another"}} for section in ("dataset", "transform", "backbone")),
        {"method": {**METHOD, "name": "another"}},
        {"dataset": {"evaluated": "all"}},
        {"training": {"checkpoint_minutes": 1}},
        {"training": {"min_spread": 0.1}},
    ]
    assert {found(**change) for change in same} == {found()}
    others = [
        {"seed": 6},
        {"dataset": {"size": 28}},
        {"dataset": {"mean": [0.1] * 3}},
        {"transform": {"sets": [{"weight": 0.5, "views": [[{"normalize": {}}]] * 2}]}},
        {"method": {**METHOD, "temperature": 0.1}},
        {"training": {"lr": 2e-3}},
        {"training": {"epochs": 3}},
        {"backbone": {"width": 0.25}},
        # Which epoch is kept depends on the output that is evaluated.
        {"training": {"keep": "best_ami"}},
        {"training": {"keep": "best_ami"}, "evaluate": "projector"},
    ]
    assert len({found(), *(found(**change) for change in others)}) == 1 + len(others)
    run = Pretraining.of(make_run())
    assert checkpoints.run_hash(run.decisive(), {"sha256": "b"}, None) != found()
    with_weights = found(weights)
    weights.write_bytes(b"other")
    assert len({found(), with_weights, found(weights)}) == 3


def test_the_identity_of_data_changes_with_an_image_or_a_label(digits: Path, tmp_path: Path):
    images = Images.open(digits)
    before = checkpoints.data_identity(images)
    assert before == checkpoints.data_identity(Images.open(digits))
    assert before["images"] == 450
    assert before["shape"] == [8, 8, 1]
    array, index = np.array(images.array), images.index.copy()
    array[7, 0, 0, 0] ^= 1
    write(tmp_path / "images.npy", tmp_path / "index.parquet", array, index)
    assert checkpoints.data_identity(Images.open(tmp_path))["sha256"] != before["sha256"]
    index.loc[[0, 1], ["label", "class"]] = index.loc[[1, 0], ["label", "class"]].to_numpy()
    write(tmp_path / "images.npy", tmp_path / "index.parquet", np.array(images.array), index)
    assert checkpoints.data_identity(Images.open(tmp_path))["sha256"] != before["sha256"]


def test_saved_state_comes_back(tmp_path: Path):
    path = tmp_path / "state.pt"
    assert checkpoints.load(path, "mine") is None
    state = {"step": 3, "weights": torch.arange(4.0), "history": [{"loss": 1.5, "ami": None}]}
    checkpoints.save(path, "mine", state)
    found = checkpoints.load(path, "mine")
    assert torch.equal(found.pop("weights"), state.pop("weights"))
    assert found == state


def test_another_runs_and_a_damaged_checkpoint_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture):
    path = tmp_path / "state.pt"
    checkpoints.save(path, "mine", {"weights": torch.arange(1000.0)})
    assert checkpoints.load(path, "other") is None
    assert f"the checkpoint {path} belongs to other settings or data: starting" in capsys.readouterr().err
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"not a checkpoint", whole[:2000] + b"\xff" + whole[2001:]):
        path.write_bytes(damaged)
        assert checkpoints.load(path, "mine") is None
        assert f"the checkpoint {path} is damaged" in capsys.readouterr().err


def test_a_checkpoint_executes_no_code(tmp_path: Path, capsys: pytest.CaptureFixture):
    class Hostile:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"run": "mine", "state": Hostile()}, tmp_path / "state.pt")
    assert checkpoints.load(tmp_path / "state.pt", "mine") is None
    assert "is damaged (UnpicklingError)" in capsys.readouterr().err
    assert not (tmp_path / "executed").exists()


def test_discarding_takes_half_written_ones_along(tmp_path: Path):
    for name in ("state.pt", ".state.1a2b.part.pt", "other.pt", ".other.1a2b.part.pt"):
        (tmp_path / name).touch()
    checkpoints.discard(tmp_path / "state.pt")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other.1a2b.part.pt", "other.pt"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_and_then_as_before(number: int):
    before = signal.getsignal(number)
    with checkpoints.Termination() as termination:
        assert not termination.requested
        os.kill(os.getpid(), number)
        assert termination.requested
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_once(number: int):
    """Also one that came before."""
    before = signal.getsignal(number)
    with checkpoints.Termination() as termination:
        termination.at_once()
        with pytest.raises(SystemExit, match=str(128 + number)):
            os.kill(os.getpid(), number)
    with checkpoints.Termination() as termination:
        os.kill(os.getpid(), number)
        with pytest.raises(SystemExit, match=str(128 + number)):
            termination.at_once()
    assert signal.getsignal(number) is before
