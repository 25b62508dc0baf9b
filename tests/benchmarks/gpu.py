"""What a GPU gives to the papers' trainings: the whole loop beside its bare step and the card's peak, whether a step
ever waits for the card, and the views alone."""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

import torch
from timing import bare_step, noise, timed

from phenoviews.data import Images
from phenoviews.study import Run, Study
from phenoviews.study.document import shipped
from phenoviews.study.resolved import Pretraining
from phenoviews.training.capture import PLAIN_CALLS, Captured
from phenoviews.training.devices import claim, describe, name_of, torch_switches
from phenoviews.training.history import History
from phenoviews.training.loop import Trainer

EPILOG = """\
what is measured, for each case in turns within one process:
  bare    forward, backward and optimizer on views that were made beforehand, as one CUDA graph: nothing can be faster
  loop    a whole step as `pretrain` does it: rows, both views, the same step, the history; as one graph, too
  eager   the same two, launched kernel by kernel: bare_eager and loop_eager
  views   making both views, without a step, kernel by kernel
  waits   whether a step waits for the card, as torch.cuda.set_sync_debug_mode("error") sees it; "not seen" on a CPU
  peak    the share of the card's bfloat16 peak that the bare step reaches, where this file knows the card

The settings are those of config.yaml at the papers' scale; the images are noise. What the time does not suffice for is
named in `left_out`. lightly's recipe beside it: `loop.py`, which needs lightly.

what to carry to a machine that has Python 3.12, torch and torchvision, and nothing else (in the repository's root):
  uv pip install --python-version 3.12 --target build/carried pandas pyarrow pyyaml jsonschema
and there:
  PYTHONPATH=build/carried python tests/benchmarks/gpu.py --json gpu.json

examples:
  python tests/benchmarks/gpu.py --dry               # on any CPU: every case, tiny, one step of each
  python tests/benchmarks/gpu.py mnist cells --minutes 2
"""

# TFLOP/s in bfloat16 of the dense kind, by the makers' data sheets.
PEAK = {"A100": 312, "H100 PCIe": 756, "H100": 989, "H200": 989}


@dataclass(frozen=True)
class Case:
    """A run of the study, how many images there are of what height, width and channels, and another batch size than
    the study's, if any."""

    run: Run
    images: tuple[int, int, int, int]
    batch: int | None = None


CASES = {
    **{
        name: Case(Run("cifar10", "cifar", name, "resnet18", 5), (8192, 32, 32, 3), 512)
        for name in ("simclr", "byol", "moco", "vicreg", "barlow")
    },
    "imagenet": Case(Run("imagenet100", "cifar", "simclr", "resnet50", 5), (1024, 224, 224, 3)),
    "mnist": Case(Run("mnist", "mnist_first", "moco", "vgg11", 5), (8192, 28, 28, 1)),
    "cells": Case(Run("cells_nocodazole+split_seed=5", "cell_left", "moco", "vgg13", 5), (1024, 196, 196, 3)),
}


def resolved(study: Study, case: Case, dry: bool) -> tuple[Pretraining, float]:
    """The training, and the FLOP of its step for an image; `dry`: with a narrow network, eight images a batch."""
    run, load = Pretraining.of(study.resolve(case.run)), study.load(case.run)
    flop = load.pflop * 1e15 / load.steps / run.training.batch_size
    batch = 8 if dry else case.batch or run.training.batch_size
    training = replace(run.training, batch_size=batch, epochs=10_000, warmup_epochs=0)
    backbone = replace(run.backbone, width=0.125, init="random") if dry else replace(run.backbone, init="random")
    return replace(run, training=training, backbone=backbone), flop


@contextlib.contextmanager
def refusing_to_wait(device: torch.device) -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def waits(trainer: Trainer, device: torch.device) -> str:
    """Whether a step in the middle of an epoch waits for the device: "no", why it does, or "not seen" without one."""
    if device.type != "cuda":
        return "not seen"
    try:
        with refusing_to_wait(device):
            trainer.advance()
    except RuntimeError as error:
        return " ".join(str(error).split())
    return "no"


def measure(run: Pretraining, flop: float, images: Images, device: torch.device, rounds: int, steps: int) -> dict:
    """The figures of one case, as medians over the rounds."""
    trainer, history = Trainer(run, images, device), History(device)
    for _ in range(PLAIN_CALLS + 2):
        trainer.advance()
    waiting, captured = waits(trainer, device), trainer.captured
    rows = torch.arange(trainer.batch, device=device)

    def loop(by: Captured | None) -> None:
        trainer.captured = by
        history.add(trainer.advance(), trainer.method.observed)

    contestants = {
        "bare": bare_step(trainer),
        "loop": lambda: loop(captured),
        "bare_eager": bare_step(trainer, captured=False),
        "loop_eager": lambda: loop(None),
        "views": lambda: trainer.views(trainer.take(rows)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name, step in list(contestants.items())[:: 1 if number % 2 else -1]:
            seconds[name].append(timed(step, steps, device, time.perf_counter))
    rate = {name: trainer.batch / statistics.median(values) for name, values in seconds.items()}
    peak = next((tflops for card, tflops in PEAK.items() if card in describe(device)), None)
    return {
        "run": run.name,
        "batch": trainer.batch,
        "width": run.backbone.width,
        "precision": name_of(trainer.dtype),
        "images_per_s": rate,
        "loop_of_bare": statistics.median(b / a for a, b in zip(seconds["loop"], seconds["bare"], strict=True)),
        "times_eager": statistics.median(b / a for a, b in zip(seconds["loop"], seconds["loop_eager"], strict=True)),
        "share_of_peak": rate["bare"] * flop / peak / 1e12 if peak and run.backbone.width == 1 else None,
        "waits": waiting,
        "memory_gb": torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--minutes", type=float, default=8, help="no case begins after these (default 8)")
    parser.add_argument("--rounds", type=int, default=5, help="of each case (default 5)")
    parser.add_argument("--steps", type=int, default=20, help="of each contestant in a round (default 20)")
    parser.add_argument("--dry", action="store_true", help="that it runs at all: tiny networks, one step of each")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.cases if name not in CASES]:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    device, begin = claim(), time.monotonic()
    if device.type != "cuda" and not arguments.dry:
        parser.error("there is no GPU here; --dry runs every case on the CPU, tiny")
    study = Study({**shipped(), "scale": "paper"})
    report: dict = {"device": describe(device), "torch": str(torch.__version__), "dry": arguments.dry, "cases": {},
                    "left_out": []}  # fmt: skip
    rounds, steps = (1, 1) if arguments.dry else (arguments.rounds, arguments.steps)
    for name in arguments.cases or CASES:
        if time.monotonic() - begin > 60 * arguments.minutes:
            report["left_out"].append(name)
            continue
        case = CASES[name]
        shape = (64, *case.images[1:]) if arguments.dry else case.images
        with tempfile.TemporaryDirectory() as folder, torch_switches(device):
            found = measure(*resolved(study, case, arguments.dry), noise(shape, Path(folder)), device, rounds, steps)
        report["cases"][name] = found
        rate = found["images_per_s"]
        print(f"{name:9} " + "  ".join(f"{one} {value:.0f}" for one, value in rate.items()) + " images/s\n"
              f"{'':9} loop / bare {found['loop_of_bare']:.2f}, loop / eager loop {found['times_eager']:.2f}, share of "
              f"the peak {found['share_of_peak'] or 0:.2f}, waits: {found['waits']}", flush=True)  # fmt: skip
    if report["left_out"]:
        print(f"left out, for want of time: {', '.join(report['left_out'])}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
