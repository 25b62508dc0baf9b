"""What the measures of an encoder are given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from phenoviews.data.images import Images
from phenoviews.study.resolved import Dataset


@dataclass(frozen=True)
class Subject:
    """An encoder, and the images on which it is measured.

    network: as from `embed.load`.
    images: the data set.
    dataset: how it is shown to the network, with mean and standard deviation as numbers.
    test: (n, d) float32, what the network makes of the test split.
    seed: of the run.
    device: where the network is.
    """

    network: nn.Module
    images: Images
    dataset: Dataset
    test: npt.NDArray[np.float32]
    seed: int
    device: torch.device
