"""How fast a device trains: a few real steps of each kind of training, on made-up images."""

from __future__ import annotations

import datetime
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from phenoviews.costs.paces import PROBED, Costs, measurement, plain
from phenoviews.data import images as data
from phenoviews.study.resolved import Pretraining
from phenoviews.training.capture import PLAIN_CALLS
from phenoviews.training.devices import claim, describe, torch_switches
from phenoviews.training.loop import Trainer

SECONDS = 60.0  # for all kinds together
LEAST = 1.0  # seconds of steps that a kind has at least
WARM = PLAIN_CALLS + 2  # steps before the clock starts: the first ones choose kernels, allocate, and are captured
CLASSES = 2


def calibrate(
    costs: Costs, runs: Sequence[Pretraining], started: float, seconds: float = SECONDS, threads: int | None = None
) -> dict[str, Any]:
    """Train a few steps of each kind, the costliest first, for as long as there is time.

    Args:
        costs: of the study.
        runs: a training of each kind.
        started: seconds that this process took to begin.
        seconds: for all of them; the kinds that are left then are scaled from the others by whoever plans.
        threads: of the CPU.

    Returns:
        Plain data: device, when, start_seconds, kinds (as `paces.plain` has them),
        and too_large: the names of trainings that do not fit into the GPU's memory.
    """
    device = claim()
    kinds, too_large = [], []
    with torch_switches(device, threads), tempfile.TemporaryDirectory() as folder:
        clock = _clock(device)
        began = clock()
        for number, run in enumerate(tqdm(runs, unit="kind")):
            left = seconds - (clock() - began)
            if left <= 0:
                break
            share = max(LEAST, left / (len(runs) - number))
            try:
                found, memory = _probed(run, Path(folder) / str(number), device, share)
            except torch.OutOfMemoryError:
                too_large.append(run.name)
                torch.cuda.empty_cache()
                continue
            kinds.append(plain(measurement(costs, run, found, PROBED, memory)))
        about = describe(device)
    return {
        "device": about,
        "when": datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        "start_seconds": round(started, 1),
        "kinds": kinds,
        "too_large": too_large,
    }


def _probed(run: Pretraining, folder: Path, device: torch.device, seconds: float) -> tuple[float, float | None]:
    """Seconds per image of a training, from as many steps as `seconds` has room for; the peak of a GPU's memory, GB."""
    trainer = Trainer(_at_random(run), _made_up(run, folder), device)
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    clock = _clock(device)
    until = clock() + seconds
    for _ in range(WARM if cuda else 1):
        trainer.advance()
    _wait(device)
    steps, start = 0, clock()
    while steps == 0 or clock() < until:
        trainer.advance()
        steps += 1
        if cuda and steps % 10 == 0:  # steps are launched ahead of the device
            _wait(device)
    _wait(device)
    taken = clock() - start
    memory = torch.cuda.max_memory_allocated(device) / 2**30 if cuda else None
    return taken / (steps * trainer.batch), memory


def _clock(device: torch.device) -> Callable[[], float]:
    """Seconds. On a CPU others may compute too, and less or more of them later on: what counts is what this process
    took of its threads."""
    if device.type == "cuda":
        return time.monotonic
    threads = torch.get_num_threads()
    return lambda: time.process_time() / threads


def _at_random(run: Pretraining) -> Pretraining:
    """The training from random weights, which take as long as others and need no download; with no end of steps, nearly
    all of them in one epoch, since steps of different epochs may be different ones."""
    endless = replace(run.training, epochs=10**3, min_iters_per_epoch=10**6, warmup_epochs=0, keep="last")
    return replace(run, backbone=replace(run.backbone, init="random"), training=endless)


def _made_up(run: Pretraining, folder: Path) -> data.Images:
    """Images of noise, of the size that the network sees, enough for two batches."""
    count, size = 2 * run.training.batch_size + 8, run.dataset.size
    pixels = np.random.default_rng(0).integers(0, 256, (count, size, size, run.dataset.channels), dtype=np.uint8)
    split = ["train"] * (count - 8) + ["test"] * 8
    label = np.arange(count, dtype=np.int64) % CLASSES
    index = pd.DataFrame({"split": split, "label": label, "class": label.astype(str), "source": "noise"})
    data.write(folder / "images.npy", folder / "index.parquet", pixels, index)
    return data.Images.open(folder)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
