"""The training loop's step, one for all methods.

The images are on the device from the start, or, where they do not fit, the next step's are read from the disk during
this one. A step picks its rows, makes both views on the device, and trains. Which rows, and every random number of the
views, follow from (seed, step) alone, so a step needs nothing but the weights before it.

Here is what decides the weights, and nothing else: a checkpoint is of use for as long as this code stays as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phenoviews import methods, models
from phenoviews.data.images import Images
from phenoviews.data.pool import Pool, as_int16, pool
from phenoviews.methods.base import Method
from phenoviews.study.resolved import Dataset, Pipeline, Pretraining, Training
from phenoviews.training import optim
from phenoviews.training.devices import autocast_dtype, memory_format
from phenoviews.training.embed import State, embedder, evaluation_view, features, placed, with_statistics
from phenoviews.views import Transform

Pairs = list[tuple[float, Tensor, Tensor]]


class Steps:
    """What the steps of every training have in common: their number, which rows each has, every random number, the
    precision, the optimizer's step.

    `step`: how many are done, of `steps`; `steps_per_epoch`: max(min_iters_per_epoch, images // batch) (ambiguity
    A-30).
    """

    optimizer: torch.optim.Optimizer

    def __init__(self, images: Pool, training: Training, seed: int, device: torch.device):
        self.images, self.training, self.seed, self.device = images, training, seed, device
        self.batch = training.batch_size
        self.steps_per_pass = len(images) // self.batch
        self.steps_per_epoch = max(training.min_iters_per_epoch, self.steps_per_pass)
        self.steps = training.epochs * self.steps_per_epoch
        self.dtype = autocast_dtype(training.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)
        self.generator = torch.Generator(device)
        # What draws inside a network. Not torch.manual_seed, which takes 0.3 ms.
        self.inside = [torch.default_generator]
        if device.type == "cuda":
            self.inside.append(torch.cuda.default_generators[device.index])
        self.order, self.order_of = torch.empty(0), -1
        self.step = 0

    @property
    def epoch(self) -> int:
        """The epoch of the next step, from 0."""
        return self.step // self.steps_per_epoch

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return optim.learning_rate(self.step, self.steps, self.steps_per_epoch, self.training)

    @property
    def observed(self) -> Tensor:
        """The features (n, dim) of the last view, without gradient."""
        raise NotImplementedError

    def advance(self) -> Tensor | None:
        """The whole of one step. Returns the loss, on the device and without gradient; None where there is none."""
        raise NotImplementedError

    def rows(self, step: int) -> Tensor:
        """The rows of a step, int64 on the CPU, pinned for a GPU: every pass over the images has its own random order,
        its remainder is dropped."""
        number, place = divmod(step, self.steps_per_pass)
        if number != self.order_of:
            generator = torch.Generator().manual_seed(self._seed("order", number))
            order = torch.randperm(len(self.images), generator=generator)
            self.order = order.pin_memory() if self.device.type == "cuda" else order
            self.order_of = number
        return self.order[place * self.batch : (place + 1) * self.batch]

    def following(self) -> Tensor | None:
        """The rows of the step after the next, to be read meanwhile where they are not on the device."""
        return self.rows(self.step + 1) if self.step + 1 < self.steps else None

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None)

    def descend(self, loss: Tensor) -> None:
        """The gradient of the loss, and the optimizer's step."""
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "dtype": self.dtype,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.dtype = state["dtype"]  # `precision: auto` may be another here than where the training began
        self.step = state["step"]

    def _seed_networks(self, seed: int) -> None:
        for generator in self.inside:
            generator.manual_seed(seed)

    def _seed(self, purpose: str, number: int) -> int:
        words = f"{self.seed} {purpose} {number}"
        return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest()) >> 1


class Trainer(Steps):
    """A training between two steps: `advance` does the next one.

    On the CPU the same run, data and number of threads give the same weights bit by bit; so they do where the training
    goes on, at any step, from `state_dict()` in another process.
    """

    def __init__(self, run: Pretraining, images: Images, device: torch.device, weights: Path | None = None):
        super().__init__(pool(images, "train", device), run.training, run.seed, device)
        # The data set's own mean and std are numbers from here on.
        self.run = replace(run, dataset=with_statistics(images, run.dataset))
        sets = run.transform.sets
        torch.manual_seed(run.seed)
        encoder = models.build(run.backbone.to_dict(), weights, run.dataset.channels)
        method = methods.build(run.method.to_dict(), encoder, sets=len(sets), images=len(self.images))
        layout = memory_format(method, device)
        self.method = placed(method, device).train()
        self.optimizer = optim.build(method.parameter_groups(), run.training)
        self.sets = [(one.weight, _pair_maker(one.views, self.run.dataset, layout)) for one in sets]
        self.keeper = KEEPERS[run.training.keep](self.run, images, device)

    @property
    def observed(self) -> Tensor:
        return self.method.observed

    def advance(self) -> Tensor | None:
        """The whole of one step: rows, views, learning. Returns the loss as `learn` does. Waits for the device at most
        where an epoch begins, if the method does."""
        if self.step % self.steps_per_epoch == 0:
            seed = self._seed("epoch", self.epoch)
            self._seed_networks(seed)
            self.method.enter_epoch(self.epoch)
            self.method.before_epoch(self.epoch, torch.Generator().manual_seed(seed))
        self._seed_networks(self._seed("step", self.step))
        rows = self.rows(self.step)
        return self.learn(self.views(rows, self.following()), rows)

    def views(self, rows: Tensor, following: Tensor | None = None) -> Pairs:
        """Per set of transformations its weight and both views (n, C, size, size) of the images in `rows`; both
        arguments as for `Streamed.take`."""
        images = self.images.take(rows, following)
        self.generator.manual_seed(self._seed("views", self.step))
        return [(weight, *make(images, self.generator)) for weight, make in self.sets]

    def learn(self, pairs: Pairs, rows: Tensor) -> Tensor | None:
        """Forward, backward and the optimizer's step; returns the loss, on the device and without gradient. None where
        the method has none, and then nothing is learnt."""
        optim.set_lr(self.optimizer, self.lr)
        with self.autocast():
            loss: Tensor | None = self.method(pairs, rows.to(self.device, non_blocking=True))
        if loss is not None:
            self.descend(loss)
        self.step += 1
        self.method.after_step(self.step / self.steps)
        return None if loss is None else loss.detach()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "method": self.method.state_dict(), "best": self.keeper.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.method.load_state_dict(state["method"])
        super().load_state_dict(state)
        self.keeper.best = state["best"]
        if self.step % self.steps_per_epoch:
            self.method.enter_epoch(self.epoch)


class Keeper:
    """Which epoch's weights are kept in the end: here the last one's.

    `best`: {epoch, encoder, projector} of an earlier epoch that is kept instead, or None.
    """

    def __init__(self, run: Pretraining, images: Images, device: torch.device):
        self.best: dict[str, Any] | None = None

    def look(self, method: Method, epoch: int) -> float | None:
        """Look at the method as it is when `epoch` has ended. Returns the AMI, where it is by that."""
        return None


class BestAmi(Keeper):
    """Keeps the weights of the epoch whose K-means on the test split has the best AMI (ambiguity A-33).

    Optimistic: it chooses by the labels of the test images. Their embeddings must fit in memory, for the K-means.
    """

    def __init__(self, run: Pretraining, images: Images, device: torch.device):
        super().__init__(run, images, device)
        self.run = run
        self.images, self.labels = pool(images, "test", device), images.labels("test")
        self.transform = evaluation_view(run.dataset)

    def look(self, method: Method, epoch: int) -> float | None:
        """None, too, where the embeddings are not finite."""
        from phenoviews.measures.clusters import ami, k_means  # here: other trainings need no scikit-learn

        assert self.run.evaluate is not None
        method.eval()
        network = embedder(method.encoder, method.projector, self.run.evaluate)
        embeddings = features(network, self.images, self.transform)
        method.train()
        if not embeddings.isfinite().all():
            return None
        k = len(set(self.labels.tolist()))
        found = float(ami(self.labels, k_means(embeddings.cpu().numpy(), k, self.run.seed).labels_))
        if self.best is None or found > self.best["ami"]:
            self.best = {"ami": found, "epoch": epoch, **weights_of(method)}
        return found


KEEPERS: dict[str, type[Keeper]] = {
    "last": Keeper,
    "best_ami": BestAmi,
}


def weights_of(method: Method) -> dict[str, State]:
    """The state dicts of the method's `encoder` and `projector`: copies on the CPU, contiguous."""
    networks = {"encoder": method.encoder, "projector": method.projector}
    return {
        name: {key: value.detach().to("cpu", copy=True).contiguous() for key, value in network.state_dict().items()}
        for name, network in networks.items()
    }


def _pair_maker(
    views: Sequence[Pipeline], dataset: Dataset, layout: torch.memory_format
) -> Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]:
    """A function (images, generator) → both views of the images, in memory as `layout` says."""
    first, second = (Transform(pipeline, dataset.size, dataset.mean, dataset.std) for pipeline in views)

    def make(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if views[0] == views[1]:
            # One batch of twice the size: half the kernels to launch.
            twice = as_int16(images).repeat(2, 1, 1, 1).view(images.dtype)
            both = first(twice, generator).contiguous(memory_format=layout)
            return both[: len(images)], both[len(images) :]
        one, other = first(images, generator), second(images, generator)
        return one.contiguous(memory_format=layout), other.contiguous(memory_format=layout)

    return make
