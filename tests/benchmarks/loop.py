"""How near the training loop comes to the bare step, and how far it is from lightly's recipe."""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

import torch
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import MoCoProjectionHead, SimCLRProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.transforms import MoCoV2Transform, SimCLRTransform
from PIL import Image
from shipped import pipeline
from timing import bare_step, noise, timed
from torch import Tensor, nn

from phenoviews import models
from phenoviews.data import Images
from phenoviews.study.resolved import Pretraining
from phenoviews.training.devices import autocast_dtype, claim, describe, memory_format, name_of, torch_switches
from phenoviews.training.history import History
from phenoviews.training.loop import Trainer

EPILOG = """\
what is measured, in turns within one process, so that a busy machine disturbs all three alike:
  bare     forward, backward and optimizer of the method on views that were made beforehand: nothing can be faster
  loop     a whole step as `pretrain` does it: rows, both views, the same forward, backward and optimizer, the history
  lightly  lightly's transform in a torch DataLoader over the same images as PIL, lightly's head and loss, the same
           backbone, precision and kind of optimizer

Each round times --steps steps of each; the figures are medians over the rounds, the ratios medians of the rounds' own
ratios. An image counts once per step, though it is viewed twice. The images are noise: their content costs nothing.

presets:
  cifar    ResNet18 (small stem) at 32 px, SimCLR, batch 256 (GPU: 512)
  mnist    VGG11 (GPU: full width; CPU: the demo's 0.25) at 32 px, MoCo v2+, batch 32
  cells    VGG13 at 196 px, MoCo v2+, batch 32; also with --backbone resnet18

examples:
  python tests/benchmarks/loop.py mnist
  python tests/benchmarks/loop.py cifar --rounds 3 --steps 1
  python tests/benchmarks/loop.py cells --backbone resnet18 --no-lightly --json cells.json
"""

SIMCLR = {
    "kind": "simclr",
    "temperature": 0.2,
    "projector": {"hidden": [2048], "out": 256, "batch_norm": False},
}
MOCO = {
    "kind": "moco",
    "temperature": 0.07,
    "queue": 1024,
    "ema": [0.999, 0.999],
    "projector": {"hidden": [512], "out": 128, "batch_norm": False},
    "queue_per_set": False,
}
PLAIN = {"mean": [0.5] * 3, "std": [0.5] * 3}
# lightly's transforms with what they have of the same operations.
PRESETS = {
    "cifar": {
        "images": (2048, 32, 32, 3),
        "size": 32,
        "pipeline": pipeline("cifar"),
        "method": SIMCLR,
        "backbone": "resnet18",
        "batch": {"cpu": 256, "cuda": 512},
        "width": {"cpu": 1.0, "cuda": 1.0},
        "optimizer": {"optimizer": "sgd", "lr": 0.4},
        "steps": {"cpu": 1, "cuda": 20},
        "lightly": lambda: SimCLRTransform(
            32, cj_bright=0.4, cj_contrast=0.4, cj_sat=0.2, cj_hue=0.1, gaussian_blur=0.0, normalize=PLAIN
        ),
    },
    "mnist": {
        "images": (2048, 28, 28, 1),
        "size": 32,
        "pipeline": pipeline("mnist_first"),
        "method": MOCO,
        "backbone": "vgg11",
        "batch": {"cpu": 32, "cuda": 32},
        "width": {"cpu": 0.25, "cuda": 1.0},
        "optimizer": {"optimizer": "adam", "lr": 1e-3},
        "steps": {"cpu": 20, "cuda": 100},
        "lightly": lambda: MoCoV2Transform(
            32, cj_prob=0.0, random_gray_scale=0.0, hf_prob=0.0, rr_prob=1.0, rr_degrees=25, normalize=PLAIN
        ),
    },
    "cells": {
        "images": (512, 196, 196, 3),
        "size": 196,
        "pipeline": pipeline("cell_left"),
        "method": MOCO,
        "backbone": "vgg13",
        "batch": {"cpu": 32, "cuda": 32},
        "width": {"cpu": 1.0, "cuda": 1.0},
        "optimizer": {"optimizer": "adam", "lr": 1e-3},
        "steps": {"cpu": 1, "cuda": 20},
        "lightly": lambda: MoCoV2Transform(
            196, cj_prob=1.0, cj_hue=0.125, min_scale=0.9, random_gray_scale=0.0, vf_prob=0.5, rr_prob=1.0,
            rr_degrees=180, normalize=PLAIN,
        ),
    },
}  # fmt: skip


def make_run(preset: dict, device: str, backbone: str, precision: str, batch: int | None) -> Pretraining:
    training = {
        "epochs": 10_000,
        "batch_size": batch or preset["batch"][device],
        "lr_scaling": False,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "schedule": "cosine",
        "warmup_epochs": 0,
        "warmup_lr": 0.0,
        "min_lr": 0.0,
        "min_iters_per_epoch": 0,
        "precision": precision,
        "checkpoint_minutes": 5,
        "min_spread": 0.01,
        "keep": "last",
        "snapshot_epochs": 0,
        **preset["optimizer"],
    }
    stem = "small" if preset["size"] == 32 else "standard"
    width = preset["width"][device]
    run = {
        "name": "benchmark",
        "scale": "benchmark",
        "dataset": {"name": "noise", "size": preset["size"], **PLAIN, "evaluated": "train"},
        "transform": {"name": "preset", "sets": [{"weight": 1.0, "views": [preset["pipeline"]] * 2}]},
        "method": {"name": "preset", **preset["method"]},
        "backbone": {
            "name": backbone,
            "kind": backbone,
            "stem": stem,
            "width": width,
            "batch_norm": True,
            "init": "random",
        },
        "training": training,
        "seed": 5,
    }
    return Pretraining.from_dict(run)


class Pictures(torch.utils.data.Dataset):
    """PIL images in memory, each given out as the views that `transform` makes of it."""

    def __init__(self, images: Images, transform: Callable):
        self.pictures = [Image.fromarray(array.squeeze()).convert("RGB") for array in images.array]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, row: int) -> list[Tensor]:
        return self.transform(self.pictures[row])


class Lightly:
    """lightly's recipe for SimCLR and for MoCo (with the symmetric loss, which is what ours computes)."""

    def __init__(self, run: Pretraining, images: Images, transform: Callable, device: torch.device, workers: int):
        method, training = run.method.parameters, run.training
        head = method["projector"]
        self.device, self.dtype = device, autocast_dtype(training.precision, device)
        backbone = models.build(run.backbone.to_dict())
        self.layout = memory_format(backbone, device)
        sizes = (backbone.dim, head["hidden"][0], head["out"])
        bank = 0
        self.slow = None
        if run.method.kind == "moco":
            bank = (method["queue"], head["out"])
            self.online = nn.Sequential(backbone, MoCoProjectionHead(*sizes))
            self.slow = copy.deepcopy(self.online).to(device, memory_format=self.layout)
            deactivate_requires_grad(self.slow)
        else:
            self.online = nn.Sequential(backbone, SimCLRProjectionHead(*sizes, batch_norm=False))
        self.online.to(device, memory_format=self.layout)
        self.loss = NTXentLoss(method["temperature"], memory_bank_size=bank).to(device)
        kinds = {"sgd": lambda p: torch.optim.SGD(p, training.lr, 0.9, weight_decay=1e-4),
                 "adam": lambda p: torch.optim.Adam(p, training.lr, weight_decay=1e-4)}  # fmt: skip
        self.optimizer = kinds[training.optimizer](self.online.parameters())
        self.loader = torch.utils.data.DataLoader(
            Pictures(images, transform),
            training.batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            pin_memory=device.type == "cuda",
        )

    def batches(self) -> Iterator[list[Tensor]]:
        while True:
            yield from self.loader

    def step(self, views: list[Tensor]) -> None:
        first, second = (v.to(self.device, non_blocking=True, memory_format=self.layout) for v in views[:2])
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None):
            if self.slow is None:
                loss = self.loss(self.online(first), self.online(second))
            else:
                update_momentum(self.online, self.slow, 0.999)
                with torch.no_grad():
                    keys = self.slow(first), self.slow(second)
                loss = (self.loss(self.online(first), keys[1]) + self.loss(self.online(second), keys[0])) / 2
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def measure(arguments: argparse.Namespace, device: torch.device, folder: Path) -> dict:
    preset = PRESETS[arguments.preset]
    run = make_run(preset, device.type, arguments.backbone or preset["backbone"], arguments.precision, arguments.batch)
    images = noise(preset["images"], folder)
    steps = arguments.steps or preset["steps"][device.type]
    clock = {"wall": time.perf_counter, "cpu": time.process_time}[arguments.clock]

    trainer = Trainer(run, images, device)
    trainer.advance()  # which begins the epoch
    history = History(device)
    contestants = {
        "bare": bare_step(trainer),
        "loop": lambda: history.add(trainer.advance(), trainer.method.observed),
    }
    recipe = None
    if arguments.lightly:
        recipe = Lightly(run, images, preset["lightly"](), device, arguments.workers)

    seconds: dict[str, list[float]] = {name: [] for name in (*contestants, *(["lightly"] if recipe else []))}
    for number in range(arguments.rounds + 1):
        # The order changes from round to round: whoever comes second finds warm caches, or a hotter processor.
        turn = list(contestants.items())[:: 1 if number % 2 else -1]
        found = {name: timed(step, steps, device, clock) for name, step in turn}
        if recipe:
            # Workers live for the round only: otherwise they would work ahead while the others are timed.
            batches = recipe.batches()
            found["lightly"] = timed(lambda batches=batches: recipe.step(next(batches)), steps, device, clock)
            batches.close()
        print(f"round {number}: " + ", ".join(f"{k} {1e3 * v:.1f} ms" for k, v in found.items())
              + (" (not counted)" if number == 0 else ""), file=sys.stderr, flush=True)  # fmt: skip
        if number:
            for name, value in found.items():
                seconds[name].append(value)

    def ratio(a: str, b: str) -> float:
        return statistics.median(y / x for x, y in zip(seconds[a], seconds[b], strict=True))

    return {
        "preset": arguments.preset,
        "device": describe(device),
        "backbone": run.backbone.kind,
        "width": run.backbone.width,
        "method": run.method.kind,
        "batch": trainer.batch,
        "size": preset["size"],
        "precision": name_of(trainer.dtype),
        "torch": str(torch.__version__),
        "clock": arguments.clock,
        "rounds": arguments.rounds,
        "steps": steps,
        "milliseconds": {name: 1e3 * statistics.median(values) for name, values in seconds.items()},
        "images_per_s": {name: trainer.batch / statistics.median(values) for name, values in seconds.items()},
        "loop_of_bare": ratio("loop", "bare"),
        **({"loop_of_lightly": ratio("loop", "lightly")} if recipe else {}),
    }


def table(found: dict) -> str:
    head = "{backbone} (width {width}), {size} px, {method}, batch {batch}, {precision}, {clock} time, torch {torch}, "
    head += "{device}"
    names = {"bare": "bare step", "loop": "whole loop", "lightly": "lightly's recipe"}
    lines = [head.format(**found), f"{'':18}{'images/s':>10}{'ms/step':>10}"]
    for name, value in found["images_per_s"].items():
        lines.append(f"{names[name]:18}{value:10.0f}{found['milliseconds'][name]:10.1f}")
    lines.append(f"loop / bare step: {found['loop_of_bare']:.3f}")
    if "loop_of_lightly" in found:
        lines.append(f"loop / lightly's recipe: {found['loop_of_lightly']:.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset", choices=PRESETS, help="what to train; see below")
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count, after one that does not (default 7)")
    parser.add_argument("--steps", type=int, help="steps of each per round (default: about a second's worth or more)")
    parser.add_argument("--batch", type=int, help="another batch size than the preset's")
    parser.add_argument("--backbone", choices=models.BACKBONES, help="another backbone than the preset's")
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "fp16", "fp32"),
                        help="of all three (default auto: bf16 where it pays)")  # fmt: skip
    parser.add_argument("--threads", type=int, help="of the CPU (default: torch's own choice, all cores)")
    parser.add_argument("--workers", type=int, help="lightly's loader processes (default 0 on the CPU, 8 on a GPU)")
    parser.add_argument("--clock", default="wall", choices=("wall", "cpu"),
                        help="cpu: processor time of this process; for a CPU shared with others, with --threads 1 and "
                        "--workers 0 (default wall)")  # fmt: skip
    parser.add_argument("--no-lightly", dest="lightly", action="store_false", help="leave lightly's recipe out")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    arguments = parser.parse_args()
    device = claim()
    if arguments.workers is None:
        arguments.workers = 8 if device.type == "cuda" else 0
    with tempfile.TemporaryDirectory() as folder, torch_switches(device, arguments.threads):
        found = measure(arguments, device, Path(folder))
    print(table(found))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
