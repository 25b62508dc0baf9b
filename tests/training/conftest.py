from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from phenoviews.data import write
from phenoviews.study.resolved import Resolved

PIPELINE = [
    {"pad": {"fraction": [0.1, 0.4]}},
    {"random_rotation": {"degrees": 25}},
    {"random_crop": {"fraction": [0.5, 0.9]}},
    {"random_invert": {"p": 0.5}},
    {"normalize": {}},
]
MOCO = {
    "name": "moco",
    "kind": "moco",
    "temperature": 0.07,
    "queue": 64,
    "ema": [0.99, 1.0],
    "projector": {"hidden": [32], "out": 16, "batch_norm": False},
    "queue_per_set": False,
}
STRONG = [{"random_horizontal_flip": {"p": 0.5}}, {"random_crop": {"fraction": [0.8, 1.0]}}, {"normalize": {}}]
WEAK = [{"random_rotation": {"degrees": 10}}, {"normalize": {}}]
SETS = [{"weight": 1.0, "views": [WEAK, WEAK]}]
HEAD = {"hidden": [32], "out": 16, "batch_norm": False}
SIMCLR = {"name": "simclr", "kind": "simclr", "temperature": 0.2, "projector": HEAD}
RUN = {
    "name": "digits/first/moco/tiny/seed5",
    "scale": "demo",
    "dataset": {"name": "digits", "size": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "evaluated": "test"},
    "transform": {"name": "first", "sets": [{"weight": 1.0, "views": [PIPELINE, PIPELINE]}]},
    "method": MOCO,
    "training": {
        "epochs": 2,
        "batch_size": 32,
        "optimizer": "adam",
        "lr": 1e-3,
        "lr_scaling": False,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "schedule": "cosine",
        "warmup_epochs": 0,
        "warmup_lr": 3e-5,
        "min_lr": 0.0,
        "min_iters_per_epoch": 0,
        "precision": "auto",
        "checkpoint_minutes": 3,
        "min_spread": 0.01,
        "keep": "last",
        "snapshot_epochs": 0,
    },
    "backbone": {
        "name": "tiny",
        "kind": "vgg11",
        "stem": "small",
        "width": 0.125,
        "batch_norm": True,
        "init": "random",
    },
    "probe": {
        "epochs": 100,
        "batch_size": 256,
        "lr": 0.1,
        "lr_scaling": True,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "milestones": [60, 80],
        "gamma": 0.1,
        "transform": [{"normalize": {}}],
    },
    "evaluate": "encoder",
    "seed": 5,
}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Of two state dicts, to the last bit."""
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """For every test."""


@pytest.fixture
def make_run() -> Callable[..., Resolved]:
    """The small run, with some entries replaced: make_run(seed=6, training={"epochs": 1})."""

    def make(**changes: object) -> Resolved:
        run = copy.deepcopy(RUN)
        for key, value in changes.items():
            run[key] = {**run[key], **value} if isinstance(value, dict) and key != "method" else value
        return Resolved.from_dict(run)

    return make


def write_digits(folder: Path, train: int, test: int) -> Path:
    """A data set of 8 × 8 handwritten digits."""
    found = load_digits()
    total = train + test
    images = (found.images[:total, :, :, None] * 255 / 16).astype(np.uint8)
    labels = found.target[:total]
    index = pd.DataFrame(
        {
            "split": ["train"] * train + ["test"] * test,
            "label": labels,
            "class": labels.astype(str),
            "source": "digits",
        }
    )
    write(folder / "images.npy", folder / "index.parquet", images, index)
    return folder


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("digits"), train=300, test=150)


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("few"), train=50, test=10)


@pytest.fixture
def outputs(tmp_path: Path) -> dict[str, Path]:
    names = {
        "encoder": "encoder.pt",
        "projector": "projector.pt",
        "snapshots": "snapshots.pt",
        "embeddings": "embeddings/encoder-test.npy",
        "history": "history.csv",
        "summary": "run.yaml",
    }
    return {key: tmp_path / "run" / name for key, name in names.items()}
