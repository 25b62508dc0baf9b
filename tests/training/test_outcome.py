from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from phenoviews.errors import UserError
from phenoviews.study.resolved import Training
from phenoviews.training.history import Row
from phenoviews.training.outcome import FINISHED, failure, judged


@pytest.fixture
def training(make_run) -> Training:
    return make_run(training={"warmup_epochs": 2, "min_spread": 0.01}).training


def rows(spreads: list[float], losses: list[float | None] | None = None) -> list[Row]:
    return [
        {
            "epoch": epoch,
            "loss": losses[epoch] if losses else 1.0,
            "lr": 0.1,
            "spread": spread,
            "ami": None,
            "seconds": 1.0,
            "images_per_s": 1.0,
            "memory_gb": None,
        }
        for epoch, spread in enumerate(spreads)
    ]


@pytest.mark.parametrize(
    "spreads",
    [
        [],
        [0.5],
        [0.001] * 4,  # two of them in the warm-up
        [0.5, 0.5, 0.001, 0.001, 0.02, 0.001, 0.001],  # never three in a row
        [0.5, 0.5, 0.01, 0.01, 0.01],  # not below
    ],
)
def test_no_collapse(spreads: list[float], training: Training):
    assert judged(rows(spreads), training) == FINISHED


@pytest.mark.parametrize("spreads", [[0.001] * 5, [0.5, 0.5, 0.4, 0.009, 0.005, 0.00012]])
def test_three_epochs_of_too_little_spread_after_the_warm_up_are_a_collapse(spreads: list[float], training: Training):
    found = judged(rows(spreads), training)
    assert found.what == f"collapsed in epoch {len(spreads) - 1}, spread {spreads[-1]:g}"
    assert "lower training.lr" in found.remedy


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite(loss: float, training: Training):
    found = judged(rows([0.5, 0.5], [None, loss]), training)
    assert found.what == "not a number in epoch 1, lr 0.1"
    assert "training.precision: fp32" in found.remedy


def test_an_epoch_without_a_loss_is_no_failure(training: Training):
    assert judged(rows([0.5], [None]), training) == FINISHED


def test_a_failure_is_read_from_the_summary(tmp_path: Path):
    summary = tmp_path / "run.yaml"
    summary.write_text(yaml.safe_dump({"outcome": "finished", "seed": 5}))
    assert failure(summary) is None
    summary.write_text(yaml.safe_dump({"outcome": "collapsed in epoch 7, spread 0.0001", "seed": 5}))
    assert failure(summary) == "collapsed in epoch 7, spread 0.0001"


@pytest.mark.parametrize("content", [None, "", "seed: 5", "[1", "- 1"])
def test_a_summary_without_an_outcome_is_an_error(tmp_path: Path, content: str | None):
    if content is not None:
        (tmp_path / "run.yaml").write_text(content)
    with pytest.raises(UserError, match=r"run\.yaml: does not say how the training ended; delete it"):
        failure(tmp_path / "run.yaml")
