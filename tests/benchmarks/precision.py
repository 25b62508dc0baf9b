"""What bfloat16 changes: the loss of every epoch, the kNN accuracy in the end, and the speed, beside float32."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

import numpy as np
import pandas as pd
import torch
from shipped import study
from sklearn.neighbors import KNeighborsClassifier

from phenoviews.data import Images
from phenoviews.data.pool import pool
from phenoviews.data.readers import digits, folder
from phenoviews.study.resolved import Pretraining
from phenoviews.study.run import Run
from phenoviews.training.devices import claim, describe, name_of, torch_switches
from phenoviews.training.embed import evaluation_view, features
from phenoviews.training.loop import Trainer

EPILOG = """\
presets:
  digits   MoCo v2+, VGG11 x 0.25, the transform `mnist_first` of config.yaml, scikit-learn's 1,797 digits
  cifar    SimCLR, ResNet18 x 0.25, the transform `cifar`, CIFAR-10 as folders of pictures (--path)

Both precisions train in turns, an epoch each, from the same seed. kNN: cosine, k = 20, weights exp(similarity / 0.07).
The speed is in processor time on one thread, so that other jobs on the machine change it little.

examples:
  python tests/benchmarks/precision.py digits --epochs 20
  python tests/benchmarks/precision.py cifar --path cifar10 --images 5000 --epochs 8
"""
PRESETS = {
    "digits": Run("digits", "mnist_first", "moco", "vgg11+width=0.25", seed=0),
    "cifar": Run("cifar10", "cifar", "simclr", "resnet18+width=0.25", seed=0),
}
PRECISIONS = ("fp32", "bf16")


def trainer(run: Run, images: Images, precision: str, options: argparse.Namespace) -> Trainer:
    resolved = Pretraining.of(study().resolve(study().spelled(run)))
    training = replace(resolved.training, precision=precision, epochs=options.epochs, batch_size=options.batch)
    return Trainer(replace(resolved, training=training), images, claim())


def knn(trained: Trainer, images: Images) -> float:
    """Accuracy on the test split, in percent."""
    trained.method.eval()
    view = evaluation_view(trained.run.dataset)
    found = {
        split: features(trained.method.encoder, pool(images, split, trained.device), view).cpu().numpy()
        for split in ("train", "test")
    }
    classifier = KNeighborsClassifier(20, metric="cosine", weights=lambda distance: np.exp((1 - distance) / 0.07))
    classifier.fit(found["train"], images.labels("train"))
    return 100 * float(classifier.score(found["test"], images.labels("test")))


def compare(run: Run, images: Images, options: argparse.Namespace) -> None:
    both = {precision: trainer(run, images, precision, options) for precision in PRECISIONS}
    speeds: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    print(f"seed {run.seed}, loss of every epoch: {' and '.join(name_of(one.dtype) for one in both.values())}")
    for epoch in range(options.epochs):
        losses = []
        for precision, one in both.items():
            began = time.process_time()
            of_steps = [one.advance() for _ in range(one.steps_per_epoch)]
            speeds[precision].append(one.steps_per_epoch * one.batch / (time.process_time() - began))
            losses.append(statistics.mean(loss.item() for loss in of_steps if loss is not None))
        print(f"  {epoch:3} {losses[0]:8.4f} {losses[1]:8.4f}", flush=True)
    for precision, one in both.items():
        speed = statistics.median(speeds[precision])
        print(f"  {precision}: kNN {knn(one, images):.2f} %, {speed:.0f} images/s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset", choices=PRESETS)
    parser.add_argument("--path", type=Path, help="of CIFAR-10")
    parser.add_argument("--images", type=int, help="so many training images, evenly over the classes; default: all")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, torch_switches(claim(), threads=1):
        files = Path(temporary) / "images.npy", Path(temporary) / "index.parquet"
        if options.preset == "digits":
            digits.prepare({}, {}, *files)
        else:
            folder.prepare({"path": str(options.path), "size": 32}, {}, *files)
        if options.images:
            keep(options.images, files[1])
        images = Images.open(Path(temporary))
        print(f"{options.preset}: {len(images.rows('train'))} training images, batch {options.batch}, torch "
              f"{torch.__version__}, {describe(claim())}")  # fmt: skip
        for seed in options.seeds:
            compare(replace(PRESETS[options.preset], seed=seed), images, options)


def keep(number: int, index: Path) -> None:
    """So many training images, evenly spaced over their rows and so over the classes; the others count as `val`."""
    table = pd.read_parquet(index)
    train = np.flatnonzero(table["split"] == "train")
    table.loc[train, "split"] = "val"
    table.loc[train[np.linspace(0, len(train) - 1, number).astype(int)], "split"] = "train"
    table.to_parquet(index)


if __name__ == "__main__":
    main()
