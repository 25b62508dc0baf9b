"""Every shape of convolution that a backbone has trains, and embeds: no library crashes on any.

In a process of its own, which a crash ends. Another instruction set is another set of kernels:
`ONEDNN_MAX_CPU_ISA=AVX2 pytest tests/training/test_shapes.py`, and AVX512_CORE.
"""

from __future__ import annotations

import copy
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.training.conftest import RUN, SETS, SIMCLR
from torch import nn

from phenoviews import models
from phenoviews.data import Images, write
from phenoviews.data.pool import pool
from phenoviews.study.resolved import Pretraining, Resolved
from phenoviews.training.embed import embedder, evaluation_view, features
from phenoviews.training.loop import Trainer

WIDTHS = (0.125, 0.25, 0.375)  # their narrowest convolutions have 8, 16 and 24 channels
SIZES = (32, 48, 96)
BATCH = 2
CHANNELS = (1, 2, 5)  # at 48 pixels; tests/benchmarks/shapes.py sweeps them all
FIRST = ("vgg11", "resnet18", "convnext_tiny", "mobilenet_v2")  # each has a first convolution of its own


def backbones() -> Iterator[dict]:
    """Those of the registry, at each width, that have a convolution which none before them has."""
    for width in WIDTHS:
        known = set()
        for kind in sorted(models.BACKBONES.keys() - {"timm"}):
            for stem in ("small", "standard"):
                backbone = {"kind": kind, "stem": stem, "width": width, "batch_norm": True, "init": "random"}
                with torch.device("meta"):
                    layers = [layer for layer in models.build(backbone).modules() if isinstance(layer, nn.Conv2d)]
                shapes = {(*layer.weight.shape, layer.stride, layer.padding, layer.groups) for layer in layers}
                if not shapes <= known:
                    yield backbone
                known |= shapes


def combinations() -> Iterator[tuple[dict, int, int]]:
    """Backbone, size of the images, their channels."""
    some = list(backbones())
    for size in SIZES:
        yield from ((backbone, size, 3) for backbone in some)
    for size, channels, kind in itertools.product(SIZES[1:2], CHANNELS, FIRST):
        backbone = {"kind": kind, "width": 0.125, "batch_norm": True, "init": "random"}
        for stem in ("small", "standard") if kind == "resnet18" else ("standard",):
            yield {**backbone, "stem": stem}, size, channels
        if channels == CHANNELS[-1]:
            yield {**backbone, "stem": "standard", "channels": "each"}, size, channels


def train_all(folder: Path, precision: str) -> None:
    """Two steps and an embedding of each combination; what is about to run is printed before it runs."""
    torch.set_num_threads(1)
    for backbone, size, channels in combinations():
        images = Images.open(folder / f"{size}-{channels}")
        run = copy.deepcopy(RUN)
        print(f"{backbone}, {size} px, {channels} channels, {precision}", flush=True)
        run["backbone"] = {"name": "one", **backbone}
        run["dataset"] |= {"size": size, "mean": [0.5] * channels, "std": [0.5] * channels, "channels": channels}
        run["transform"]["sets"] = SETS
        run["method"] = SIMCLR
        run["training"] |= {"epochs": 2, "batch_size": BATCH, "precision": precision}
        trainer = Trainer(Pretraining.of(Resolved.from_dict(run)), images, torch.device("cpu"))
        while trainer.step < trainer.steps:
            assert trainer.advance().isfinite()
        network = embedder(trainer.method.eval().encoder, nn.Identity(), "encoder")
        embedded = features(network, pool(images, "train", trainer.device), evaluation_view(trainer.run.dataset))
        assert embedded.isfinite().all()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_no_shape_ends_the_process(root: Path, tmp_path: Path, precision: str):
    index = pd.DataFrame({"split": "train", "label": 0, "class": "noise", "source": "noise"}, index=range(BATCH))
    for size, channels in itertools.product(SIZES, (3, *CHANNELS)):
        pixels = np.random.default_rng(0).integers(256, size=(BATCH, size, size, channels), dtype=np.uint8)
        folder = tmp_path / f"{size}-{channels}"
        folder.mkdir()
        write(folder / "images.npy", folder / "index.parquet", pixels, index)
    code = f"from tests.training.test_shapes import *; train_all(Path({str(tmp_path)!r}), {precision!r})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "workflow/scripts")])},
        capture_output=True,
        text=True,
        check=False,
    )
    begun = done.stdout.splitlines()
    assert done.returncode == 0, f"ended with {done.returncode} at {begun[-1:]}\n{done.stderr}"
    assert len(begun) >= len(SIZES) * len(WIDTHS) * 6 + len(CHANNELS) * len(FIRST)
