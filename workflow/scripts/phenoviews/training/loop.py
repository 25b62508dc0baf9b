"""The training loop's step, one for all methods.

The images are on the device from the start, or, where they do not fit, the next step's are read from the disk during
this one. A step picks its rows, makes both views on the device, and trains. Which rows, and every random number of the
views, follow from (seed, step) alone, so a step needs nothing but the weights before it. On a GPU its work is one CUDA
graph (`capture`).

Here is what decides the weights, and nothing else: a checkpoint is of use for as long as this code stays as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from phenoviews import methods, models
from phenoviews.data.images import Images
from phenoviews.data.pool import Pool, as_int16, pool
from phenoviews.methods.base import Method
from phenoviews.study.resolved import Dataset, Pipeline, Pretraining, Training
from phenoviews.training import optim
from phenoviews.training.capture import Captured, assumed
from phenoviews.training.devices import autocast_dtype, memory_format
from phenoviews.training.embed import State, embedder, evaluation_view, features, placed, with_statistics
from phenoviews.views import Transform

Pairs = list[tuple[float, Tensor, Tensor]]


class Steps:
    """A training between two steps, of whatever kind: `advance` does the next one. The kinds differ in `learn`.

    `step`: how many are done, of `steps`; `steps_per_epoch`: max(min_iters_per_epoch, images // batch) (ambiguity
    A-30); `trained`: all that learns.

    On the CPU the same run, data and number of threads give the same weights bit by bit; so they do where the training
    goes on, at any step, from `state_dict()` in another process.
    """

    optimizer: torch.optim.Optimizer
    trained: nn.Module

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
        # Gradients that are scaled, for float16, have a step of the optimizer that depends on their values.
        self.captured = Captured(self.generator) if device.type == "cuda" and not self.scaler.is_enabled() else None

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
        """The whole of one step: rows, views, learning. Returns the loss as `learn` does. Waits for the device at most
        where the work is captured, and where an epoch begins, if the method looks at what it has gathered."""
        begins = self.step % self.steps_per_epoch == 0
        if begins:
            self.begin_epoch()
        if self.captured and (begins or self.captured.graph is None):
            self.captured.assume(assumed(self.trained))
        self._seed_networks(self._seed("step", self.step))
        rows = self.rows(self.step)
        images = self.take(rows, self.following())
        optim.set_lr(self.optimizer, self.lr)
        rows = rows.to(self.device, non_blocking=True)
        loss = self.captured(self.learn, images, rows) if self.captured else self.learn(images, rows)
        self.step += 1
        self.end_step()
        return loss

    def take(self, rows: Tensor, following: Tensor | None = None) -> Tensor:
        """The images of `rows`, and the generator as the next step's views need it; both arguments as for
        `Streamed.take`."""
        self.generator.manual_seed(self._seed("views", self.step))
        return self.images.take(rows, following)

    def begin_epoch(self) -> None:
        """What is to be done before an epoch's first step."""

    def learn(self, images: Tensor, rows: Tensor) -> Tensor | None:
        """The work of a step: views of `images` (n, C, H, W), numbered `rows` (int64, on the device) among the training
        images; forward, backward, the optimizer. Returns the loss, on the device and without gradient; None where there
        is none, and then nothing is learnt."""
        raise NotImplementedError

    def end_step(self) -> None:
        """What is to be done after a step, which is counted by then."""

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
        optim.load(self.optimizer, state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.dtype = state["dtype"]  # `precision: auto` may be another here than where the training began
        self.step = state["step"]
        self.release()

    def release(self) -> None:
        """Give back the memory that a captured step holds, for what is computed beside the steps; the next ones are
        captured anew."""
        if self.captured:
            self.captured.forget()

    def _seed_networks(self, seed: int) -> None:
        for generator in self.inside:
            generator.manual_seed(seed)

    def _seed(self, purpose: str, number: int) -> int:
        words = f"{self.seed} {purpose} {number}"
        return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest()) >> 1


class Trainer(Steps):
    """A self-supervised training."""

    def __init__(self, run: Pretraining, images: Images, device: torch.device, weights: Path | None = None):
        super().__init__(pool(images, "train", device), run.training, run.seed, device)
        # The data set's own mean and std are numbers from here on.
        self.declared, self.run = run, replace(run, dataset=with_statistics(images, run.dataset))
        sets = run.transform.sets
        torch.manual_seed(run.seed)
        encoder = models.build(run.backbone.to_dict(), weights, run.dataset.channels)
        method = methods.build(run.method.to_dict(), encoder, sets=len(sets), images=len(self.images))
        layout = memory_format(method, device)
        self.method: Method = placed(method, device).train()
        self.trained = self.method
        self.optimizer = optim.build(method.parameter_groups(), run.training)
        self.sets = [(one.weight, _pair_maker(one.views, self.run.dataset, layout)) for one in sets]
        self.keeper = KEEPERS[run.training.keep](self.run, images, device)

    @property
    def observed(self) -> Tensor:
        return self.method.observed

    def begin_epoch(self) -> None:
        seed = self._seed("epoch", self.epoch)
        self._seed_networks(seed)
        self.method.enter_epoch(self.epoch)
        self.method.before_epoch(self.epoch, torch.Generator().manual_seed(seed))

    def learn(self, images: Tensor, rows: Tensor) -> Tensor | None:
        return self.learn_pairs(self.views(images), rows)

    def views(self, images: Tensor) -> Pairs:
        """Per set of transformations its weight and both views (n, C, size, size) of the images."""
        return [(weight, *make(images, self.generator)) for weight, make in self.sets]

    def learn_pairs(self, pairs: Pairs, rows: Tensor) -> Tensor | None:
        """`learn`, of views that are there."""
        with self.autocast():
            loss: Tensor | None = self.method(pairs, rows)
        if loss is None:
            return None
        self.descend(loss)
        return loss.detach()

    def end_step(self) -> None:
        self.method.after_step(self.step / self.steps)

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

    `best`: {epoch, encoder, projector} of an earlier epoch that is kept instead, or None. `looks`: whether that takes
    memory beside the steps.
    """

    looks = False

    def __init__(self, run: Pretraining, images: Images, device: torch.device):
        self.best: dict[str, Any] | None = None

    def look(self, method: Method, epoch: int) -> float | None:
        """Look at the method as it is when `epoch` has ended. Returns the AMI, where it is by that."""
        return None


class BestAmi(Keeper):
    """Keeps the weights of the epoch whose K-means on the test split has the best AMI (ambiguity A-33).

    Optimistic: it chooses by the labels of the test images. Their embeddings must fit in memory, for the K-means.
    """

    looks = True

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
