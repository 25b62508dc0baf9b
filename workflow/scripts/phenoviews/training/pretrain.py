"""The job that trains: it goes on from a checkpoint, keeps one up to date, and writes what came out."""

from __future__ import annotations

import contextlib
import csv
import platform
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import torchvision
import yaml

from phenoviews.data import embeddings
from phenoviews.data.images import Images
from phenoviews.errors import UserError
from phenoviews.files import atomic
from phenoviews.study.resolved import Pretraining
from phenoviews.training import checkpoint as checkpoints
from phenoviews.training.commit import commit
from phenoviews.training.devices import claim, describe, name_of, torch_switches
from phenoviews.training.embed import write_embeddings
from phenoviews.training.history import History, Row
from phenoviews.training.live import Live
from phenoviews.training.loop import Trainer, weights_of
from phenoviews.training.outcome import FINISHED, Outcome, not_a_number
from phenoviews.training.progress import all_steps
from phenoviews.training.snapshots import Snapshots
from phenoviews.training.watch import look


def pretrain(
    run: Pretraining,
    data: Path,
    outputs: dict[str, Path],
    checkpoint: Path,
    weights: Path | None = None,
    threads: int | None = None,
    measures: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    began: float | None = None,
) -> None:
    """Train the run's encoder on the data set's `train` split.

    Args:
        run: everything that decides the training.
        data: the data set's folder.
        outputs: paths of `encoder`, `projector` (state dicts; CPU, float32), `snapshots` ({epochs: both state dicts},
            those after every `training.snapshot_epochs`), `embeddings` (the encoder's, of the evaluated images, as
            `embed` makes them: here, while it is on the device, since every measure needs them),
            `history` (csv, the `Row` of every epoch), `summary` (yaml: how it ended, the run, the versions, the device,
            the data).
        checkpoint: kept up to date every `training.checkpoint_minutes`, after the last step, and on SIGTERM and SIGINT,
            which end the process with status 143 and 130 (SystemExit); a training of the same run goes on from it;
            removed at the end.
        weights: the file to start from where `backbone.init` is not random.
        threads: of the CPU; default: torch's.
        measures: settings of those that are taken every `training.watch_epochs`, by their names.
        began: when the job did, by `time.monotonic`, for the summary's `job_seconds`; default: now.

    A training that fails (`outcome.judged`) ends with the epoch in which it does. All outputs are there: the weights as
    they are then, the history so far, and in place of embeddings the reason why there are none.

    On the CPU the same run, data and number of threads give the same weights bit by bit, interrupted or not.

    Raises UserError for settings that cannot be, images that cannot be read, a full disk: the checkpoint stays.
    """
    began = time.monotonic() if began is None else began
    images, device = Images.open(data), claim()
    _check(run, len(images.rows("train")))
    identity = checkpoints.data_identity(images)
    run_hash = checkpoints.run_hash(run.decisive(), identity, weights)
    with torch_switches(device, threads):
        trainer, history, snapshots = _resumed(run, images, device, weights, checkpoint, run_hash)
        with checkpoints.Termination() as termination:
            looks = partial(look, trainer.method, trainer.run.dataset, images, device, measures)
            outcome = _train(trainer, history, snapshots, looks, checkpoint, run_hash, termination)
            termination.at_once()
            _write(trainer, history.rows, snapshots, outcome, outputs, identity, images, began)
    checkpoints.discard(checkpoint)


def _check(run: Pretraining, images: int) -> None:
    training, name = run.training, run.name
    if training.epochs < 1:
        raise UserError(f"training {name}: training.epochs is {training.epochs}; it must be 1 or more")
    if not 1 <= training.batch_size <= images:
        raise UserError(
            f"training {name}: training.batch_size is {training.batch_size}, but there are {images} training "
            "images; lower it"
        )
    if training.warmup_epochs and training.warmup_epochs >= training.epochs:
        raise UserError(
            f"training {name}: training.warmup_epochs is {training.warmup_epochs}, which leaves nothing of "
            f"training.epochs {training.epochs}; lower it"
        )


def _resumed(
    run: Pretraining, images: Images, device: torch.device, weights: Path | None, checkpoint: Path, run_hash: str
) -> tuple[Trainer, History, Snapshots]:
    """A new trainer, its history and snapshots, gone on from the checkpoint where there is one of this run."""
    trainer, history = Trainer(run, images, device, weights), History(device)
    state = checkpoints.load(checkpoint, run_hash)
    if state is None:
        return trainer, history, {}
    here = trainer.dtype
    try:
        trainer.load_state_dict(state["trainer"])
        history.load_state_dict(state["history"])
        snapshots: Snapshots = state["snapshots"]
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        # The same run, but of other code: the networks or the state have other names or shapes.
        checkpoints.dismissed(checkpoint, f"does not fit this version of the code ({type(error).__name__})")
        return Trainer(run, images, device, weights), History(device), {}
    _say(f"{run.name}: going on from step {trainer.step} of {trainer.steps} ({checkpoint})")
    if trainer.dtype != here:
        began, auto = name_of(trainer.dtype), name_of(here)
        _say(f"{run.name}: it began in {began} and stays so, though `precision: auto` is {auto} on this machine")
    return trainer, history, snapshots


def _train(
    trainer: Trainer,
    history: History,
    snapshots: Snapshots,
    looks: Callable[[], dict[str, float]],
    checkpoint: Path,
    run_hash: str,
    termination: checkpoints.Termination,
) -> Outcome:
    """All steps that are left; fewer where the training fails."""
    training = trainer.run.training

    def end_epoch(epoch: int, lr: float) -> None:
        if trainer.keeper.looks:
            trainer.release()
        ami = trainer.keeper.look(trainer.method, epoch)
        history.end_epoch(trainer.steps_per_epoch * trainer.batch, lr, ami)
        if _is_due(epoch, training.watch_epochs):
            trainer.release()
            history.add_watched(looks())
        if _is_due(epoch, training.snapshot_epochs):
            snapshots[epoch + 1] = weights_of(trainer.method)

    def save() -> None:
        state = {"trainer": trainer.state_dict(), "history": history.state_dict(), "snapshots": snapshots}
        checkpoints.save(checkpoint, run_hash, state)

    name = trainer.run.name
    return all_steps(trainer, history, name, end_epoch, save, Live(checkpoint, "training", name), termination)


def _is_due(epoch: int, every: int) -> bool:
    """Whether `epoch`, which has ended, is one of `every` so many; of none where that is 0."""
    return every > 0 and (epoch + 1) % every == 0


def _write(
    trainer: Trainer,
    rows: list[Row],
    snapshots: Snapshots,
    outcome: Outcome,
    outputs: dict[str, Path],
    identity: dict[str, Any],
    images: Images,
    began: float,
) -> None:
    """All outputs, which appear together, the encoder last."""
    trainer.release()
    best = trainer.keeper.best if outcome == FINISHED else None
    kept = best or weights_of(trainer.method)
    encoder = trainer.method.encoder.eval()
    encoder.load_state_dict(kept["encoder"])
    with contextlib.ExitStack() as stack:
        # Left in reverse: the encoder, whose being there says that all is there, is renamed last.
        names = ("encoder", "projector", "snapshots", "embeddings", "history", "summary")
        files = {name: stack.enter_context(atomic(outputs[name])) for name in names}
        for name, weights in (*((key, kept[key]) for key in ("encoder", "projector")), ("snapshots", snapshots)):
            with files[name].open("wb") as stream:  # a stream, since torch.save writes a path's name into the file
                torch.save(weights, stream)
        dataset, file = trainer.run.dataset, files["embeddings"]
        if outcome == FINISHED and not write_embeddings(encoder, images, dataset, file, trainer.device):
            outcome = not_a_number(rows[-1])  # since the last step, after which there was no loss to tell
        if outcome != FINISHED:
            embeddings.save(file, outcome.what)
            _say(f"training {trainer.run.name}: {outcome.what}; {outcome.remedy}")
        with files["history"].open("w", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        summary = _summary(trainer, rows, outcome, best["epoch"] if best else len(rows) - 1, identity, began)
        files["summary"].write_text(yaml.safe_dump(summary, sort_keys=False))


def _summary(
    trainer: Trainer, rows: list[Row], outcome: Outcome, epoch_kept: int, identity: dict[str, Any], began: float
) -> dict[str, Any]:
    seconds = sum(row["seconds"] for row in rows)
    return {
        "outcome": outcome.what,
        **({"remedy": outcome.remedy} if outcome.remedy else {}),
        **trainer.declared.to_dict(),
        "result": {
            "loss": rows[-1]["loss"],
            "spread": rows[-1]["spread"],
            "epoch_kept": epoch_kept,
            "seconds": round(seconds, 3),
            "job_seconds": round(time.monotonic() - began, 3),
            "images_per_s": round(trainer.step * trainer.batch / seconds, 1),
        },
        "device": describe(trainer.device),
        "precision": name_of(trainer.dtype),
        "threads": torch.get_num_threads(),
        **({"commit": made_by} if (made_by := commit()) else {}),
        "statistics": {"mean": list(trainer.run.dataset.mean), "std": list(trainer.run.dataset.std)},
        "data": identity,
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "torchvision": str(torchvision.__version__),
        },
    }


def _say(line: str) -> None:
    print(f"phenoviews: {line}", file=sys.stderr, flush=True)
