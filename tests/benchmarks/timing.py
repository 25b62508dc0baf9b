"""What benchmarks of trainings share: images whose content costs nothing, and a clock that waits for the device."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

import numpy as np
import pandas as pd
import torch

from phenoviews.data import Images, write


def noise(shape: tuple[int, ...], folder: Path) -> Images:
    pixels = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    index = pd.DataFrame({"split": "train", "label": 0, "class": "noise", "source": "noise"}, index=range(len(pixels)))
    write(folder / "images.npy", folder / "index.parquet", pixels, index)
    return Images.open(folder)


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
