"""How far a training is, told while it runs: a small file beside its checkpoint, for people who look from outside."""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phenoviews.files import write_text
from phenoviews.training.history import Row

if TYPE_CHECKING:
    from phenoviews.training.loop import Steps

LIVE = ".json"  # in the place of a checkpoint's suffix
EVERY = 15.0  # seconds


class Live:
    """The file of a training.

    Args:
        checkpoint: of the training, beside which it lies; it goes with that (`checkpoint.discard`).
        what: training or fine-tuning.
        name: of the run.
    """

    def __init__(self, checkpoint: Path, what: str, name: str):
        self.file, self.what, self.name = checkpoint.with_suffix(LIVE), what, name
        self.told = -math.inf

    def tell(self, trainer: Steps, rows: Sequence[Row], loss: float | None, images_per_s: float | None) -> None:
        """Write how far it is, no more often than `EVERY` seconds.

        Args:
            rows: the epochs so far.
            loss: the mean of the epoch under way; None where there is none.
            images_per_s: since this process began; None as it begins.
        """
        now = time.monotonic()
        if now - self.told < EVERY and trainer.step < trainer.steps:
            return
        self.told = now
        said: dict[str, Any] = {
            "what": self.what,
            "run": self.name,
            "host": platform.node(),
            "process": os.getpid(),
            "updated": time.time(),
            "step": trainer.step,
            "steps": trainer.steps,
            "epoch": trainer.epoch,
            "epochs": trainer.training.epochs,
            "batch": trainer.batch,
            "images_per_s": images_per_s,
            "loss": loss,
            "rows": list(rows),
        }
        write_text(self.file, json.dumps(said) + "\n")
