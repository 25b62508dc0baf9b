"""What is recorded of a training, epoch by epoch. Nothing here changes its weights."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, TypedDict

import torch
from torch import Tensor
from torch.nn import functional as F


class Row(TypedDict):
    """A finished epoch. `loss`: the mean over its steps, None where no step had one. `lr`: of its last step.
    `images_per_s`: each image twice viewed. `spread`: the mean over its steps. `ami`: with `keep: best_ami`.
    `knn` (percent) and `rankme`: every `training.watch_epochs`. `memory_gb`: the peak so far, on a GPU."""

    epoch: int
    loss: float | None
    lr: float
    spread: float
    ami: float | None
    knn: float | None
    rankme: float | None
    seconds: float
    images_per_s: float
    memory_gb: float | None


class History:
    """`rows`: one per finished epoch. Of the epoch under way there are sums, on the device, so that no step waits."""

    def __init__(self, device: torch.device):
        self.device = device
        self.rows: list[Row] = []
        self._begin_epoch()

    def add(self, loss: Tensor | None, features: Tensor) -> None:
        """A step: its loss, if it had one, and the features (n, dim) of the last view."""
        self.steps += 1
        self.spread_sum += spread(features)
        if loss is not None:
            self.losses += 1
            self.loss_sum += loss

    def mean_loss(self) -> float | None:
        """The mean loss of the epoch so far. Waits for the device."""
        return float(self.loss_sum.item()) / self.losses if self.losses else None

    def end_epoch(self, images: int, lr: float, ami: float | None) -> None:
        """Add the row of the epoch under way, in which `images` were seen. Waits for the device."""
        loss, mean_spread = self.mean_loss(), float(self.spread_sum.item()) / self.steps
        seconds = time.monotonic() - self.began
        on_gpu = self.device.type == "cuda"
        self.rows.append(
            {
                "epoch": len(self.rows),
                "loss": loss,
                "lr": lr,
                "spread": mean_spread,
                "ami": ami,
                "knn": None,
                "rankme": None,
                "seconds": seconds,
                "images_per_s": images / seconds,
                "memory_gb": torch.cuda.max_memory_allocated(self.device) / 2**30 if on_gpu else None,
            }
        )
        self._begin_epoch()

    def add_watched(self, found: Mapping[str, float]) -> None:
        """What `watch.look` found as the last epoch ended. The time that it took is no time of the next one."""
        self.rows[-1]["knn"], self.rows[-1]["rankme"] = found.get("knn"), found.get("rankme")
        self._begin_epoch()

    def state_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "steps": self.steps,
            "losses": self.losses,
            "loss_sum": self.loss_sum,
            "spread_sum": self.spread_sum,
            "seconds": time.monotonic() - self.began,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows, self.steps, self.losses = state["rows"], state["steps"], state["losses"]
        self.loss_sum.copy_(state["loss_sum"])
        self.spread_sum.copy_(state["spread_sum"])
        self.began = time.monotonic() - state["seconds"]

    def _begin_epoch(self) -> None:
        self.steps = self.losses = 0
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self.spread_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self.began = time.monotonic()


def spread(features: Tensor) -> Tensor:
    """Spread of features (n, d), a scalar on their device: the mean over the dimensions of the standard deviation
    of the features scaled to length 1, times sqrt(d). About 1 where they point in all directions alike, 0 where they
    have collapsed into one."""
    unit = F.normalize(features.float(), dim=1)
    return unit.std(dim=0).mean() * math.sqrt(features.shape[1])
