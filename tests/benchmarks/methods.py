"""Every method for a few epochs on the same images: whether it learns, and how near its loop is to the bare step."""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

import numpy as np
import yaml
from first_steps import study_of
from timing import bare_step, timed

from phenoviews import methods
from phenoviews.data import Images
from phenoviews.data.pool import pool
from phenoviews.errors import UserError
from phenoviews.measures.knn import knn
from phenoviews.study import Run
from phenoviews.study.resolved import Pretraining
from phenoviews.training.devices import claim, describe, name_of, torch_switches
from phenoviews.training.embed import evaluation_view, features
from phenoviews.training.history import History
from phenoviews.training.loop import Trainer

EPILOG = """\
Each method is trained by its settings at the scale, as `pretrain` trains it, on the images of results/data/DATASET.
columns: loss of the first and of the last epoch (DINO's and DeepCluster v2's need not fall); spread of the features in
the last (1: of independent ones, 0: collapsed); kNN accuracy in percent, before and after; images/s; its ratio to the
bare step (forward, backward, optimizer, momentum, on views that were made beforehand), in turns within this process.

examples, after `snakemake results/demo/data/photographs/images.npy`:
  python tests/benchmarks/methods.py photographs --results results/demo --scale demo --set epochs=3 batch_size=128
  python tests/benchmarks/methods.py photographs --only vicreg vibcreg --set epochs=3 optimizer=lars
"""


def accuracy(trainer: Trainer, images: Images) -> float:
    """kNN accuracy of the encoder as it is, in percent: up to 2,000 test images among up to 10,000 training images."""
    network, view = trainer.method.encoder.eval(), evaluation_view(trainer.run.dataset)
    points, labels = {}, {}
    for split, most in (("train", 10_000), ("test", 2_000)):
        found = features(network, pool(images, split, trainer.device), view).cpu().numpy()
        rows = np.random.default_rng(0).permutation(len(found))[:most]
        points[split], labels[split] = found[rows], images.labels(split)[rows]
    network.train()
    return float(knn(points["test"], labels["test"], [points["train"]], labels["train"])["value"].iloc[0])


def trained(run: Pretraining, images: Images, epochs: int, rounds: int) -> dict[str, Any]:
    device = claim()
    with torch_switches(device):
        trainer, history = Trainer(run, images, device), History(device)
        before = accuracy(trainer, images)
        while trainer.epoch < epochs:
            lr = trainer.lr
            history.add(trainer.advance(), trainer.observed)
            if trainer.step % trainer.steps_per_epoch == 0:
                history.end_epoch(trainer.steps_per_epoch * trainer.batch, lr, None)
                if not math.isfinite(history.rows[-1]["loss"] or 0):
                    break
        failed = not math.isfinite(history.rows[-1]["loss"] or 0)
        after = math.nan if failed else accuracy(trainer, images)
        trainer.step = trainer.step - trainer.steps_per_epoch + 1  # in an epoch, to be timed
        bare = bare_step(trainer)

        def loop() -> None:
            history.add(trainer.advance(), trainer.observed)
            trainer.step -= 1

        seconds = [[timed(step, 2, device, time.perf_counter) for step in (bare, loop)] for _ in range(rounds)]
    return {
        "loss": [row["loss"] for row in history.rows],
        "lr": [row["lr"] for row in history.rows],
        "spread": history.rows[-1]["spread"],
        "knn": [before, after],
        "images_per_s": trainer.batch / statistics.median(loop for _, loop in seconds),
        "loop_of_bare": statistics.median(bare / loop for bare, loop in seconds),
        "precision": name_of(trainer.dtype),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", help="its name in the study")
    parser.add_argument("--transform", default="cifar")
    parser.add_argument("--backbone", default="resnet18+stem=standard")
    parser.add_argument("--only", nargs="*", default=sorted(methods.METHODS), help="methods (default: all)")
    parser.add_argument("--config", nargs="*", type=Path, default=[], help="files that are laid over config.yaml")
    parser.add_argument("--scale", default="paper", help="of the settings (default: paper)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where data/DATASET lies")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of the training")
    parser.add_argument("--epochs", type=int, help="stop after so many of the schedule's (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="of timing")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    arguments = parser.parse_args()

    study, images = (
        study_of(arguments.config, arguments.scale),
        Images.open(arguments.results / "data" / arguments.dataset),
    )
    changes = {key: yaml.safe_load(value) for key, value in (one.split("=", 1) for one in arguments.set)}
    print(describe(claim()), arguments.dataset, arguments.transform, arguments.backbone, *arguments.set, end="\n\n")
    print("| method | loss, first and last epoch | spread | kNN before | kNN after | images/s | loop / bare |")
    print("|---|---|---|---|---|---|---|")
    table: dict[str, Any] = {}
    for kind in arguments.only:
        run = Pretraining.of(study.resolve(Run(arguments.dataset, arguments.transform, kind, arguments.backbone, 5)))
        run = replace(run, training=replace(run.training, **changes))
        found = trained(
            run, images, min(arguments.epochs or run.training.epochs, run.training.epochs), arguments.rounds
        )
        table[kind] = found
        losses = [loss for loss in found["loss"] if loss is not None]
        cells = [
            kind,
            f"{losses[0]:.4g} → {losses[-1]:.4g}",
            f"{found['spread']:.2f}",
            *(f"{one:.1f}" for one in found["knn"]),
            f"{found['images_per_s']:.0f}",
            f"{found['loop_of_bare']:.2f}",
        ]
        print("|", " | ".join(cells), "|", flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps({"device": describe(claim()), "methods": table}, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"methods.py: error: {error}")
