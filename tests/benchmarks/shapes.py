"""Does any network crash? Two steps and an embedding of each combination, in a child process of its own."""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

import numpy as np
import pandas as pd
import torch
from torch import nn

from phenoviews import models
from phenoviews.data import Images, write
from phenoviews.data.pool import pool
from phenoviews.errors import UserError
from phenoviews.study.resolve import check_size
from phenoviews.study.resolved import Pretraining, Resolved
from phenoviews.training.devices import claim, describe
from phenoviews.training.embed import embedder, evaluation_view, features
from phenoviews.training.loop import Trainer

EPILOG = """\
A combination is ok, refused (a UserError, as the study would say it), wrong (an exception, or values that are not
finite), or ended by a signal: the crash that this looks for. Exit status 1 if any is wrong or ended.

Another instruction set is another set of kernels: run it under ONEDNN_MAX_CPU_ISA=AVX2 and AVX512_CORE too.

examples:
  python tests/benchmarks/shapes.py                             a sample of 300, some minutes on one core
  python tests/benchmarks/shapes.py --all                       every combination, hours
  python tests/benchmarks/shapes.py --backbone resnet18 --size 48 --all
"""
WIDTHS = (0.05, 0.125, 0.25, 0.375, 0.5, 1.0)
SIZES = (8, 16, 24, 31, 32, 33, 48, 64, 96, 128, 196, 224)
CHANNELS = (1, 2, 3, 4, 5, 8, 12)
PRECISIONS = ("fp32", "bf16")
BATCH = 2
HEAD = {"hidden": [32], "out": 16, "batch_norm": False}
VIEWS = [{"random_horizontal_flip": {"p": 0.5}}, {"random_crop": {"fraction": [0.8, 1.0]}}, {"normalize": {}}]
TRAINING = {
    "epochs": 2, "batch_size": BATCH, "optimizer": "adam", "lr": 1e-3, "lr_scaling": False, "momentum": 0.9,
    "weight_decay": 0.0, "schedule": "constant", "warmup_epochs": 0, "warmup_lr": 0.0, "min_lr": 0.0,
    "min_iters_per_epoch": 0, "checkpoint_minutes": 5, "min_spread": 0.0, "keep": "last", "snapshot_epochs": 0,
}  # fmt: skip
OK, REFUSED, WRONG = 0, 3, 1


@dataclass(frozen=True)
class Case:
    kind: str
    stem: str
    width: float
    size: int
    channels: int
    rule: str
    precision: str

    def run(self) -> Resolved:
        values = {"size": self.size, "mean": "own", "std": "own", "channels": self.channels}
        backbone = {"kind": self.kind, "stem": self.stem, "width": self.width, "batch_norm": True, "init": "random"}
        return Resolved.from_dict(
            {
                "name": str(self),
                "scale": "demo",
                "dataset": {"name": "noise", "evaluated": "test", **values},
                "transform": {"name": "some", "sets": [{"weight": 1.0, "views": [VIEWS, VIEWS]}]},
                "method": {"name": "simclr", "kind": "simclr", "temperature": 0.2, "projector": HEAD},
                "training": {**TRAINING, "precision": self.precision},
                "backbone": {"name": "one", **backbone, "channels": self.rule},
                "probe": {
                    "epochs": 1, "batch_size": 2, "lr": 0.1, "lr_scaling": True, "momentum": 0.9, "weight_decay": 0.0,
                    "milestones": [], "gamma": 0.1, "transform": [{"normalize": {}}],
                },
                "evaluate": "encoder",
                "seed": 5,
            }
        )  # fmt: skip

    def __str__(self) -> str:
        return (f"{self.kind} ({self.stem}) x {self.width:g}, {self.size} px, {self.channels} channels "
                f"{self.rule}, {self.precision}")  # fmt: skip


def cases() -> list[Case]:
    """Every combination once."""
    return [
        Case(kind, stem, width, size, channels, rule, precision)
        for kind, width, size, channels, precision in itertools.product(
            sorted(models.BACKBONES.keys() - {"timm"}), WIDTHS, SIZES, CHANNELS, PRECISIONS
        )
        for stem in (("small", "standard") if kind.startswith("resnet") else ("standard",))
        for rule in ("together", "each")
        if channels != 3 or rule == "together"
    ]


def sampled(all_of_them: list[Case], count: int, seed: int = 0) -> list[Case]:
    """So many; first those that show each backbone with every value of each other setting."""
    order = np.random.default_rng(seed).permutation(len(all_of_them))
    seen: set[Any] = set()
    first, rest = [], []
    for case in (all_of_them[place] for place in order):
        pairs = {(case.kind, name, getattr(case, name)) for name in ("width", "size", "channels", "precision", "rule")}
        (rest if pairs <= seen else first).append(case)
        seen |= pairs
    return (first + rest)[:count]


def noise(folder: Path, size: int, channels: int) -> Images:
    """Two images of 16 bits, for training and test; made where they are not there yet."""
    place = folder / f"{size}-{channels}"
    if not place.exists():
        place.mkdir()
        pixels = np.random.default_rng(0).integers(65536, size=(2 * BATCH, size, size, channels), dtype=np.uint16)
        index = pd.DataFrame({"split": ["train"] * BATCH + ["test"] * BATCH, "label": 0, "class": "a", "source": "a"})
        write(place / "images.npy", place / "index.parquet", pixels, index)
    return Images.open(place)


def two_steps(case: Case, folder: Path) -> None:
    """Two steps of a training, and the embedding of its images; AssertionError for values that are not finite."""
    run = case.run()
    check_size(str(case), run.backbone.kind, case.size)
    images = noise(folder, case.size, case.channels)
    trainer = Trainer(Pretraining.of(run), images, claim())
    while trainer.step < trainer.steps:
        loss = trainer.advance()
        assert loss is not None
        assert loss.isfinite(), "a loss that is not finite"
    network = embedder(trainer.method.eval().encoder, nn.Identity(), "encoder")
    found = features(network, pool(images, "test", trainer.device), evaluation_view(trainer.run.dataset))
    assert found.isfinite().all(), "embeddings that are not finite"


def in_a_child(case: Case, folder: Path) -> str:
    """What became of it. The child is a fork, so that torch is imported once; nothing may have computed before."""
    child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)
            two_steps(case, folder)
        except UserError as error:
            print(f"  {error}", flush=True)
            os._exit(REFUSED)
        except BaseException as error:
            print(f"  {type(error).__name__}: {error}", flush=True)
            os._exit(WRONG)
        os._exit(OK)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return {OK: "ok", REFUSED: "refused"}.get(os.waitstatus_to_exitcode(status), "wrong")


def results(some: list[Case]) -> Iterator[tuple[Case, str]]:
    with tempfile.TemporaryDirectory() as folder:
        for case in some:
            yield case, in_a_child(case, Path(folder))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="every combination, not a sample")
    parser.add_argument("--count", type=int, default=300, help="of the sample (default 300)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default 0)")
    parser.add_argument("--backbone", choices=list(models.BACKBONES), help="this one alone")
    parser.add_argument("--size", type=int, choices=SIZES, help="this one alone")
    parser.add_argument("--most", type=int, default=100, help="no larger images, unless --all (default 100 pixels)")
    options = parser.parse_args()
    some = [case for case in cases() if options.backbone in (None, case.kind) and options.size in (None, case.size)]
    if not options.all:
        some = sampled([case for case in some if case.size <= options.most], options.count, options.seed)
    began, count = time.monotonic(), {}
    for case, what in results(some):
        count[what] = count.get(what, 0) + 1
        if what not in ("ok", "refused"):
            print(f"{what}: {case}", flush=True)
    said = ", ".join(f"{number} {what}" for what, number in sorted(count.items()))
    print(f"{len(some)} combinations in {time.monotonic() - began:.0f} s, {describe(torch.device('cpu'))}: {said}")
    return int(not set(count) <= {"ok", "refused"})


if __name__ == "__main__":
    sys.exit(main())
