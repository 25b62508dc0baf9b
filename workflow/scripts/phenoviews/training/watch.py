"""The encoder on its way: how well its neighbours tell the held-out images, and in how many directions it spreads them.

It is only looked at: the weights are the same without, so what is called here is no part of a training's provenance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from phenoviews.data.images import Images
from phenoviews.data.pool import pool
from phenoviews.errors import Diverged
from phenoviews.methods.base import Method
from phenoviews.study.resolved import Dataset
from phenoviews.training.embed import embedded, evaluation_view, fetched
from phenoviews.training.subject import Subject


def _knn(subject: Subject, settings: Mapping[str, Any]) -> pd.DataFrame:
    from phenoviews.training.knn import knn  # here: a training that is not watched needs none of it

    return knn(subject, **settings)


def _rankme(subject: Subject, settings: Mapping[str, Any]) -> pd.DataFrame:
    from phenoviews.measures.rankme import rankme

    return rankme(subject.test, **settings)


# Columns of history.csv, each the one value of the measure of that name.
WATCHED: dict[str, Callable[[Subject, Mapping[str, Any]], pd.DataFrame]] = {"knn": _knn, "rankme": _rankme}


def look(
    method: Method,
    dataset: Dataset,
    images: Images,
    device: torch.device,
    settings: Mapping[str, Mapping[str, Any]],
) -> dict[str, float]:
    """What the encoder of `method` is worth now: {column of history.csv: value}. Nothing of `method` changes.

    kNN only where images are held out; nothing where the embeddings are not finite.

    Args:
        dataset: with mean and standard deviation as numbers.
        settings: of the measures, by their names.
    """
    evaluated = pool(images, dataset.evaluated, device)
    method.eval()
    try:
        test = np.concatenate(
            list(fetched(embedded(method.encoder, evaluated, evaluation_view(dataset)), len(evaluated)))
        )
        subject = Subject(method.encoder, images, dataset, test, seed=0, device=device)
        names = [name for name in WATCHED if name != "knn" or dataset.evaluated == "test"]
        return {name: float(WATCHED[name](subject, settings.get(name, {}))["value"].item()) for name in names}
    except Diverged:
        return {}
    finally:
        method.train()
