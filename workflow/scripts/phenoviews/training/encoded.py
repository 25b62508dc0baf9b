"""The measures that need an encoder and images, and a device to compute on.

A measure joins by a line in `ENCODED`, and one for each of its metrics in `study.metrics`. Only the linear probe has a
rule of its own, since it leaves its predictions too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from phenoviews.data.images import Images
from phenoviews.study.resolved import Dataset
from phenoviews.training.alignment import alignment
from phenoviews.training.devices import claim, torch_switches
from phenoviews.training.embed import with_statistics
from phenoviews.training.knn import knn
from phenoviews.training.subject import Subject

# (what is measured, the measure's settings) → values
Measure = Callable[[Subject, Mapping[str, Any]], pd.DataFrame]

ENCODED: dict[str, Measure] = {
    "alignment": lambda subject, settings: alignment(subject, **settings),
    "knn": lambda subject, settings: knn(subject, **settings),
}


@contextlib.contextmanager
def subject(
    load: Callable[[torch.device], nn.Module],
    dataset: Dataset,
    seed: int,
    data: Path,
    test: npt.NDArray[np.float32],
    threads: int | None = None,
) -> Iterator[Subject]:
    """What is measured, on this job's device and under its switches.

    Args:
        load: the encoder, on a device: `embed.load` or `embed.load_frozen` of its run and files.
        dataset: of the run.
        seed: of the run.
        data: the folder of the images.
        test: (n, d), the embeddings of the test split.
    """
    images, device = Images.open(data), claim()
    with torch_switches(device, threads):
        yield Subject(load(device), images, with_statistics(images, dataset), test, seed, device)
