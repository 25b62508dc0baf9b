"""A training that fails is a result: it ends its job with success, and everything that is made of it says why it is
empty."""

from __future__ import annotations

import re

import pandas as pd
import pytest
import yaml
from tests.workflow import recorded

from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured

# What lets BYOL collapse: targets that follow at once, a predictor that is only linear, no normalisation.
COLLAPSING = {
    "kind": "byol",
    "ema": [0.0, 0.0],
    "projector": {"hidden": [32], "out": 16, "batch_norm": False},
    "predictor": {"hidden": [], "batch_norm": False},
}
TRAINED = {"training": {"epochs": 12, "batch_size": 128, "optimizer": "adam", "lr": 0.01, "schedule": "constant"}}
STUDY = {
    "measures": {"evaluate": "projector"},  # so that a job of its own embeds
    "methods": {"collapsing": COLLAPSING},
    "recipes": {"mnist": {"methods": {"collapsing": TRAINED}}},
    "panels": {
        "mine": {
            "both": {
                "title": "A method that collapses and one that does not",
                "runs": {
                    "dataset": "digits",
                    "transform": "mnist_first",
                    "method": ["collapsing", "simclr"],
                    "backbone": "vgg11+batch_norm=off",
                },
                "metrics": ["ami", "top1", "knn"],
                "clusters": 10,
                "rows": ["method"],
                "columns": ["metric"],
            },
        },
    },
    "scales": {
        "demo": {
            "seeds": [5],
            "resources": {"threads": 1},
            "backbones": {"vgg11": {"width": 0.125}},
            "recipes": {
                "mnist": {
                    "training": {"epochs": 1, "batch_size": 256},
                    "probe": {"epochs": 2, "milestones": [1]},
                },
            },
        },
    },
}


def test_a_collapse(project, tmp_path):
    (project.folder / "collapse.yaml").write_text(yaml.safe_dump(STUDY))
    (records := tmp_path / "records").mkdir()
    done = project.snakemake(
        "--configfile", "collapse.yaml", "--", "mine_both", environment=recorded.environment(records)
    )
    assert done.returncode == 0, done.stdout

    runs = project.folder / "results/demo/runs/digits/mnist_first"
    collapsed, finished = (runs / method / "vgg11+batch_norm=off/seed5" for method in ("collapsing", "simclr"))
    assert yaml.safe_load((finished / "run.yaml").read_text())["outcome"] == "finished"
    reason = yaml.safe_load((collapsed / "run.yaml").read_text())["outcome"]
    epochs = len(pd.read_csv(collapsed / "history.csv"))
    assert 3 <= epochs < 12
    assert reason.startswith(f"collapsed in epoch {epochs - 1}, spread 0.00")
    assert reason in done.stdout  # and what to try
    assert "lower training.lr" in done.stdout
    for output in ("encoder.pt", "projector.pt"):
        assert (collapsed / output).exists()
    for output in ("encoder.npy", "projector.npy"):
        with pytest.raises(NotMeasured, match=re.escape(reason)):
            embeddings.load(collapsed / "embeddings" / output)
    for measure in ("clusters-k10", "probe", "knn"):
        empty, full = (pd.read_parquet(run / "measures" / f"{measure}.parquet") for run in (collapsed, finished))
        assert empty["value"].isna().all()
        assert set(empty["reason"]) == {reason}
        assert full["value"].notna().any()
    assert (project.folder / "results/demo/panels/mine/both.md").exists()
    assert not list((project.folder / "results/demo").glob("checkpoints/*"))
    assert project.planned("--configfile", "collapse.yaml", "--", "mine_both") == {}

    # Two jobs that no panel of the demo has: what they ran of the library is what their rules state.
    assert {"embed.py", "measure_encoder.py"} <= recorded.checked(records)
