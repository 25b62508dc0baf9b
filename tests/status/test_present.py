"""Panels from the runs that are there: what is missing is said, and decides nothing."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from phenoviews import values
from phenoviews.curves.tables import curves
from phenoviews.errors import NOT_YET, UserError
from phenoviews.panels import claims, partial, records, table
from phenoviews.panels.verdicts import LATER, REPRODUCED
from phenoviews.status.present import Present
from phenoviews.study import Study, paths
from phenoviews.study.document import shipped, users
from phenoviews.study.metrics import measured

SAID = {
    "scale": "demo",
    "seeds": [1, 2, 3, 4],
    "panels": {
        "mine": {
            "table1": {
                "title": "Two sets",
                "runs": {
                    "dataset": "digits",
                    "transform": ["mnist_first", "mnist_second"],
                    "method": "moco",
                    "backbone": "vgg11",
                },
                "metrics": ["ami", "rankme"],
                "clusters": 10,
                "rows": ["transform"],
                "columns": ["metric"],
            },
        }
    },
}
CLAIM = {"id": "M.c1", "says": "The first set clusters better.", "holds": ["ami of mnist_first > ami of mnist_second"]}


@functools.cache
def study() -> Study:
    document, said = users(SAID, shipped(), SAID)
    return Study(document, shipped(), said)


@pytest.fixture
def panel(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return study().panels["mine_table1"]


def folder(run) -> Path:
    return Path(paths.run_file(study(), paths.RUN, run))


def train(run, **changes) -> None:
    folder(run).mkdir(parents=True)
    said = {"outcome": "finished", **study().pretraining(run).to_dict(), "device": "cpu"}
    said |= {"result": {"seconds": 1.0, "images_per_s": 1.0}, **changes}
    (folder(run) / "run.yaml").write_text(yaml.safe_dump(said, sort_keys=False))


def measure(run, ami: float) -> None:
    (folder(run) / "measures").mkdir()
    dimension = {"k": 10.0}
    rows = [{"metric": name, "value": ami, **dimension} for name in measured("clusters")]
    values.write(folder(run) / "measures" / "clusters-k10.parquet", values.table(rows))
    values.write(folder(run) / "measures" / "rankme.parquet", values.table([{"metric": "rankme", "value": 5.0}]))


def drawn(panel):
    """The table and the verdicts, as the panel's job makes them from what is there."""
    look = Present(study())
    made_of = look.panel(panel)
    inputs = made_of.present()
    files, absent = partial.given(inputs, {"files": made_of.files, "absent": made_of.absent})
    declaration = study().declaration(panel)
    found = records.of_panel(declaration, [files[name] for name in declaration["measures"]], None, absent)
    long = table.long(found, declaration, records.published([]))
    verdicts = claims.evaluate([CLAIM], found)
    return look.note(panel), long.set_index(["transform", "metric"]), verdicts.iloc[0]


def test_nothing_is_there(panel):
    note, long, claim = drawn(panel)
    assert note == "Partial: 0 of 8 runs."
    assert long["n"].tolist() == [0] * 4
    assert set(long["reason"]) == {NOT_YET}
    assert claim["verdict"] == LATER


def test_what_is_missing_is_counted_and_decides_nothing_yet(panel):
    """Three seeds of four would be reproduced, and may turn out otherwise with the fourth."""
    runs = study().runs(panel)
    for run in runs:
        if run.seed < 4:
            train(run)
            measure(run, 0.8 + run.seed / 100 if run.transform == "mnist_first" else 0.3)
    note, long, claim = drawn(panel)
    assert note == "Partial: 6 of 8 runs."
    cell = long.loc[("mnist_first", "ami")]
    assert (cell["n"], cell["asked"], cell["reason"]) == (3, 4, f"3 of 4 seeds; 1 {NOT_YET}")
    assert cell["seeds"] == "1 2 3"
    assert claim["verdict"] == LATER
    assert claim["n"] == 3


def test_all_that_a_claim_needs_is_enough_for_it(panel):
    for run in study().runs(panel):
        train(run)
        measure(run, 0.8 + run.seed / 100 if run.transform == "mnist_first" else 0.3)
    os.unlink(folder(study().runs(panel)[0]) / "measures" / "rankme.parquet")
    note, _, claim = drawn(panel)
    assert note == "Partial: 7 of 8 runs."
    assert claim["verdict"] == REPRODUCED


def test_a_run_that_failed_for_good_is_a_hole_with_its_reason_and_others_count(panel):
    runs = study().runs(panel)
    for run in runs:
        if run.seed < 4 or run.transform == "mnist_second":
            train(run)
            measure(run, 0.8 + run.seed / 100 if run.transform == "mnist_first" else 0.3)
        else:
            (folder(run) / "logs").mkdir(parents=True)
            (folder(run) / "logs" / "pretrain.log").write_text("phenoviews: error: images.npy: is broken\n")
    note, long, claim = drawn(panel)
    assert note == "Partial: 7 of 8 runs, 1 failed."
    assert long.loc[("mnist_first", "ami")]["reason"] == "3 of 4 seeds; 1 failed: images.npy: is broken"
    assert claim["verdict"] == REPRODUCED
    assert claim["n"] == 3


def test_nothing_of_a_complete_panel_is_partial(panel):
    for run in study().runs(panel):
        train(run)
        measure(run, 0.5)
    look = Present(study())
    assert look.note(panel) == ""
    assert look.panel(panel).absent == {}
    assert look.panel(panel).present() == paths.measures(study(), panel, study().runs(panel))


def test_what_is_of_other_settings_or_older_than_its_training_is_not_there(panel):
    first, second, *_ = study().runs(panel)
    training = {**study().pretraining(first).training.to_dict(), "epochs": 77}
    train(first, training=training)
    measure(first, 0.5)
    train(second)
    measure(second, 0.5)
    file = folder(second) / "measures" / "clusters-k10.parquet"
    os.utime(file, (1, 1))
    absent = Present(study()).panel(panel).absent
    assert (
        absent[str(folder(first) / "measures" / "clusters-k10.parquet")]
        == f"{NOT_YET}: what lies there is of other settings"
    )
    assert absent[str(file)] == NOT_YET
    assert str(folder(second) / "measures" / "rankme.parquet") not in absent


def test_measures_that_are_left_of_a_training_that_is_made_again_are_not_there(panel):
    (run, *_) = study().runs(panel)
    folder(run).mkdir(parents=True)
    measure(run, 0.5)
    assert len(Present(study()).panel(panel).absent) == 8 * 2


def test_a_sweep_is_not_counted_before_all_of_it_is_there():
    rows = [
        {"at": at, "seed": seed, "class": name, "value": 50.0, "reason": "", "swept": "hue"}
        for at in (0.0, 0.1, 0.2)
        for seed in (1, 2)
        for name in "ab"
    ]
    assert curves(pd.DataFrame(rows)).y.shape == (2, 3, 2)
    late = {"at": 0.3, "seed": 1, "class": "", "value": np.nan, "reason": NOT_YET, "swept": "hue"}
    with pytest.raises(UserError, match=f"^{NOT_YET}: 1 trainings of hue"):
        curves(pd.DataFrame([*rows, late]))
    collapsed = {**late, "reason": "collapsed in epoch 3"}
    assert list(curves(pd.DataFrame([*rows, collapsed])).left_out) == [0.3]
