from __future__ import annotations

import itertools

import pandas as pd
import pytest

from phenoviews.panels.records import COLUMNS
from phenoviews.panels.table import GRID

NONE = float("nan")


def record(transform, seed, metric, value, reason=None, method="moco", backbone="vgg11", dataset="digits"):
    source = f"{dataset}/{transform}/{method}/{backbone}/seed{seed}/{metric}.json"
    names = {"dataset": dataset, "transform": transform, "method": method, "backbone": backbone, "seed": seed}
    return {**names, "postprocessing": "", "metric": metric, "value": value, "reason": reason, "source": source}


def grid(dataset=("digits",), transform=("one",), method=("moco",), backbone=("vgg11",), seeds=(5, 6)) -> list[dict]:
    """Every run of a grid, as the study declares them."""
    axes = {"dataset": dataset, "transform": transform, "method": method, "backbone": backbone, "seed": seeds}
    return [dict(zip(axes, names, strict=True)) for names in itertools.product(*axes.values())]


def axes(each: list[dict]) -> dict[str, list[str]]:
    """The names of the runs by axis, as the study declares them."""
    return {key: list(dict.fromkeys(run[key] for run in each)) for key in GRID}


@pytest.fixture
def records() -> pd.DataFrame:
    """Two transforms; AMI and top-1 of two seeds, of one seed; LPIPS without a number, and without runs."""
    return pd.DataFrame(
        [
            record("one", 6, "ami", 0.80),
            record("one", 5, "ami", 0.70),
            record("two", 5, "ami", 0.31),
            record("one", 5, "top1", 97.0),
            record("one", 6, "top1", 99.0),
            record("two", 5, "top1", 61.25),
            record("one", 5, "lpips", NONE, "no weights"),
            record("one", 6, "lpips", NONE, "no weights"),
        ],
        columns=COLUMNS,
    )


@pytest.fixture
def published() -> pd.DataFrame:
    shared = {"paper": "p", "panel": "t", "dataset": "mnist", "method": "moco", "backbone": "vgg11", "unit": ""}
    shared |= {"postprocessing": "", "quoted": ""}
    return pd.DataFrame(
        [
            {**shared, "transform": "one", "metric": "ami", "value": 0.83, "n_seeds": 5, "note": ""},
            {**shared, "transform": "two", "metric": "ami", "value": 0.37, "n_seeds": 5, "note": ""},
            {**shared, "transform": "one", "metric": "lpips", "value": 0.33, "n_seeds": 5, "note": ""},
        ]
    )


@pytest.fixture
def panel() -> dict:
    return {
        "name": "p_t",
        "title": "What is kept",
        "each": grid(transform=["one", "two"]),
        "runs": {"dataset": ["digits"], "transform": ["one", "two"], "method": ["moco"], "backbone": ["vgg11"]},
        "metrics": [
            {"name": "ami", "label": "AMI", "unit": "", "digits": 2},
            {"name": "top1", "label": "Top-1", "unit": "%", "digits": 1},
            {"name": "lpips", "label": "LPIPS", "unit": "", "digits": 2},
        ],
        "rows": ["transform"],
        "columns": ["metric"],
        "labels": {"one": "First & best", "moco": "MoCo v2+", "digits": "digits", "vgg11": "VGG11"},
        "scale": {"name": "demo", "note": "Demo scale: digits in place of MNIST.", "stand_ins": {"mnist": "digits"}},
    }
