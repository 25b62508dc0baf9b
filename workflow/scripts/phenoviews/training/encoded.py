"""The measures that need an encoder and images, and a device to compute on.

A measure joins by a line in `ENCODED`, and one for each of its metrics in `study.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from phenoviews.data.images import Images
from phenoviews.study.resolved import Embedding, FrozenEmbedding, Probe
from phenoviews.training.devices import claim, settled
from phenoviews.training.embed import load, load_frozen, shown
from phenoviews.training.knn import knn
from phenoviews.training.probe import probe
from phenoviews.training.subject import Subject

# (what is measured, the measure's settings) → values
Measure = Callable[[Subject, Mapping[str, Any]], pd.DataFrame]

ENCODED: dict[str, Measure] = {
    "knn": lambda subject, settings: knn(subject, **settings),
    "probe": lambda subject, settings: probe(subject, Probe.from_dict(settings)),
}


def measure(
    name: str,
    run: Embedding | FrozenEmbedding,
    seed: int,
    settings: Mapping[str, Any],
    data: Path,
    test: npt.NDArray[np.float32],
    networks: Mapping[str, Path],
    threads: int | None = None,
) -> pd.DataFrame:
    """The values of a measure.

    Args:
        name: a key of `ENCODED`.
        run: the encoder, trained here or not.
        seed: of the run.
        settings: of the measure.
        data: the folder of the images.
        test: (n, d), the embeddings of the test split.
        networks: the files of a trained `encoder` and `projector`; or the `weights` of an encoder that nobody trained
            here, without which they are random.
    """
    images, device = Images.open(data), claim()
    with settled(device, threads):
        if isinstance(run, Embedding):
            network = load(run, networks["encoder"], networks["projector"], device)
        else:
            network = load_frozen(run, networks.get("weights"), device)
        return ENCODED[name](Subject(network, images, shown(images, run.dataset), test, seed, device), settings)
