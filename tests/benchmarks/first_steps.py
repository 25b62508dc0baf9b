"""The first steps of trainings, step by step: whether a method learns under its settings, before hours go into it."""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

import yaml

from phenoviews.data import Images
from phenoviews.errors import UserError
from phenoviews.study import Run, Study, merge
from phenoviews.study.document import shipped, users
from phenoviews.study.resolved import Pretraining
from phenoviews.training.devices import claim, torch_switches
from phenoviews.training.history import spread
from phenoviews.training.loop import Trainer

EPILOG = """\
A run is named as its folder is: dataset/transform/method/backbone/seed5, overrides included. It is trained by its
settings at the scale, warm-up and all, as `pretrain` trains it, but for no longer than --seconds or --steps, and
nothing is kept but the table. A training ends where its loss is not finite.

columns: run; step, from 0; lr; loss; spread of the features (1: of independent ones, 0: collapsed); seconds so far.

examples, with the images that `snakemake --configfile mine.yaml -- results/data/mine/images.npy` has made:
  python tests/benchmarks/first_steps.py mine/cifar/vicreg/resnet18/seed5 --config mine.yaml --steps 400
  python tests/benchmarks/first_steps.py mine/cifar/vicreg/resnet18+width=0.25/seed5 --config mine.yaml \\
    --set optimizer=lars lr=0.1 --out lars.csv
"""
COLUMNS = ("run", "step", "lr", "loss", "spread", "seconds")


def study_of(configs: Sequence[Path], scale: str) -> Study:
    """The shipped study with the files laid over it, at a scale."""
    said: dict[str, Any] = {"scale": scale}
    for path in configs:
        said = merge(said, yaml.safe_load(path.read_text()))
    document, said = users(said, shipped(), said)
    return Study(document, shipped(), said)


def steps(run: Pretraining, images: Images, most: int, seconds: float) -> Iterator[tuple[float, ...]]:
    """Step, learning rate, loss, spread, seconds, of each step until the time or the number is used up."""
    device = claim()
    with torch_switches(device):
        trainer = Trainer(run, images, device)
        began = time.monotonic()
        while trainer.step < min(most, trainer.steps) and time.monotonic() - began < seconds:
            step, rate = trainer.step, trainer.lr
            loss = trainer.advance()
            value = math.nan if loss is None else loss.item()
            yield step, rate, value, spread(trainer.observed).item(), time.monotonic() - began
            if loss is not None and not math.isfinite(value):
                return


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--config", nargs="*", type=Path, default=[], help="files that are laid over config.yaml")
    parser.add_argument("--scale", default="paper", help="of the settings (default: paper)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where data/DATASET lies")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of the training")
    parser.add_argument("--steps", type=int, default=100, help="at most so many of each run (default: 100)")
    parser.add_argument("--seconds", type=float, default=math.inf, help="at most so long for each run")
    parser.add_argument("--out", type=Path, help="a CSV file; rows are added to one that is there")
    arguments = parser.parse_args()

    study = study_of(arguments.config, arguments.scale)
    changes = {key: yaml.safe_load(value) for key, value in (one.split("=", 1) for one in arguments.set)}
    new = arguments.out is None or not arguments.out.exists()
    with arguments.out.open("a", newline="") if arguments.out else sys.stdout as file:
        rows = csv.writer(file)
        if new:
            rows.writerow(COLUMNS)
        for name in arguments.runs:
            *names, seed = name.split("/")
            resolved = Pretraining.of(study.resolve(Run(*names, seed=int(seed.removeprefix("seed")))))
            run = replace(resolved, training=replace(resolved.training, **changes))
            images = Images.open(arguments.results / "data" / run.dataset.name)
            label = " ".join([name, *arguments.set])
            for one in steps(run, images, arguments.steps, arguments.seconds):
                rows.writerow([label, *(f"{value:.6g}" for value in one)])
                file.flush()


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"first_steps.py: error: {error}")
