from __future__ import annotations

import errno
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
import yaml
from torch import Tensor

from phenoviews import models
from phenoviews.data import Images, pool
from phenoviews.errors import UserError
from phenoviews.training import checkpoint as checkpoints
from phenoviews.training import embed, pretrain
from phenoviews.training.loop import Trainer, spread

CPU = torch.device("cpu")
STRONG = [{"random_horizontal_flip": {"p": 0.5}}, {"random_crop": {"fraction": [0.8, 1.0]}}, {"normalize": {}}]
WEAK = [{"random_rotation": {"degrees": 10}}, {"normalize": {}}]
SETS = [{"weight": 1.0, "views": [WEAK, WEAK]}]
HEAD = {"hidden": [32], "out": 16, "batch_norm": False}
METHODS = {
    "simclr": {"kind": "simclr", "temperature": 0.2, "projector": HEAD},
    "simclr+head=identity": {"kind": "simclr", "temperature": 0.2, "projector": {**HEAD, "head": "identity"}},
    "byol": {
        "kind": "byol",
        "ema": [0.99, 1.0],
        "projector": {"hidden": [32], "out": 16, "batch_norm": True},
        "predictor": {"hidden": [32], "batch_norm": True},
    },
    "vicreg": {
        "kind": "vicreg",
        "invariance": 25.0,
        "variance": 25.0,
        "covariance": 1.0,
        "projector": {"hidden": [32], "out": 16, "batch_norm": True},
    },
}


@pytest.fixture
def train(digits: Path, outputs: dict[str, Path], tmp_path: Path) -> Callable[[dict], dict[str, Tensor]]:
    def train(run: dict) -> dict[str, Tensor]:
        pretrain(run, digits, outputs, tmp_path / "checkpoint.pt", threads=1)
        return torch.load(outputs["encoder"], weights_only=True)

    return train


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


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
        assert value.device == CPU
    models.load_into(models.build(run["backbone"]), encoder, "encoder.pt")
    assert torch.load(outputs["projector"], weights_only=True)["2.weight"].shape == (16, 32)

    history = pd.read_csv(outputs["history"])
    assert list(history["epoch"]) == [0, 1]
    assert (history["loss"] > 0).all()
    assert history["lr"].iloc[0] == pytest.approx(1e-3 * (1 + math.cos(math.pi * 8 / 18)) / 2)
    assert (history["images_per_s"] * history["seconds"]).tolist() == pytest.approx([9 * 32] * 2)
    assert history["spread"].between(0.01, 1).all()

    summary = yaml.safe_load(outputs["summary"].read_text())
    assert {key: summary[key] for key in run} == run
    assert summary["result"]["loss"] == pytest.approx(history["loss"].iloc[-1])
    assert summary["result"]["epoch_kept"] == 1
    assert summary["data"]["images"] == 450
    assert summary["threads"] == 1
    assert summary["versions"]["torch"] == torch.__version__


def test_embeddings_are_those_of_the_written_encoder(
    train: Callable, make_run: Callable, outputs: dict[str, Path], digits: Path, tmp_path: Path
):
    for keep in ("last", "best_ami"):
        run = make_run(training={"keep": keep})
        train(run)
        embed(run, digits, outputs["encoder"], outputs["projector"], tmp_path / "again.npy", threads=1)
        np.testing.assert_array_equal(np.load(outputs["embeddings"]), np.load(tmp_path / "again.npy"))


@pytest.mark.parametrize(("head", "weights"), [("identity", set()), ("linear", {"0.weight", "0.bias"})])
def test_a_projector_of_another_head_is_written_and_read(
    train: Callable, make_run: Callable, outputs: dict[str, Path], digits: Path, tmp_path: Path, head: str, weights: set
):
    """Of a head without weights nothing is written, and its embeddings are the encoder's."""
    simclr = {"name": "simclr", **METHODS["simclr"], "projector": {**HEAD, "head": head}}
    run = make_run(method=simclr, transform={"sets": SETS}, training={"epochs": 1})
    train(run)
    assert torch.load(outputs["projector"], weights_only=True).keys() == weights
    again = tmp_path / "projected.npy"
    embed({**run, "evaluate": "projector"}, digits, outputs["encoder"], outputs["projector"], again, threads=1)
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
    """They train as the same numbers given do, and the run's record says them."""
    numbers = pool.shown(Images.open(digits), {"mean": "own"})
    first = train(make_run(dataset=numbers))
    second = train(make_run(dataset={"mean": "own", "std": "own"}))
    assert same(first, second)
    summary = yaml.safe_load(outputs["summary"].read_text())
    assert (summary["dataset"]["mean"], summary["dataset"]["std"]) == (numbers["mean"], numbers["std"])


def test_it_learns(train: Callable, make_run: Callable, outputs: dict[str, Path]):
    simclr = {"name": "simclr", **METHODS["simclr"]}
    train(make_run(method=simclr, transform={"sets": SETS}, training={"epochs": 5}))
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


def test_a_loss_that_is_not_finite_is_an_error(train: Callable, make_run: Callable, tmp_path: Path):
    settings = {"optimizer": "sgd", "lr": 1e30, "precision": "fp32", "checkpoint_minutes": 0}
    with pytest.raises(UserError, match=r"training digits/first/moco/tiny/seed5: the loss is nan in epoch 0, at lr"):
        train(make_run(training=settings))
    assert not any(tmp_path.iterdir())


def test_a_collapse_is_an_error(train: Callable, make_run: Callable, tmp_path: Path):
    with pytest.raises(UserError, match=r"seed5: collapsed, the embedding spread is .* in epoch 2 and was below"):
        train(make_run(training={"epochs": 4, "min_spread": 1.5, "checkpoint_minutes": 0}))
    assert not any(tmp_path.iterdir())


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
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keep: str,
):
    """Embedding breaks off, by SIGTERM and by an error, half-way; the next call only embeds."""
    run = make_run(training={"keep": keep})
    train(run)
    names = ("encoder", "projector", "embeddings")
    undisturbed = [outputs.pop(name).read_bytes() for name in names]
    history = pd.read_csv(outputs.pop("history"))
    outputs |= {name: tmp_path / "again" / f"{name}.out" for name in (*names, "history", "summary")}

    module = sys.modules["phenoviews.training.embed"]
    fetched = module._fetched

    def broken(fail: Callable[[], None]) -> Callable:
        def some(*arguments: object) -> Iterator[np.ndarray]:
            yield next(fetched(*arguments))[:100]
            fail()

        return some

    def unreadable() -> None:
        raise UserError("images.npy: cannot be read")

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(module, "_fetched", broken(lambda: os.kill(os.getpid(), signal.SIGTERM)))
    with pytest.raises(SystemExit, match="143"):
        train(run)
    assert signal.getsignal(signal.SIGTERM) is before
    assert not list((tmp_path / "again").iterdir())

    monkeypatch.setattr(Trainer, "advance", lambda trainer: pytest.fail("a step"))
    monkeypatch.setattr(module, "_fetched", broken(unreadable))
    with pytest.raises(UserError, match="cannot be read"):
        train(run)
    monkeypatch.setattr(module, "_fetched", fetched)
    train(run)
    assert [outputs[name].read_bytes() for name in names] == undisturbed
    columns = ["epoch", "loss", "lr", "spread"]
    pd.testing.assert_frame_equal(pd.read_csv(outputs["history"])[columns], history[columns], check_exact=True)
    assert not list(tmp_path.glob("*checkpoint*"))
    assert set((tmp_path / "again").iterdir()) == set(outputs.values())


# -------------------------------------------------------------------------------------------------------------- within


def test_spread_of_directions():
    torch.manual_seed(0)
    everywhere = torch.randn(2000, 64) * torch.rand(2000, 1)
    assert spread(everywhere).item() == pytest.approx(1, abs=0.02)
    assert spread(torch.randn(1, 64).expand(100, 64)).item() == pytest.approx(0, abs=1e-6)
    half = torch.cat([everywhere[:, :32], torch.zeros(2000, 32)], dim=1)  # half of the dimensions are not used
    assert spread(half).item() == pytest.approx(math.sqrt(0.5), abs=0.02)


def test_every_pass_sees_each_image_at_most_once_in_an_order_of_its_own(make_run: Callable, digits: Path):
    trainer = Trainer(make_run(training={"min_iters_per_epoch": 20}), Images.open(digits), CPU)
    assert (trainer.steps_per_pass, trainer.steps_per_epoch, trainer.steps) == (9, 20, 40)
    passes = []
    for _ in range(2):
        rows = []
        for _ in range(9):
            rows.append(trainer._rows(trainer.step))
            trainer.step += 1
        assert [len(r) for r in rows] == [32] * 9
        passes.append(torch.cat(rows))
    for rows in passes:
        assert len(rows.unique()) == 9 * 32
    assert not torch.equal(*passes)


def test_views_follow_from_seed_and_step_alone(make_run: Callable, digits: Path):
    trainer, rows = Trainer(make_run(), Images.open(digits), CPU), torch.arange(4)
    [(weight, first, second)] = trainer.views(rows)
    assert weight == 1.0
    assert first.shape == second.shape == (4, 3, 32, 32)
    assert first.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(first, second)
    torch.rand(3)
    assert torch.equal(trainer.views(rows)[0][1], first)
    trainer.step = 1
    assert not torch.equal(trainer.views(rows)[0][1], first)


def test_two_sets_and_two_pipelines(make_run: Callable, digits: Path):
    sets = [{"weight": 0.4, "views": [STRONG, WEAK]}, *SETS]
    trainer = Trainer(make_run(transform={"name": "dual", "sets": sets}), Images.open(digits), CPU)
    pairs = trainer.views(torch.arange(4))
    assert [weight for weight, *_ in pairs] == [0.4, 1.0]
    assert all(view.shape == (4, 3, 32, 32) for _, *views in pairs for view in views)
    trainer.advance()
    assert math.isfinite(trainer.mean_loss())


@pytest.mark.parametrize(("method", "optimizer"), [*((m, "sgd") for m in METHODS), ("moco", "adam"), ("byol", "lars")])
@pytest.mark.parametrize("room", [pool.HOST, 0], ids=["resident", "streamed"])
def test_a_state_taken_at_any_step_continues_bit_by_bit(
    make_run: Callable,
    digits: Path,
    tmp_path: Path,
    method: str,
    optimizer: str,
    room: int,
    monkeypatch: pytest.MonkeyPatch,
):
    changes = {"method": {"name": method, **METHODS[method]}} if method in METHODS else {}
    backbone = {"kind": "resnet18" if optimizer == "lars" else "vgg11"}
    run = make_run(
        **changes, backbone=backbone, training={"optimizer": optimizer, "lr": 0.01, "min_iters_per_epoch": 3}
    )
    run["training"]["batch_size"] = 100  # three steps per epoch
    images = Images.open(digits)

    def advance(trainer: Trainer, steps: int) -> Trainer:
        for _ in range(steps):
            trainer.advance()
            if trainer.step % trainer.steps_per_epoch == 0:
                trainer.end_epoch()
        return trainer

    straight = advance(Trainer(run, images, CPU), 5)
    monkeypatch.setattr(pool, "HOST", room)
    checkpoints.save(tmp_path / "state.pt", "run", advance(Trainer(run, images, CPU), 2).state_dict())
    resumed = Trainer(run, images, CPU)
    resumed.load_state_dict(checkpoints.load(tmp_path / "state.pt", "run"))
    advance(resumed, 3)
    assert same(straight.method.state_dict(), resumed.method.state_dict())
    assert straight.mean_loss() == resumed.mean_loss()
    assert straight.history[0]["loss"] == resumed.history[0]["loss"]
    assert straight.history[0]["spread"] == resumed.history[0]["spread"]
