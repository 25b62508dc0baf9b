"""How near images that are read from the disk come to images in memory, and how much memory they take."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import multiprocessing
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

import numpy as np
import pandas as pd
import torch
from shipped import pipeline
from tqdm import tqdm

from phenoviews.data import Images, pool
from phenoviews.data.images import CHUNK, write_chunks
from phenoviews.study.resolved import Pretraining
from phenoviews.training.devices import claim, describe, torch_switches
from phenoviews.training.embed import BATCH, embedded, evaluation_view, with_statistics, write_embeddings
from phenoviews.training.loop import Trainer

EPILOG = """\
what is measured: random crops of 96 px, --gb of them on the disk. One process trains on all of them and embeds them,
streamed; another does so with the first --resident-gb of them, in memory. They work in turns, --rounds of them after
one that does not count, so that a busy machine disturbs both alike. A round is --steps steps of SimCLR under the
transform `single_cell` of config.yaml, and --embed batches of embeddings, of images that no round before embedded. At
the end the streaming process embeds all images into a file, unless --part.

Before each turn the kernel is told to forget the file, so that it is read from the disk. The ratios are medians of the
rounds' own ratios. Peak resident memory is each process's own (VmHWM), torch and all.

examples:
  python tests/benchmarks/stream.py
  python tests/benchmarks/stream.py --width 0.125 --size 32 --threads 1     # the network weighs little, the disk much
  python tests/benchmarks/stream.py --gb 2 --rounds 3 --steps 1 --part --json stream.json
"""

FORMS = ("streamed", "resident")
SIDE = 96


def make_run(arguments: argparse.Namespace) -> Pretraining:
    training = {
        "epochs": 10_000,
        "batch_size": arguments.batch,
        "optimizer": "adam",
        "lr": 3e-4,
        "lr_scaling": False,
        "momentum": 0.9,
        "weight_decay": 1e-5,
        "schedule": "cosine",
        "warmup_epochs": 0,
        "warmup_lr": 0.0,
        "min_lr": 0.0,
        "min_iters_per_epoch": 0,
        "precision": "auto",
        "checkpoint_minutes": 5,
        "min_spread": 0.01,
        "keep": "last",
        "snapshot_epochs": 0,
    }
    views = pipeline("single_cell")
    head = {"hidden": [512], "out": 256, "batch_norm": False}
    run = {
        "name": "benchmark",
        "scale": "benchmark",
        "dataset": {"name": "noise", "size": arguments.size, "mean": "own", "std": "own", "evaluated": "all"},
        "transform": {"name": "single_cell", "sets": [{"weight": 1.0, "views": [views, views]}]},
        "method": {"name": "simclr", "kind": "simclr", "temperature": 0.1, "projector": head},
        "backbone": {
            "name": "resnet18",
            "kind": "resnet18",
            "stem": "standard",
            "width": arguments.width,
            "batch_norm": True,
            "init": "random",
        },
        "training": training,
        "seed": 5,
    }
    return Pretraining.from_dict(run)


def make(folder: Path, gb: float) -> None:
    """`gb` GB of crops of random bytes in `folder`."""
    count = int(gb * 1e9 / (SIDE * SIDE * 3))
    rng = np.random.default_rng(0)

    def chunks() -> Iterator[np.ndarray]:
        for start in tqdm(range(0, count, CHUNK), desc=f"writing {gb:g} GB", unit="chunk"):
            size = min(CHUNK, count - start)
            yield np.frombuffer(rng.bytes(size * SIDE * SIDE * 3), np.uint8).reshape(size, SIDE, SIDE, 3)

    index = pd.DataFrame({"split": "train", "label": 0, "class": "noise", "source": "noise"}, index=range(count))
    shape = (count, SIDE, SIDE, 3)
    write_chunks(folder / "images.npy", folder / "index.parquet", chunks(), shape, np.uint8, index)


def forget(file: Path) -> None:
    """The kernel's copies of the file's pages go, so that the next reads are of the disk."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def peak_mib() -> int:
    """The largest resident memory of this process so far."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024


class Form:
    """One of the two forms, which trains and embeds when it is told and says the seconds."""

    def __init__(self, form: str, arguments: argparse.Namespace, folder: Path, device: torch.device):
        self.arguments, self.device, self.file = arguments, device, folder / "images.npy"
        # The form is told and not found, so that it is the same on machines of all sizes.
        pool.HOST, pool.GPU = (math.inf, math.inf) if form == "resident" else (0, 0)
        self.images = Images.open(folder)
        if form == "resident":
            split = np.full(len(self.images.index), "val", dtype=object)
            split[: int(arguments.resident_gb * 1e9 / (SIDE * SIDE * 3))] = "train"
            self.images = dataclasses.replace(self.images, index=self.images.index.assign(split=split))
        begin = time.perf_counter()
        with_statistics(self.images, make_run(arguments).dataset)
        self.own_seconds = time.perf_counter() - begin
        self.trainer = Trainer(make_run(arguments), self.images, device)
        self.embedding = self._embedding()

    def train(self) -> float:
        return self._timed(lambda: [self.trainer.advance() for _ in range(self.arguments.steps)])

    def embed(self) -> float:
        """Goes on where the last call ended, so that streamed images are not those that were just read."""
        return self._timed(lambda: torch.cat([next(self.embedding) for _ in range(self.arguments.embed)]).cpu())

    def everything(self) -> float:
        """All images of the file, into a file."""
        out, dataset = self.file.with_name("embeddings.npy"), self.trainer.run.dataset
        encoder = self.trainer.method.encoder
        return self._timed(lambda: write_embeddings(encoder, self.images, dataset, out, self.device))

    def _embedding(self) -> Iterator[torch.Tensor]:
        view = evaluation_view(self.trainer.run.dataset)
        while True:
            for batch in embedded(self.trainer.method.encoder, self.trainer.images, view):
                if len(batch) == BATCH:
                    yield batch

    def _timed(self, do: Callable[[], object]) -> float:
        forget(self.file)
        begin = time.perf_counter()
        do()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - begin


def serve(form: str, arguments: argparse.Namespace, folder: Path, line: Connection) -> None:
    """A process: answers names of methods of `Form` with what they return."""
    device = claim()
    with torch_switches(device, arguments.threads):
        worker = Form(form, arguments, folder, device)
        start = {"device": describe(device), "own_seconds": worker.own_seconds, "images": len(worker.trainer.images)}
        line.send(start)
        while (asked := line.recv()) is not None:
            worker.trainer.method.train(asked == "train")
            line.send(getattr(worker, asked)())
        line.send(peak_mib())


def measure(arguments: argparse.Namespace, folder: Path) -> dict:
    make(folder, arguments.gb)
    forget(folder / "images.npy")
    context = multiprocessing.get_context("spawn")
    lines, facts = {}, {}
    for form in FORMS:
        lines[form], there = context.Pipe()
        context.Process(target=serve, args=(form, arguments, folder, there), daemon=True).start()
        there.close()  # so that its end is heard
        facts[form] = lines[form].recv()

    def ask(form: str, what: str | None) -> Any:
        lines[form].send(what)
        return lines[form].recv()

    amount = {"train": arguments.steps * arguments.batch, "embed": arguments.embed * BATCH}
    rates: dict[str, dict[str, list[float]]] = {what: {form: [] for form in FORMS} for what in amount}
    for number in range(arguments.rounds + 1):
        for what, count in amount.items():
            # The order changes from round to round: whoever comes second finds warm caches, or a hotter processor.
            found = {form: count / ask(form, what) for form in FORMS[:: 1 if number % 2 else -1]}
            print(f"round {number}, {what}: " + ", ".join(f"{form} {rate:.0f} images/s" for form, rate in found.items())
                  + (" (not counted)" if number == 0 else ""), file=sys.stderr, flush=True)  # fmt: skip
            if number:
                for form, rate in found.items():
                    rates[what][form].append(rate)
    images = facts["streamed"]["images"]
    whole = {} if arguments.part else {"everything_images_per_s": images / ask("streamed", "everything")}
    ratios = {
        what: [a / b for a, b in zip(each["streamed"], each["resident"], strict=True)] for what, each in rates.items()
    }
    return {
        "device": facts["streamed"]["device"],
        "torch": str(torch.__version__),
        "gb": arguments.gb,
        "images": {form: facts[form]["images"] for form in FORMS},
        "width": arguments.width,
        "size": arguments.size,
        "rounds": arguments.rounds,
        "images_per_s": {what: {form: statistics.median(each[form]) for form in FORMS} for what, each in rates.items()},
        "streamed_of_resident": {what: statistics.median(each) for what, each in ratios.items()},
        "ratios": ratios,
        **whole,
        "own_seconds": facts["streamed"]["own_seconds"],
        "peak_mib": {form: ask(form, None) for form in FORMS},
    }


def table(found: dict) -> str:
    head = "ResNet18 (width {width}) at {size} px, {gb:g} GB of crops of 96 px, torch {torch}, {device}"
    lines = [head.format(**found), f"{'':10}{'streamed':>12}{'resident':>12}{'ratio':>8}   images/s"]
    for what, rate in found["images_per_s"].items():
        lines.append(
            f"{what:10}{rate['streamed']:12.0f}{rate['resident']:12.0f}{found['streamed_of_resident'][what]:8.3f}"
        )
    lines.append(f"{'peak MiB':10}{found['peak_mib']['streamed']:12}{found['peak_mib']['resident']:12}")
    if "everything_images_per_s" in found:
        count = found["images"]["streamed"]
        lines.append(f"all {count} images embedded into a file: {found['everything_images_per_s']:.0f} images/s")
    lines.append(f"own mean and std: {found['own_seconds']:.1f} s")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gb", type=float, default=20, help="of crops on the disk (default 20)")
    parser.add_argument("--resident-gb", type=float, default=1, help="of them in memory beside it (default 1)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count, after one that does not (default 5)")
    parser.add_argument("--steps", type=int, default=4, help="steps per round (default 4)")
    parser.add_argument("--embed", type=int, default=8, help=f"batches of {BATCH} embedded per round (default 8)")
    parser.add_argument("--batch", type=int, default=256, help="images per step (default 256)")
    parser.add_argument(
        "--width", type=float, default=1.0, help="of ResNet18 (default 1); less makes the disk weigh more"
    )
    parser.add_argument("--size", type=int, default=96, help="of a view in pixels (default 96)")
    parser.add_argument("--part", action="store_true", help="do not embed all images at the end")
    parser.add_argument("--threads", type=int, help="of the CPU (default: torch's own choice, all cores)")
    parser.add_argument(
        "--folder", type=Path, help="where the crops are written for the time (default: that of TMPDIR)"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        found = measure(arguments, Path(folder))
    print(table(found))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
