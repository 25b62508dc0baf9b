"""The training loop, one for all methods.

The images are on the device from the start, or, where they do not fit, the next step's are read from the disk during
this one. A step picks its rows, makes both views on the device, and trains. Which rows, and every random number of the
views, follow from (seed, step) alone, so a step needs nothing but the weights before it.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torchvision
import yaml
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from phenoviews import methods, models
from phenoviews.data.images import Images
from phenoviews.data.pool import bits, pool, shown
from phenoviews.errors import UserError
from phenoviews.files import atomic
from phenoviews.training import checkpoint as checkpoints
from phenoviews.training import optim
from phenoviews.training.devices import autocast_dtype, claim, describe, settled
from phenoviews.training.embed import embedder, evaluation_view, features, write_embeddings
from phenoviews.views import Transform


class TrainingFailed(UserError):
    """The training itself cannot go on, and would not from its checkpoint either."""


def pretrain(
    run: dict,
    data: Path,
    outputs: dict[str, Path],
    checkpoint: Path,
    weights: Path | None = None,
    threads: int | None = None,
) -> None:
    """Train the run's encoder on the data set's `train` split.

    Args:
        run: everything that decides the training, as `Study.resolve` makes it.
        data: the data set's folder.
        outputs: paths of `encoder`, `projector` (state dicts; CPU, float32), `embeddings` (the encoder's, of the
            evaluated images, as `embed` makes them: here, while it is on the device, since every measure needs them),
            `history` (csv, a row per epoch: epoch, loss, lr, images_per_s (each image twice viewed), seconds, spread,
            memory_gb (peak on the GPU), and ami with `keep: best_ami`), `summary` (yaml: the run, the versions, the
            device, the data, how it ended).
        checkpoint: kept up to date every `training.checkpoint_minutes`, after the last step, and on SIGTERM, which ends
            the process with status 143 (SystemExit); a training of the same run goes on from it; removed at success.
        weights: the file to start from where `backbone.init` is not random.
        threads: of the CPU; default: torch's.

    On the CPU the same run, data and number of threads give the same weights bit by bit, interrupted or not.

    Raises:
        TrainingFailed: a loss that is not finite, embeddings that have collapsed; the checkpoint is removed.
        UserError: settings that cannot be; images that cannot be read, a full disk: the checkpoint stays.
    """
    outputs, checkpoint = {name: Path(path) for name, path in outputs.items()}, Path(checkpoint)
    images, device = Images.open(data), claim()
    identity = checkpoints.data_identity(images)
    run_hash = checkpoints.run_hash(run, identity, weights)
    with settled(device, threads):
        trainer = _resumed(run, images, device, weights, checkpoint, run_hash)
        with checkpoints.Termination() as termination:
            try:
                _train(trainer, checkpoint, run_hash, termination)
            except TrainingFailed:
                checkpoints.discard(checkpoint)  # it would fail again from there
                raise
            termination.at_once()
            _write(trainer, outputs, identity, images)
    checkpoints.discard(checkpoint)


class Trainer:
    """A training between two steps: `advance` does the next one.

    `step`: how many are done, of `steps`; `steps_per_epoch`: max(min_iters_per_epoch, images // batch) (ambiguity
    A-30). `history`: a row per finished epoch.
    """

    def __init__(self, run: dict, images: Images, device: torch.device, weights: Path | None = None):
        training = run["training"]
        # The data set's own mean and std are numbers from here on.
        run = {**run, "dataset": shown(images, run["dataset"])}
        self.run, self.device = run, device
        self.images = pool(images, "train", device)
        self.batch = training["batch_size"]
        _check(run, len(self.images))
        self.steps_per_pass = len(self.images) // self.batch
        self.steps_per_epoch = max(training["min_iters_per_epoch"], self.steps_per_pass)
        self.steps = training["epochs"] * self.steps_per_epoch

        sets = run["transform"]["sets"]
        torch.manual_seed(run["seed"])
        encoder = models.build(run["backbone"], weights)
        method = methods.build(run["method"], encoder, sets=len(sets), images=len(self.images))
        self.method = method.to(device=device, memory_format=torch.channels_last).train()
        self.optimizer = optim.build(method.parameter_groups(), training)
        self.dtype = autocast_dtype(training["precision"], device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)

        self.sets = [(s["weight"], _pair_maker(s["views"], run["dataset"])) for s in sets]
        self.generator = torch.Generator(device)
        # What draws inside a network. Not torch.manual_seed, which takes 0.3 ms.
        self.inside = [torch.default_generator]
        if device.type == "cuda":
            self.inside.append(torch.cuda.default_generators[device.index])
        self.order, self.order_of = torch.empty(0), -1

        self.keeper = BestAmi(run, images, device) if training["keep"] == "best_ami" else None
        self.step = 0
        self.history: list[dict[str, float]] = []
        self._begin_epoch()

    @property
    def epoch(self) -> int:
        """The epoch of the next step, from 0."""
        return self.step // self.steps_per_epoch

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return optim.learning_rate(self.step, self.steps, self.steps_per_epoch, self.run["training"])

    def advance(self) -> None:
        """The whole of one step: rows, views, learning, and what the history needs of it. Waits for nothing."""
        if self.step % self.steps_per_epoch == 0:
            self.method.before_epoch(self.epoch)
        for generator in self.inside:
            generator.manual_seed(self._seed("step", self.step))
        rows = self._rows(self.step)
        # Read meanwhile, where they are not on the device.
        following = self._rows(self.step + 1) if self.step + 1 < self.steps else None
        loss = self.learn(self.views(rows, following), rows)
        self.loss_sum += loss
        self.spread_sum += spread(self.method.observed)

    def views(self, rows: Tensor, following: Tensor | None = None) -> list[tuple[float, Tensor, Tensor]]:
        """Per set of transformations its weight and both views (n, 3, size, size) of the images in `rows`; both
        arguments as for `Streamed.take`."""
        images = self.images.take(rows, following)
        self.generator.manual_seed(self._seed("views", self.step))
        return [(weight, *make(images, self.generator)) for weight, make in self.sets]

    def learn(self, pairs: list[tuple[float, Tensor, Tensor]], rows: Tensor) -> Tensor:
        """Forward, backward and the optimizer's step; returns the loss, on the device and without gradient."""
        optim.set_lr(self.optimizer, self.lr)
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None):
            loss = self.method(pairs, rows.to(self.device, non_blocking=True))
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.method.after_step(self.step / self.steps)
        return loss.detach()

    def mean_loss(self) -> float:
        """The mean loss of the epoch so far. Waits for the device. Raises TrainingFailed where it is not finite."""
        done = (self.step - 1) % self.steps_per_epoch + 1
        loss = self.loss_sum.item() / done
        if not math.isfinite(loss):
            epoch = (self.step - 1) // self.steps_per_epoch
            raise TrainingFailed(
                f"training {self.run['name']}: the loss is {loss} in epoch {epoch}, at lr {self.lr:g}; lower "
                "training.lr, raise training.warmup_epochs or set training.precision: fp32"
            )
        return loss

    def end_epoch(self) -> None:
        """Write the finished epoch's row of the history. Raises TrainingFailed for a collapse."""
        row: dict[str, float] = {"epoch": len(self.history), "loss": self.mean_loss()}
        row["lr"] = optim.learning_rate(self.step - 1, self.steps, self.steps_per_epoch, self.run["training"])
        row["seconds"] = time.monotonic() - self.began
        row["images_per_s"] = self.steps_per_epoch * self.batch / row["seconds"]
        row["spread"] = self.spread_sum.item() / self.steps_per_epoch
        row["memory_gb"] = _peak_memory_gb(self.device)
        if self.keeper:
            row["ami"] = self.keeper.look(self.method, row["epoch"])
        self.history.append(row)
        self._begin_epoch()
        least, last = self.run["training"]["min_spread"], [r["spread"] for r in self.history[-3:]]
        if len(last) == 3 and max(last) < least:
            raise TrainingFailed(
                f"training {self.run['name']}: collapsed, the embedding spread is {last[-1]:.2g} in epoch "
                f"{row['epoch']} and was below training.min_spread {least:g} for three epochs; lower training.lr, or "
                "use stronger transformations"
            )

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "history": self.history,
            "seconds": time.monotonic() - self.began,
            "loss_sum": self.loss_sum,
            "spread_sum": self.spread_sum,
            "method": self.method.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "best": self.keeper.best if self.keeper else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.step, self.history = state["step"], state["history"]
        self.began = time.monotonic() - state["seconds"]
        self.loss_sum.copy_(state["loss_sum"])
        self.spread_sum.copy_(state["spread_sum"])
        if self.keeper:
            self.keeper.best = state["best"]
        if self.step < self.steps:
            self.method.before_epoch(self.epoch)

    def _begin_epoch(self) -> None:
        self.began = time.monotonic()
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self.spread_sum = torch.zeros((), dtype=torch.float64, device=self.device)

    def _rows(self, step: int) -> Tensor:
        """The rows of a step, on the CPU, pinned for a GPU: every pass over the images has its own random order, its
        remainder is dropped."""
        number, place = divmod(step, self.steps_per_pass)
        if number != self.order_of:
            generator = torch.Generator().manual_seed(self._seed("order", number))
            order = torch.randperm(len(self.images), generator=generator)
            self.order = order.pin_memory() if self.device.type == "cuda" else order
            self.order_of = number
        return self.order[place * self.batch : (place + 1) * self.batch]

    def _seed(self, purpose: str, number: int) -> int:
        words = f"{self.run['seed']} {purpose} {number}"
        return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest()) >> 1


class BestAmi:
    """Keeps the weights of the epoch whose K-means on the test split has the best AMI (ambiguity A-33).

    Optimistic: it chooses by the labels of the test images. Their embeddings must fit in memory, for the K-means.
    `best`: {ami, epoch, encoder, projector} or None.
    """

    def __init__(self, run: dict, images: Images, device: torch.device):
        self.run = run
        self.images, self.labels = pool(images, "test", device), images.labels("test")
        self.transform = evaluation_view(run["dataset"])
        self.best: dict[str, Any] | None = None

    def look(self, method: nn.Module, epoch: int) -> float:
        """The AMI of the method's encoder as it is; kept if it is the best so far."""
        from phenoviews.measures.clusters import ami, k_means  # here: other trainings need no scikit-learn

        method.eval()
        network = embedder(method.encoder, method.projector, self.run["evaluate"])
        embeddings = features(network, self.images, self.transform).cpu().numpy()
        method.train()
        k = len(set(self.labels.tolist()))
        found = ami(self.labels, k_means(embeddings, k, self.run["seed"]).labels_)
        if self.best is None or found > self.best["ami"]:
            self.best = {"ami": found, "epoch": epoch, **_weights(method)}
        return found


def spread(features: Tensor) -> Tensor:
    """Spread of embeddings (n, d), a scalar on their device: the mean over the dimensions of the standard deviation
    of the embeddings scaled to length 1, times sqrt(d). About 1 where they point in all directions alike, 0 where they
    have collapsed into one."""
    unit = F.normalize(features.float(), dim=1)
    return unit.std(dim=0).mean() * math.sqrt(features.shape[1])


def _pair_maker(views: list[list[dict]], dataset: dict) -> Callable[..., tuple[Tensor, Tensor]]:
    """A function (images, generator) → both views of the images, channels last."""
    first, second = (Transform(pipeline, dataset["size"], dataset["mean"], dataset["std"]) for pipeline in views)

    def make(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if views[0] == views[1]:
            # One batch of twice the size: half the kernels to launch.
            twice = bits(images).repeat(2, 1, 1, 1).view(images.dtype)
            both = _channels_last(first(twice, generator))
            return both[: len(images)], both[len(images) :]
        return _channels_last(first(images, generator)), _channels_last(second(images, generator))

    return make


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def _check(run: dict, images: int) -> None:
    training, name = run["training"], run["name"]
    if training["epochs"] < 1:
        raise UserError(f"training {name}: training.epochs is {training['epochs']}; it must be 1 or more")
    if not 1 <= training["batch_size"] <= images:
        raise UserError(
            f"training {name}: training.batch_size is {training['batch_size']}, but there are {images} training "
            "images; lower it"
        )
    if training["warmup_epochs"] and training["warmup_epochs"] >= training["epochs"]:
        raise UserError(
            f"training {name}: training.warmup_epochs is {training['warmup_epochs']}, which leaves nothing of "
            f"training.epochs {training['epochs']}; lower it"
        )


def _resumed(
    run: dict, images: Images, device: torch.device, weights: Path | None, checkpoint: Path, run_hash: str
) -> Trainer:
    """A new trainer, gone on from the checkpoint where there is one of this run."""
    trainer = Trainer(run, images, device, weights)
    state = checkpoints.load(checkpoint, run_hash)
    if state is None:
        return trainer
    try:
        trainer.load_state_dict(state)
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        # The same run, but of other code: the networks or the state have other names or shapes.
        checkpoints.dismissed(checkpoint, f"does not fit this version of the code ({type(error).__name__})")
        return Trainer(run, images, device, weights)
    print(f"phenoviews: {run['name']}: going on from step {trainer.step} of {trainer.steps} ({checkpoint})",
          file=sys.stderr, flush=True)  # fmt: skip
    return trainer


def _train(trainer: Trainer, checkpoint: Path, run_hash: str, termination: checkpoints.Termination) -> None:
    """All steps that are left, with progress bar and checkpoints."""
    every = 60 * trainer.run["training"]["checkpoint_minutes"]
    # Reading the loss waits for the device: twice a second for a person, twice a minute for a log file.
    refresh = 0.5 if sys.stderr.isatty() else 30.0
    saved = shown = time.monotonic()
    start_step, start = trainer.step, saved
    with tqdm(total=trainer.steps, initial=trainer.step, desc=trainer.run["name"], unit="step", mininterval=0) as bar:
        while trainer.step < trainer.steps:
            trainer.advance()
            now = time.monotonic()
            if now - shown > refresh or trainer.step == trainer.steps:
                loss = trainer.mean_loss()
                rate = (trainer.step - start_step) * trainer.batch / (now - start)
                bar.set_postfix_str(f"loss {loss:.4g}, {rate:.0f} images/s", refresh=False)
                bar.update(trainer.step - bar.n)
                shown = now
            if trainer.step % trainer.steps_per_epoch == 0:
                trainer.end_epoch()
            # After the last step too: the embeddings of a large set take long, and a kill there costs only them.
            if termination.requested or now - saved > every or trainer.step == trainer.steps:
                checkpoints.save(checkpoint, run_hash, trainer.state_dict())
                saved = time.monotonic()
            if termination.requested:
                raise SystemExit(143)  # 128 + SIGTERM, as the shell counts


def _write(trainer: Trainer, outputs: dict[str, Path], identity: dict, images: Images) -> None:
    """All outputs, which appear together, the encoder last."""
    best = trainer.keeper.best if trainer.keeper else None
    kept = best or _weights(trainer.method)
    encoder = trainer.method.encoder.eval()
    encoder.load_state_dict(kept["encoder"])
    history = pd.DataFrame(trainer.history)
    seconds = float(history["seconds"].sum())
    summary = {
        **trainer.run,
        "result": {
            "loss": trainer.history[-1]["loss"],
            "spread": trainer.history[-1]["spread"],
            "epoch_kept": best["epoch"] if best else len(history) - 1,
            "seconds": round(seconds, 3),
            "images_per_s": round(trainer.steps * trainer.batch / seconds, 1),
        },
        "device": describe(trainer.device),
        "precision": str(trainer.dtype or torch.float32).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "data": identity,
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "torchvision": str(torchvision.__version__),
        },
    }
    with contextlib.ExitStack() as stack:
        # Left in reverse: the encoder, whose being there says that all is there, is renamed last.
        names = ("encoder", "projector", "embeddings", "history", "summary")
        partial = {name: stack.enter_context(atomic(outputs[name])) for name in names}
        for name in ("encoder", "projector"):
            with partial[name].open("wb") as stream:  # a stream, since torch.save writes a path's name into the file
                torch.save(kept[name], stream)
        write_embeddings(encoder, images, trainer.run["dataset"], partial["embeddings"], trainer.device)
        history.to_csv(partial["history"], index=False)
        partial["summary"].write_text(yaml.safe_dump(summary, sort_keys=False))


def _weights(method: nn.Module) -> dict[str, dict[str, Tensor]]:
    """The online encoder's and projector's state dicts: copies on the CPU, contiguous."""
    return {
        name: {key: _plain(value) for key, value in getattr(method, name).state_dict().items()}
        for name in ("encoder", "projector")
    }


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()


def _peak_memory_gb(device: torch.device) -> float | None:
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
