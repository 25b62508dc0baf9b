"""Whether shorter trainings would rank an audit's settings alike: from records to the table and the words."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from phenoviews.panels import audit
from phenoviews.study.metrics import COUNTABLE, counted

SETTINGS = ["mine", *(f"mine+part{number}=off" for number in range(7))]
SEEDS = (5, 6, 7, 8)
RUNS = [
    {"dataset": "digits", "transform": setting, "method": method, "backbone": "vgg11", "seed": seed}
    for method, settings in (("simclr", SETTINGS), ("untrained", ["plain"]))
    for setting in settings
    for seed in SEEDS
]
EFFECTS = np.array([0, -20, -12, -8, -3, 1, 4, 9.0])  # of the settings, in the end


def records(metric: str, effects: np.ndarray, rng: np.random.Generator, **more: object) -> pd.DataFrame:
    """What the files of the runs hold: values of the test split, and of the train split others."""
    trained = [run for run in RUNS if run["method"] == "simclr"]
    rows = [
        {**run, "metric": metric, "split": split, "regime": "linear", **more,
         "value": 70 + run["seed"] + effects[SETTINGS.index(run["transform"])] + rng.normal(0, 0.1)
         if split == "test" else 0.0}
        for run in trained for split in ("train", "test")
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(postprocessing="")


def found(early_effects: np.ndarray, shorter: bool = True) -> tuple[list[audit.Length], dict]:
    rng = np.random.default_rng(0)
    panel = {
        "metrics": {name: asdict(counted(name)) for name in COUNTABLE},
        "evaluated": "test",
        "lengths": {"epochs": 8, "at": [2, 4], "shorter_trainings": shorter, "schedule": "cosine"},
    }
    early = pd.concat(
        [
            records("top1_by_epoch", early_effects, rng, epoch=2.0),
            records("top1_by_epoch", EFFECTS / 2, rng, epoch=4.0),
        ]
    )
    return audit.at_lengths(RUNS, early, records("top1", EFFECTS, rng), panel, "top1", SETTINGS), panel


def test_each_length_has_its_changes_and_how_they_rank_beside_those_in_the_end():
    lengths, panel = found(-EFFECTS)
    assert [one.epochs for one in lengths] == [2, 4, 8]
    np.testing.assert_allclose(lengths[0].changes, -EFFECTS[1:], atol=0.4)
    np.testing.assert_allclose(lengths[2].changes, EFFECTS[1:], atol=0.4)
    table = audit.lengths_table(lengths, panel)
    assert table["spearman"].tolist() == pytest.approx([-1, 1, 1])
    assert table["between"].tolist() == pytest.approx([-1, 1, 1])
    assert table["settings"].tolist() == [7, 7, 7]
    assert table["share"].tolist() == [0.25, 0.5, 1]
    assert (table["spearman_low"] <= table["spearman"]).all()
    assert table["shorter_training"].all()


def test_it_says_whether_a_look_on_the_way_is_a_shorter_training():
    lengths, panel = found(EFFECTS)
    text = "\n".join(audit.said_of_lengths(lengths, panel))
    assert "After 2 of 8 epochs, 7 settings: Spearman 1.00 (" in text
    assert "A training that ends there has the same weights" in text
    lengths, panel = found(EFFECTS, shorter=False)
    text = "\n".join(audit.said_of_lengths(lengths, panel))
    assert "whose steps depend on its length (cosine rate), so that one that ends there is another" in text
    assert audit.lengths_table(lengths, panel)["shorter_training"].tolist() == [False, False, True]


def test_where_all_trainings_failed_there_is_a_table_all_the_same():
    _, panel = found(EFFECTS)
    nothing = [{**run, "metric": "top1_by_epoch", "value": np.nan, "reason": "collapsed"} for run in RUNS]
    last = records("top1", EFFECTS, np.random.default_rng(0))
    told = audit.at_lengths(RUNS, pd.DataFrame(nothing), last, panel, "top1", SETTINGS)
    table = audit.lengths_table(told, panel)
    assert table["settings"].tolist() == [0, 0, 7]
    assert table["spearman"].isna().tolist() == [True, True, False]


def test_a_length_that_no_training_came_to_is_not_told():
    lengths, panel = found(np.full(len(SETTINGS), np.nan))
    assert lengths[0].ranks.settings == 0
    assert "After 2 of 8 epochs, 0 settings: no correlation can be told." in audit.said_of_lengths(lengths, panel)
