"""What is measured of the encoders that a training had on its way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from tests.training.conftest import SIMCLR

from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured
from phenoviews.measures.embedded import EMBEDDED
from phenoviews.study.audits import ladder
from phenoviews.study.chosen import MEASURED_BY_EPOCH
from phenoviews.study.metrics import measured as metrics_of
from phenoviews.study.resolved import Embedding, Pretraining
from phenoviews.training.embed import embed
from phenoviews.training.on_the_way import measured
from phenoviews.training.pretrain import pretrain
from phenoviews.training.snapshots import encoders

VIEWS = [{"weight": 1.0, "views": [[{"random_rotation": {"degrees": 10}}, {"normalize": {}}]] * 2}]
SETTINGS = {"knn": {"k": 5, "temperature": 0.07}, "alignment": {"sets": VIEWS}}


@pytest.fixture
def trained(make_run: Callable, few: Path, tmp_path: Path) -> tuple[object, Path]:
    """A training of five epochs with the weights after each, and its folder."""
    run = make_run(
        method=SIMCLR, training={"epochs": 5, "batch_size": 16, "snapshot_epochs": 1, "schedule": "constant"}
    )
    names = {"encoder": "pt", "projector": "pt", "snapshots": "pt", "embeddings": "npy", "history": "csv",
             "summary": "yaml"}  # fmt: skip
    outputs = {name: tmp_path / f"{name}.{suffix}" for name, suffix in names.items()}
    pretrain(Pretraining.of(run), few, outputs, tmp_path / "checkpoint.pt", threads=1)
    return run, tmp_path


def test_a_training_is_measured_after_twice_as_much_each_time(make_run: Callable):
    def epochs(**training: int) -> list[int]:
        return ladder(make_run(training=training).training)

    assert epochs(epochs=16, snapshot_epochs=2) == [2, 4, 8]
    assert epochs(epochs=20, snapshot_epochs=2) == [2, 4, 8, 16]
    assert epochs(epochs=3, snapshot_epochs=1) == [1, 2]
    assert epochs(epochs=3, snapshot_epochs=0) == []


@pytest.mark.parametrize("measure", MEASURED_BY_EPOCH)
def test_every_measure_on_the_way_is_that_of_the_encoder_then(trained, few: Path, tmp_path: Path, measure: str):
    """Here of one that is measured twice: after the first epoch, and by itself with the weights of that."""
    run, folder = trained
    plain = Embedding.of(run).to_dict()
    index = pd.read_parquet(few / "index.parquet")
    given = {"data": few, "seed": 5, "threads": 1}
    settings = run.probe.to_dict() if measure == "probe" else SETTINGS.get(measure, {})
    work = tmp_path / "work"
    work.mkdir()
    found = pd.concat(
        measured(
            measure, plain, folder / "snapshots.pt", [1, 4], index[index["split"] == "test"], given, settings, work
        )
    )  # fmt: skip
    assert set(found["metric"]) == set(metrics_of(f"{measure}_by_epoch"))
    assert sorted(set(found["epoch"])) == [1.0, 4.0]
    assert found["value"].notna().all()
    first, then = found.groupby("epoch")["value"].mean()
    assert first != then or measure == "probe"


def test_the_encoders_are_those_of_the_epochs(trained, few: Path, tmp_path: Path):
    run, folder = trained
    work = tmp_path / "work"
    work.mkdir()
    made = {}
    for epochs, files in encoders(folder / "snapshots.pt", work, [1, 5, 9]):
        out = tmp_path / f"{epochs}.npy"
        embed(Embedding.of(run), few, files["encoder"], files["projector"], out, 1)
        made[epochs] = embeddings.load(out)
    assert list(made) == [1, 5]
    assert (made[5] == embeddings.load(folder / "embeddings.npy")).all()
    assert (made[1] != made[5]).any()
    rank = [EMBEDDED["rankme"](one, pd.DataFrame(), 0, {})["value"].iloc[0] for one in made.values()]
    assert rank[0] != rank[1]


def test_a_training_without_weights_on_the_way_says_so(trained, tmp_path: Path):
    with pytest.raises(NotMeasured, match="none after"):
        next(encoders(trained[1] / "snapshots.pt", tmp_path, [7]))
