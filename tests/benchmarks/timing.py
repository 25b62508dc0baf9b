"""What benchmarks of trainings share: images whose content costs nothing, the bare step, and a clock that waits for the
device."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from phenoviews.data import Images, write
from phenoviews.training.capture import PLAIN_CALLS, Captured
from phenoviews.training.loop import Trainer


def noise(shape: tuple[int, ...], folder: Path) -> Images:
    pixels = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    index = pd.DataFrame({"split": "train", "label": 0, "class": "noise", "source": "noise"}, index=range(len(pixels)))
    write(folder / "images.npy", folder / "index.parquet", pixels, index)
    return Images.open(folder)


def bare_step(trainer: Trainer, captured: bool = True) -> Callable[[], None]:
    """A step on views that were made beforehand: forward, backward, optimizer, momentum; nothing can be faster. Where
    the loop is one CUDA graph it is one too, unless not `captured`. The trainer has begun an epoch."""
    rows = torch.arange(trainer.batch, device=trainer.device)
    pairs = [(weight, first.clone(), second.clone()) for weight, first, second in trainer.views(trainer.take(rows))]
    graph = Captured(trainer.generator) if trainer.captured and captured else None

    def learn(rows: Tensor) -> Tensor | None:
        return trainer.learn_pairs(pairs, rows)

    def step() -> None:
        graph(learn, rows) if graph else learn(rows)
        trainer.method.after_step(0.5)

    for _ in range(PLAIN_CALLS + 1 if graph else 0):
        step()
    return step


def timed(step: Callable[[], object], steps: int, device: torch.device, clock: Callable[[], float]) -> float:
    """Seconds per step, after one that is not counted."""

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock()

    step()
    begin = now()
    for _ in range(steps):
        step()
    return (now() - begin) / steps
