"""Tables of values: their form on disk, and all of them together."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from phenoviews.errors import UserError
from phenoviews.study.metrics import AXES, DIMENSIONS, METRICS, RUN, SWEPT, measured
from phenoviews.values import FIXED, checked, dimensions, gather, missing, read, table, write


def test_a_table_comes_back_as_it_was_written(tmp_path):
    rows = [
        {"metric": "top1", "value": 90, "correct": 9, "of": 10},
        {"metric": "accuracy", "value": 80.5, "class": "cat", "concentration": 0.3},
        {"metric": "accuracy", "value": None, "reason": "no images", "class": "dog"},
    ]
    write(tmp_path / "probe.parquet", table(rows))
    found = read(tmp_path / "probe.parquet")
    assert list(found) == [*FIXED, "class", "concentration"]
    assert dimensions(found) == ["class", "concentration"]
    assert found["value"].tolist()[:2] == [90.0, 80.5]
    assert found[["reason", "class"]].to_numpy().tolist() == [["", ""], ["", "cat"], ["no images", "dog"]]
    assert found[["correct", "of"]].iloc[0].tolist() == [9, 10]
    assert found["concentration"].tolist()[1] == 0.3
    assert found.loc[[0, 2], "concentration"].isna().all()
    pd.testing.assert_frame_equal(found, checked(found))
    assert [file.name for file in tmp_path.iterdir()] == ["probe.parquet"]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "no rows"),
        ([{"metric": "ami"}], "no columns metric and value|no rows"),
        ([{"metric": "ami", "value": math.inf}], "infinite"),
        ([{"metric": "ami", "value": math.nan}], "neither a value nor the reason"),
        ([{"metric": "ami", "value": 1, "reason": "none"}], "or it has both"),
        ([{"metric": "ami", "value": "high"}], "could not convert"),
        ([{"metric": "ami", "value": 1, "k": [10]}], "k is neither text nor a number"),
        ([{"metric": "ami", "value": 1, "seed": 5}], "seed is the run's"),
        ([{"metric": "ami", "value": 1, "at": 5}], "at is the run's"),
        (
            [{"metric": "ami", "value": v, "class": "cat", "fold": math.nan} for v in (1, 2)],
            "two values of .*class cat",
        ),
    ],
)
def test_what_is_no_table_of_values_is_not_written(tmp_path, rows, says):
    with pytest.raises(ValueError, match=says):
        write(tmp_path / "x.parquet", pd.DataFrame(rows))
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_tables_of_values_are_named(tmp_path):
    file = tmp_path / "ami.parquet"
    file.write_text('{"ami": 0.5}')
    with pytest.raises(UserError, match=r"ami\.parquet: no table of values .* delete it"):
        read(file)
    pd.DataFrame({"row": [1], "x": [0.5]}).to_parquet(file)
    with pytest.raises(UserError, match=r"no columns metric and value"):
        read(file)


def test_a_measure_that_could_not_be_made_has_the_reason_for_each_of_its_metrics():
    found = missing(measured("clusters"), "no ImageNet weights")
    assert set(found["metric"]) == {"silhouette", "ami", "ami_arithmetic", "hungarian_accuracy"}
    assert found["value"].isna().all()
    assert set(found["reason"]) == {"no ImageNet weights"}


def test_all_measures_of_a_study_are_one_table(tmp_path):
    runs = tmp_path / "results" / "demo" / "runs" / "digits"
    for seed, method in ((5, "moco"), (6, "moco+temperature=0.1")):
        folder = runs / "cifar+hue=off" / method / "vgg11" / f"seed{seed}" / "measures"
        write(folder / "clusters-k10.parquet", table([{"metric": "ami", "value": seed / 10, "k": 10}]))
        write(folder / "probe.parquet", table([{"metric": "accuracy", "value": seed, "class": "3"}]))
    views = tmp_path / "results" / "demo" / "views" / "cells+split_seed=5" / "cifar+hue=0.25" / "seed5" / "measures"
    write(views / "lpips.parquet", missing(["lpips"], "no weights"))
    found = gather(tmp_path / "results")
    assert list(found.columns[:8]) == ["scale", *RUN, *SWEPT]
    assert len(found) == 5
    assert set(found["scale"]) == {"demo"}
    one = found[(found["metric"] == "accuracy") & (found["seed"] == 6)].iloc[0]
    assert one[AXES].tolist() == ["digits", "cifar+hue=off", "moco+temperature=0.1", "vgg11"]
    assert (one["swept"], one["at"], one["class"], one["value"]) == ("temperature", 0.1, "3", 6)
    assert (one["measure"], np.isnan(one["k"])) == ("probe", True)
    before = found[found["measure"] == "lpips"].iloc[0]
    assert before[AXES].tolist() == ["cells", "cifar+hue=0.25", "", ""]  # drawn by the seed of the run
    assert (before["swept"], before["at"], before["reason"], before["class"]) == ("hue", 0.25, "no weights", "")
    assert gather(runs / "cifar+hue=off" / "moco")["metric"].tolist() == ["ami", "accuracy"]
    with pytest.raises(UserError, match="no measures below"):
        gather(tmp_path / "elsewhere")


def test_every_metric_has_its_words_and_its_dimensions_have_theirs():
    for name, metric in METRICS.items():
        assert metric.label, name
        assert metric.better in ("higher", "lower", "neither")
        assert set(metric.dimensions) <= set(DIMENSIONS), name
        assert not set(metric.dimensions) & {*RUN, *SWEPT}, name
        for dimension in metric.dimensions:
            assert DIMENSIONS[dimension].follows in ("", *metric.dimensions), name
    assert {*RUN, *SWEPT} <= set(DIMENSIONS)
