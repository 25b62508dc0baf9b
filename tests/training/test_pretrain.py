from __future__ import annotations

import errno
import math
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
import yaml
from tests.training.conftest import HEAD, SETS, SIMCLR, STRONG, WEAK, same
from torch import Tensor

from phenoviews import models
from phenoviews.data import Images, embeddings, pool
from phenoviews.errors import NotMeasured, UserError
from phenoviews.study.resolved import Embedding, Pretraining, Resolved
from phenoviews.training import embed as embedding
from phenoviews.training.devices import autocast_dtype
from phenoviews.training.embed import embed
from phenoviews.training.loop import Trainer
from phenoviews.training.pretrain import pretrain
from phenoviews.training.snapshots import embedded


@pytest.fixture
def train(digits: Path, outputs: dict[str, Path], tmp_path: Path) -> Callable[[Resolved], dict[str, Tensor]]:
    def train(run: Resolved) -> dict[str, Tensor]:
        pretrain(Pretraining.of(run), digits, outputs, tmp_path / "checkpoint.pt", threads=1)
        return torch.load(outputs["encoder"], weights_only=True)

    return train


# ------------------------------------------------------------------------------------------------------ what comes out


def test_outputs(train: Callable, make_run: Callable, outputs: dict[str, Path], tmp_path: Path):
    run = make_run()
    encoder = train(run)
    assert not list(tmp_path.glob("**/*checkpoint*"))
    assert {p for p in outputs["encoder"].parent.rglob("*") if p.is_file()} == set(outputs.values())

    # torchvision's names; float32 (BatchNorm's counters are whole numbers), contiguous, on the CPU
    names = {k for k in torchvision.models.vgg11_bn(weights=None).state_dict() if not k.startswith("classifier")}
    assert encoder.keys() == names
    for value in encoder.values():
        assert value.dtype in (torch.float32, torch.int64)
        assert value.is_contiguous()
        assert value.device.type == "cpu"
    models.load_into(models.build(run.backbone.to_dict()), encoder, "encoder.pt")
    assert torch.load(outputs["projector"], weights_only=True)["2.weight"].shape == (16, 32)

    history = pd.read_csv(outputs["history"])
    assert list(history["epoch"]) == [0, 1]
    assert (history["loss"] > 0).all()
    assert history["lr"].iloc[0] == pytest.approx(1e-3 * (1 + math.cos(math.pi * 8 / 18)) / 2)
    assert (history["images_per_s"] * history["seconds"]).tolist() == pytest.approx([9 * 32] * 2)
    assert history["spread"].between(0.01, 1).all()

    summary = yaml.safe_load(outputs["summary"].read_text())
    assert summary["outcome"] == "finished"
    assert "remedy" not in summary
    resolved = Pretraining.of(run).to_dict()
    assert {key: summary[key] for key in resolved} == resolved
    assert summary["result"]["loss"] == pytest.approx(history["loss"].iloc[-1])
    assert summary["result"]["epoch_kept"] == 1
    assert summary["data"]["images"] == 450
    assert summary["threads"] == 1
    assert summary["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize(("precision", "name"), [("bf16", "bfloat16"), ("fp32", "float32")])
def test_the_precision_is_recorded(
    train: Callable, make_run: Callable, outputs: dict[str, Path], precision: str, name: str
):
    train(make_run(training={"epochs": 1, "precision": precision}))
    assert yaml.safe_load(outputs["summary"].read_text())["precision"] == name


@pytest.mark.skipif(autocast_dtype("auto", torch.device("cpu")) is None, reason="no CPU that multiplies in bfloat16")
def test_on_another_kind_of_node_it_goes_on_in_the_precision_that_it_began_in_and_says_so(
    train: Callable,
    make_run: Callable,
    outputs: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    run, folder = make_run(), outputs["encoder"].parent
    undisturbed = train(run)
    shutil.rmtree(folder)
    folder.write_text("a file where a folder should be made")
    with pytest.raises(NotADirectoryError):
        train(run)
    folder.unlink()
    assert (tmp_path / "checkpoint.pt").exists()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")
    capsys.readouterr()
    assert same(train(run), undisturbed)
    assert (
        "it began in bfloat16 and stays so, though `precision: auto` is float32 on this machine"
        in capsys.readouterr().err
    )
    assert yaml.safe_load(outputs["summary"].read_text())["precision"] == "bfloat16"


def test_embeddings_are_those_of_the_written_encoder(
    train: Callable, make_run: Callable, outputs: dict[str, Path], digits: Path, tmp_path: Path
):
    for keep in ("last", "best_ami"):
        run = make_run(training={"keep": keep})
        train(run)
        embed(Embedding.of(run), digits, outputs["encoder"], outputs["projector"], tmp_path / "again.npy", threads=1)
        np.testing.assert_array_equal(np.load(outputs["embeddings"]), np.load(tmp_path / "again.npy"))


def test_snapshots_are_the_weights_on_the_way(
    train: Callable, make_run: Callable, outputs: dict[str, Path], digits: Path, tmp_path: Path
):
    simclr = SIMCLR  # which does not know how many epochs are to follow
    settings = {"schedule": "constant", "batch_size": 100}
    after_two = train(make_run(method=simclr, training={**settings, "epochs": 2}))
    assert torch.load(outputs["snapshots"], weights_only=True) == {}
    run = make_run(method=simclr, training={**settings, "epochs": 5, "snapshot_epochs": 2})
    train(run)
    found = torch.load(outputs["snapshots"], weights_only=True)
    assert list(found) == [2, 4]
    assert same(found[2]["encoder"], after_two)

    def embeddings(evaluate: str) -> dict[int, np.ndarray]:
        of = Embedding.of(replace(run, evaluate=evaluate))
        found = embedded(of, digits, outputs["snapshots"], tmp_path, threads=1)
        return {epochs: np.load(files["embeddings"]) for epochs, files in found}

    for evaluate in ("encoder", "projector"):
        by_epoch = embeddings(evaluate)
        assert list(by_epoch) == [2, 4]
        for name in ("encoder", "projector"):
            torch.save(found[4][name], tmp_path / f"{name}.pt")
        files = (tmp_path / "encoder.pt", tmp_path / "projector.pt", tmp_path / "four.npy")
        embed(Embedding.of(replace(run, evaluate=evaluate)), digits, *files, threads=1)
        np.testing.assert_array_equal(by_epoch[4], np.load(tmp_path / "four.npy"))


def test_without_snapshots_there_is_a_reason(train: Callable, make_run: Callable, outputs: dict, digits: Path):
    run = make_run(training={"epochs": 1, "snapshot_epochs": 2})
    train(run)
    with pytest.raises(NotMeasured, match=r"no epoch that was trained is a multiple of .*training\.snapshot_epochs"):
        next(embedded(Embedding.of(run), digits, outputs["snapshots"], outputs["snapshots"].parent))


@pytest.mark.parametrize(("head", "weights"), [("identity", set()), ("linear", {"0.weight", "0.bias"})])
def test_a_projector_of_another_head_is_written_and_read(
    train: Callable, make_run: Callable, outputs: dict[str, Path], digits: Path, tmp_path: Path, head: str, weights: set
):
    """Of a head without weights nothing is written, and its embeddings are the encoder's."""
    simclr = {**SIMCLR, "projector": {**HEAD, "head": head}}
    run = make_run(method=simclr, transform={"sets": SETS}, training={"epochs": 1}, evaluate="projector")
    train(run)
    assert torch.load(outputs["projector"], weights_only=True).keys() == weights
    again = tmp_path / "projected.npy"
    embed(Embedding.of(run), digits, outputs["encoder"], outputs["projector"], again, threads=1)
    encoded, projected = np.load(outputs["embeddings"]), np.load(again)
    assert projected.shape == (150, 16 if weights else 64)
    assert np.array_equal(encoded, projected) == (not weights)


def test_same_seed_same_bits_and_another_seed_others(train: Callable, make_run: Callable, outputs: dict[str, Path]):
    first = train(make_run(training={"epochs": 1}))
    written = outputs["encoder"].read_bytes()
    torch.manual_seed(99)  # whatever state the process is in
    torch.rand(5)
    assert same(first, train(make_run(training={"epochs": 1})))
    assert outputs["encoder"].read_bytes() == written
    assert not same(first, train(make_run(training={"epochs": 1}, seed=6)))


def test_streamed_images_train_to_the_same_bits(
    train: Callable, make_run: Callable, outputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
):
    """Of both kinds of pairs, of every network, and of the embeddings; the views of the test split stream too."""
    run = make_run(transform={"sets": [{"weight": 0.4, "views": [STRONG, WEAK]}, *SETS]}, training={"keep": "best_ami"})
    train(run)
    names = ("encoder", "projector", "embeddings")
    written = [outputs[name].read_bytes() for name in names]
    monkeypatch.setattr(pool, "HOST", 0)
    train(run)
    assert [outputs[name].read_bytes() for name in names] == written


def test_own_mean_and_std(train: Callable, make_run: Callable, outputs: dict[str, Path], digits: Path):
    """They train as the same numbers given do; the run's record says that they were the images' own, and what they
    were."""
    numbers = pool.with_statistics(Images.open(digits), {"mean": "own"})
    first = train(make_run(dataset=numbers))
    second = train(make_run(dataset={"mean": "own", "std": "own"}))
    assert same(first, second)
    summary = yaml.safe_load(outputs["summary"].read_text())
    assert (summary["dataset"]["mean"], summary["dataset"]["std"]) == ("own", "own")
    assert summary["statistics"] == {"mean": numbers["mean"], "std": numbers["std"]}


def test_it_learns(train: Callable, make_run: Callable, outputs: dict[str, Path]):
    train(make_run(method=SIMCLR, transform={"sets": SETS}, training={"epochs": 5}))
    loss = pd.read_csv(outputs["history"])["loss"]
    assert loss.iloc[-1] < math.log(2 * 32 - 1) - 0.5  # of a guess


def test_keep_best_ami(train: Callable, make_run: Callable, outputs: dict[str, Path]):
    last = train(make_run())
    best = train(make_run(training={"keep": "best_ami"}))
    history, summary = pd.read_csv(outputs["history"]), yaml.safe_load(outputs["summary"].read_text())
    assert history["ami"].between(0, 1).all()
    kept = summary["result"]["epoch_kept"]
    assert kept == history["ami"].argmax()
    # Looking at the test images changes nothing in the training itself.
    assert same(last, best) == (kept == 1)


# ------------------------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"epochs": -1}}, r"training\.epochs is -1; it must be 1 or more"),
        ({"training": {"batch_size": 301}}, r"batch_size is 301, but there are 300 training images; lower it"),
        ({"training": {"batch_size": 0}}, r"batch_size is 0"),
        ({"training": {"warmup_epochs": 2}}, r"warmup_epochs is 2, which leaves nothing of training\.epochs 2"),
        ({"training": {"precision": "fp16"}}, r"precision: fp16 needs a GPU"),
    ],
)
def test_settings_that_cannot_be(train: Callable, make_run: Callable, tmp_path: Path, changes: dict, message: str):
    with pytest.raises(UserError, match=message):
        train(make_run(**changes))
    assert not any(tmp_path.iterdir())


# -------------------------------------------------------------------------------------------------------------- failed


def failed(outputs: dict[str, Path], tmp_path: Path) -> tuple[pd.DataFrame, dict]:
    """The history and the summary of a training that failed, whose other outputs are there too."""
    assert not list(tmp_path.glob("*checkpoint*"))
    summary = yaml.safe_load(outputs["summary"].read_text())
    with pytest.raises(NotMeasured) as reason:
        embeddings.load(outputs["embeddings"])
    assert str(reason.value) == summary["outcome"]
    for name in ("encoder", "projector"):
        assert torch.load(outputs[name], weights_only=True)
    return pd.read_csv(outputs["history"]), summary


def test_a_loss_that_is_not_finite_ends_the_training(
    train: Callable, make_run: Callable, outputs: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture
):
    settings = {"optimizer": "sgd", "lr": 1e30, "precision": "fp32", "schedule": "constant", "checkpoint_minutes": 0}
    train(make_run(training={**settings, "epochs": 3}))
    history, summary = failed(outputs, tmp_path)
    assert summary["outcome"] == "not a number in epoch 0, lr 1e+30"
    assert "lower training.lr" in summary["remedy"]
    assert outputs["history"].read_text().splitlines()[1].startswith("0,nan,")
    assert len(history) == 1
    assert "training digits/first/moco/tiny/seed5: not a number in epoch 0" in capfd.readouterr().err


def test_weights_that_only_the_last_step_breaks(
    train: Callable, make_run: Callable, outputs: dict[str, Path], tmp_path: Path
):
    """A single step: its loss is that of the start."""
    settings = {"optimizer": "sgd", "lr": 1e30, "precision": "fp32", "schedule": "constant"}
    train(make_run(training={**settings, "epochs": 1, "batch_size": 300}))
    history, summary = failed(outputs, tmp_path)
    assert summary["outcome"] == "not a number in epoch 0, lr 1e+30"
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("keep", ["last", "best_ami"])
def test_a_collapse_ends_the_training_with_the_weights_of_its_end(
    train: Callable, make_run: Callable, outputs: dict[str, Path], tmp_path: Path, keep: str
):
    simclr = SIMCLR  # which does not know how many epochs are to follow
    settings = {"schedule": "constant", "batch_size": 100, "keep": keep}
    after_three = train(make_run(method=simclr, training={**settings, "keep": "last", "epochs": 3}))
    failing = make_run(method=simclr, training={**settings, "epochs": 5, "min_spread": 1.5})
    assert same(train(failing), after_three)
    history, summary = failed(outputs, tmp_path)
    assert list(history["epoch"]) == [0, 1, 2]
    assert summary["outcome"] == f"collapsed in epoch 2, spread {history['spread'].iloc[-1]:.2g}"
    assert "lower training.lr" in summary["remedy"]
    assert summary["result"]["epoch_kept"] == 2


def test_a_failure_is_written_also_after_a_kill(
    train: Callable, make_run: Callable, outputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Killed when it had failed and had not written it: the next call makes no step."""
    run, folder = make_run(training={"epochs": 5, "min_spread": 1.5}), outputs["encoder"].parent
    folder.write_text("a file where a folder should be made")
    with pytest.raises(NotADirectoryError):
        train(run)
    folder.unlink()
    assert (tmp_path / "checkpoint.pt").exists()
    monkeypatch.setattr(Trainer, "advance", lambda trainer: pytest.fail("a step"))
    train(run)
    _, summary = failed(outputs, tmp_path)
    assert summary["outcome"].startswith("collapsed in epoch 2")


def test_a_least_spread_of_0_lets_it_go_on(train: Callable, make_run: Callable, outputs: dict[str, Path]):
    train(make_run(training={"epochs": 4, "min_spread": 0}))
    assert len(pd.read_csv(outputs["history"])) == 4
    assert yaml.safe_load(outputs["summary"].read_text())["outcome"] == "finished"


# --------------------------------------------------------------------------------------------------------- interrupted


def test_a_disk_that_fails_once_costs_no_progress(
    train: Callable,
    make_run: Callable,
    outputs: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    run = make_run(training={"checkpoint_minutes": 0})
    undisturbed = train(run)
    outputs["encoder"].unlink()
    monkeypatch.setattr(pool, "HOST", 0)
    steps, advance, read = [], Trainer.advance, os.preadv

    def counted(trainer: Trainer) -> None:
        steps.append(trainer.step)
        advance(trainer)

    def failing(*args: object) -> int:
        if len(steps) > 10:
            raise OSError(errno.ESTALE, "Stale file handle")
        return read(*args)

    monkeypatch.setattr(Trainer, "advance", counted)
    monkeypatch.setattr(os, "preadv", failing)
    with pytest.raises(UserError, match=r"images\.npy: cannot be read \(.*Stale file handle"):
        train(run)
    assert (tmp_path / "checkpoint.pt").exists()
    assert not outputs["encoder"].exists()
    failed = steps[-1]
    steps.clear()
    monkeypatch.setattr(os, "preadv", read)
    assert same(train(run), undisturbed)
    assert steps == list(range(failed, 18))


@pytest.mark.parametrize("keep", ["last", "best_ami"])
def test_outputs_that_fail_cost_no_step(
    train: Callable,
    make_run: Callable,
    outputs: dict[str, Path],
    digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keep: str,
):
    """Embedding breaks off, by SIGTERM and by an error, half-way; the next call only embeds."""
    run = make_run(training={"keep": keep})
    monkeypatch.setattr(pool, "HOST", 0)
    monkeypatch.setattr(embedding, "BATCH", 50)
    monkeypatch.setattr(embedding, "CHUNK", 1)
    train(run)
    names = ("encoder", "projector", "embeddings")
    undisturbed = [outputs.pop(name).read_bytes() for name in names]
    history = pd.read_csv(outputs.pop("history"))
    outputs |= {name: tmp_path / "again" / f"{name}.out" for name in (*names, "snapshots", "history", "summary")}

    images, read, checkpoint = Images.open(digits).array, os.preadv, tmp_path / "checkpoint.pt"
    last = images.offset + 400 * images[0].nbytes  # the third batch of the test split

    def broken(fail: Callable[[], None]) -> Callable:
        def some(file: int, buffers: object, offset: int) -> int:
            if offset >= last and checkpoint.exists():  # which is there after the last step only
                fail()
            return read(file, buffers, offset)

        return some

    def unreadable() -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    before = signal.getsignal(signal.SIGTERM)
    # Once, though several threads read: a second signal would end this very process.
    signals = [signal.SIGTERM]
    monkeypatch.setattr(os, "preadv", broken(lambda: signals and os.kill(os.getpid(), signals.pop())))
    with pytest.raises(SystemExit, match="143"):
        train(run)
    assert signal.getsignal(signal.SIGTERM) is before
    assert not list((tmp_path / "again").iterdir())

    monkeypatch.setattr(Trainer, "advance", lambda trainer: pytest.fail("a step"))
    monkeypatch.setattr(os, "preadv", broken(unreadable))
    with pytest.raises(UserError, match="cannot be read"):
        train(run)
    monkeypatch.setattr(os, "preadv", read)
    train(run)
    assert [outputs[name].read_bytes() for name in names] == undisturbed
    columns = ["epoch", "loss", "lr", "spread", "ami"]
    pd.testing.assert_frame_equal(pd.read_csv(outputs["history"])[columns], history[columns], check_exact=True)
    assert not list(tmp_path.glob("*checkpoint*"))
    assert set((tmp_path / "again").iterdir()) == set(outputs.values())
