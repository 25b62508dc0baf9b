"""Every shape of convolution that a backbone has trains, and embeds: no library crashes on any.

In a process of its own, which a crash ends. Another instruction set is another set of kernels:
`ONEDNN_MAX_CPU_ISA=AVX2 pytest tests/training/test_shapes.py`, and AVX512_CORE.
"""

from __future__ import annotations

import copy
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
SIZES = (32, 48, 64, 96)
BATCH = 2


def backbones() -> Iterator[dict]:
    """Those of the registry, at each width, that have a convolution which none before them has."""
    for width in WIDTHS:
        known = set()
        for kind in models.BACKBONES:
            for stem in ("small", "standard"):
                backbone = {"kind": kind, "stem": stem, "width": width, "batch_norm": True, "init": "random"}
                with torch.device("meta"):
                    layers = [layer for layer in models.build(backbone).modules() if isinstance(layer, nn.Conv2d)]
                shapes = {(*layer.weight.shape, layer.stride, layer.padding, layer.groups) for layer in layers}
                if not shapes <= known:
                    yield backbone
                known |= shapes


def train_all(folder: Path, precision: str) -> None:
    """Two steps and an embedding of each backbone at each size; what is about to run is printed before it runs."""
    torch.set_num_threads(1)
    some = list(backbones())
    for size in SIZES:
        images = Images.open(folder / str(size))
        for backbone in some:
            run = copy.deepcopy(RUN)
            print(f"{backbone}, {size} px, {precision}", flush=True)
            run["backbone"] = {"name": "one", **backbone}
            run["dataset"]["size"] = size
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
    for size in SIZES:
        pixels = np.random.default_rng(0).integers(256, size=(BATCH, size, size, 3), dtype=np.uint8)
        (tmp_path / str(size)).mkdir()
        write(tmp_path / str(size) / "images.npy", tmp_path / str(size) / "index.parquet", pixels, index)
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
    assert len(begun) >= len(SIZES) * len(WIDTHS) * 6
