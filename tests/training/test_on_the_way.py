"""What is measured of the encoders that a training had on its way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from tests.profiles.conftest import screen
from tests.training.conftest import SIMCLR, write_digits

from phenoviews import values
from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured
from phenoviews.measures.embedded import EMBEDDED
from phenoviews.profiles.run import PROFILED, profiles
from phenoviews.study.audits import ladder
from phenoviews.study.chosen import MEASURED_BY_EPOCH
from phenoviews.study.metrics import measured as metrics_of
from phenoviews.study.resolved import Embedding, Pretraining
from phenoviews.training.embed import embed
from phenoviews.training.on_the_way import measured
from phenoviews.training.pretrain import pretrain
from phenoviews.training.snapshots import encoders

VIEWS = [{"weight": 1.0, "views": [[{"random_rotation": {"degrees": 10}}, {"normalize": {}}]] * 2}]
STRUCTURE = {"across_wells": "median", "reg": 1.0, "coral_reg": 1.0, "seed": 0}
SETTINGS = {
    "knn": {"k": 5, "temperature": 0.07},
    "alignment": {"sets": VIEWS},
    "structure": {"across_cells": "mean", **STRUCTURE},
    "scores": {"across_cells": "mean", **STRUCTURE, "interval_by": "treatment", "draws": 20},
}


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


@pytest.fixture(scope="module")
def wells(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """Digits, each of which stands for a well of a screen, and their index."""
    meta, _ = screen()
    folder = write_digits(tmp_path_factory.mktemp("wells"), train=50, test=len(meta))
    index = pd.read_parquet(folder / "index.parquet")
    return folder, index[index["split"] == "test"].reset_index(drop=True).join(meta)


def test_a_training_is_measured_after_twice_as_much_each_time(make_run: Callable):
    def epochs(**training: int) -> list[int]:
        return ladder(make_run(training=training).training)

    assert epochs(epochs=16, snapshot_epochs=2) == [2, 4, 8]
    assert epochs(epochs=20, snapshot_epochs=2) == [2, 4, 8, 16]
    assert epochs(epochs=3, snapshot_epochs=1) == [1, 2]
    assert epochs(epochs=3, snapshot_epochs=0) == []


@pytest.mark.parametrize("measure", MEASURED_BY_EPOCH)
def test_every_measure_on_the_way_is_that_of_the_encoder_then(
    trained, few: Path, wells: tuple[Path, pd.DataFrame], tmp_path: Path, measure: str
):
    """Here of one that is measured twice: after the first epoch, and by itself with the weights of that."""
    run, folder = trained
    plain = Embedding.of(run).to_dict()
    index = pd.read_parquet(few / "index.parquet")
    data, index = wells if measure in PROFILED else (few, index[index["split"] == "test"])
    given = {"data": data, "seed": 5, "threads": 1}
    settings = run.probe.to_dict() if measure == "probe" else SETTINGS.get(measure, {})
    work = tmp_path / "work"
    work.mkdir()
    found = pd.concat(measured(measure, plain, folder / "snapshots.pt", [1, 4], index, given, settings, work))
    assert set(found["metric"]) == set(metrics_of(f"{measure}_by_epoch"))
    assert sorted(set(found["epoch"])) == [1.0, 4.0]
    assert found["value"].notna().all()
    first, then = found.groupby("epoch")["value"].mean()
    assert first != then or measure == "probe"


@pytest.mark.parametrize("measure", PROFILED)
def test_profiles_on_the_way_are_measured_as_in_the_end(trained, wells, tmp_path: Path, measure: str):
    """After all epochs whose weights were kept, where none are said: the last of them is the training's end."""
    run, folder = trained
    data, index = wells
    work = tmp_path / "work"
    work.mkdir()
    given = {"data": data, "seed": 5, "threads": 1}
    its = SETTINGS[measure]
    plain = Embedding.of(run).to_dict()
    found = values.joined(measured(measure, plain, folder / "snapshots.pt", None, index, given, its, work))
    assert sorted(set(found["epoch"])) == [1.0, 2.0, 3.0, 4.0, 5.0]
    out = tmp_path / "end.npy"
    embed(Embedding.of(run), data, folder / "encoder.pt", folder / "projector.pt", out, 1)
    its = {key: value for key, value in its.items() if key != "across_cells"}
    end = PROFILED[measure](*profiles(index, embeddings.load(out), "mean"), its)
    last = found[found["epoch"] == 5].assign(metric=found["metric"].str.removesuffix("_by_epoch"))
    columns = ["metric", "postprocessing", "value", "low", "high", "correct", "of"]
    expected = end[end["metric"].isin(last["metric"])].reindex(columns=columns).reset_index(drop=True)
    pd.testing.assert_frame_equal(last.reindex(columns=columns).reset_index(drop=True), expected)


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
