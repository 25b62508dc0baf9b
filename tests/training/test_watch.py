"""A training that is watched: what is seen on the way, and that nothing else is another for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.methods.small import PARAMS
from tests.training.conftest import same

from phenoviews.data.images import Images
from phenoviews.measures.rankme import rankme
from phenoviews.study.resolved import Embedding, Pretraining, Resolved
from phenoviews.training import pretrain as training
from phenoviews.training.embed import load, with_statistics
from phenoviews.training.knn import knn
from phenoviews.training.subject import Subject

KNN = {"k": 5, "temperature": 0.1}


@pytest.fixture
def train(digits: Path, outputs: dict[str, Path], tmp_path: Path) -> Callable[[Resolved], pd.DataFrame]:
    """Trains a run: its history."""

    def train(run: Resolved) -> pd.DataFrame:
        files = (digits, outputs, tmp_path / "checkpoint.pt")
        training.pretrain(Pretraining.of(run), *files, threads=1, measures={"knn": KNN})
        return pd.read_csv(outputs["history"])

    return train


def weights(outputs: dict[str, Path]) -> dict[str, torch.Tensor]:
    return torch.load(outputs["encoder"], weights_only=True)


@pytest.mark.parametrize("kind", PARAMS)
def test_weights_are_the_same_watched_or_not(train: Callable, make_run: Callable, outputs: dict[str, Path], kind: str):
    """Of every method: what is evaluated touches no generator, and no BatchNorm."""
    method = {"name": kind, **PARAMS[kind]}
    settings = {"epochs": 3, "batch_size": 100, "min_spread": 0.0}
    alone = train(make_run(method=method, training=settings))
    expected = weights(outputs)
    watched = train(make_run(method=method, training={**settings, "watch_epochs": 2}))
    assert same(weights(outputs), expected)
    assert alone[["knn", "rankme"]].isna().all(axis=None)
    pd.testing.assert_series_equal(watched["loss"], alone["loss"])
    # After the second of three epochs alone.
    assert watched[["knn", "rankme"]].notna().all(axis=1).tolist() == [False, True, False]


def test_what_is_seen_is_what_the_measures_say_of_the_encoder(
    train: Callable, make_run: Callable, outputs: dict[str, Path], digits: Path
):
    run = make_run(training={"epochs": 2, "watch_epochs": 1})
    last = train(run).iloc[-1]
    of = Embedding.of(run)
    network = load(of, outputs["encoder"], outputs["projector"], torch.device("cpu"))
    images, test = Images.open(digits), np.load(outputs["embeddings"])
    subject = Subject(network, images, with_statistics(images, of.dataset), test, 0, torch.device("cpu"))
    assert last["knn"] == knn(subject, **KNN)["value"].item()
    assert last["rankme"] == pytest.approx(rankme(test)["value"].item(), rel=1e-6)
    assert last["knn"] > 30  # of ten classes


def test_interrupted_it_has_seen_the_same(
    train: Callable, make_run: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    run = make_run(training={"epochs": 3, "watch_epochs": 1, "checkpoint_minutes": 0})
    undisturbed = train(run)
    looks = []

    def breaking(*arguments):
        looks.append(1)
        if len(looks) == 2:
            raise KeyboardInterrupt
        return look(*arguments)

    look = training.look
    monkeypatch.setattr(training, "look", breaking)
    with pytest.raises(KeyboardInterrupt):
        train(run)
    assert (tmp_path / "checkpoint.pt").exists()
    again = train(run)
    assert len(looks) == 4  # the first, the one that broke off, and the last two
    columns = ["epoch", "loss", "knn", "rankme"]
    pd.testing.assert_frame_equal(again[columns], undisturbed[columns])


def test_where_nothing_is_held_out_there_is_a_rank_alone(train: Callable, make_run: Callable):
    run = make_run(training={"epochs": 1, "watch_epochs": 1})
    seen = train(replace(run, dataset=replace(run.dataset, evaluated="all"))).iloc[-1]
    assert math.isnan(seen["knn"])
    assert 1 <= seen["rankme"] <= 64


def test_of_a_training_that_diverges_nothing_is_seen(train: Callable, make_run: Callable):
    settings = {"optimizer": "sgd", "lr": 1e30, "precision": "fp32", "schedule": "constant"}
    history = train(make_run(training={**settings, "epochs": 2, "watch_epochs": 1}))
    assert history[["knn", "rankme"]].isna().all(axis=None)
