from __future__ import annotations

import itertools
from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest

from phenoviews import values
from phenoviews.panels.records import published as as_published
from phenoviews.study import resources
from phenoviews.study.metrics import AXES, DIMENSIONS, METRICS
from phenoviews.study.panel import Panel

NONE = float("nan")


def printed(name: str) -> pd.DataFrame:
    """What a paper printed of a panel, by the panel's name such as `single_cell_table2`."""
    return as_published(resources.published(Panel(*name.rsplit("_", 1), {})))


def run(transform="one", seed=5, method="moco", backbone="vgg11", dataset="digits") -> dict[str, Any]:
    return {"dataset": dataset, "transform": transform, "method": method, "backbone": backbone, "seed": seed}


def record(transform, seed, metric, value, reason="", method="moco", backbone="vgg11", dataset="digits", **dimensions):
    """A value of a run, as it stands in a measure file, with its run and its file."""
    of = run(transform, seed, method, backbone, dataset)
    source = "/".join([*map(str, of.values()), f"{metric}.parquet"]).replace(f"/{seed}/", f"/seed{seed}/")
    return {**of, "metric": metric, "value": value, "reason": reason, **dimensions, "source": source}


def as_records(lines: list[dict[str, Any]]) -> pd.DataFrame:
    """Lines as from `record`, in the form that `records.read` gives them."""
    keys = [*run(), "source"]
    files = itertools.groupby(lines, key=lambda line: tuple(line[key] for key in keys))
    parts = []
    for of, rows in files:
        file = dict(zip(keys, of, strict=True))
        found = values.table([{key: value for key, value in row.items() if key not in keys} for row in rows])
        parts.append(values.of_run(found.assign(source=file.pop("source")), file))
    return values.joined(parts)


def grid(dataset=("digits",), transform=("one",), method=("moco",), backbone=("vgg11",), seeds=(5, 6)) -> list[dict]:
    """Every run of a grid, as the study declares them."""
    axes = {"dataset": dataset, "transform": transform, "method": method, "backbone": backbone, "seed": seeds}
    return [dict(zip(axes, names, strict=True)) for names in itertools.product(*axes.values())]


def axes(each: list[dict]) -> dict[str, list[str]]:
    """The names of the runs by axis, as the study declares them."""
    return {key: list(dict.fromkeys(run[key] for run in each)) for key in AXES}


def declared(each: list[dict], *metrics: str, **more: Any) -> dict[str, Any]:
    """The declaration of a panel that shows these runs and metrics."""
    return {
        "name": "p_t",
        "title": "What is kept",
        "each": each,
        "runs": axes(each),
        "metrics": [{"name": name, **asdict(METRICS[name])} for name in metrics],
        "dimensions": {name: asdict(dimension) for name, dimension in DIMENSIONS.items()},
        "rows": ["transform"],
        "columns": ["metric"],
        "where": {},
        "average": [],
        "of_sweeps": {},
        "labels": {},
        "scale": {"name": "paper", "note": "", "stand_ins": {}},
        **more,
    }


@pytest.fixture
def records() -> pd.DataFrame:
    """Two transforms; AMI and top-1 of two seeds, of one seed; LPIPS without a number, and without runs."""
    return as_records(
        [
            record("one", 6, "ami", 0.80),
            record("one", 5, "ami", 0.70),
            record("two", 5, "ami", 0.31),
            record("one", 5, "top1", 97.0),
            record("one", 6, "top1", 99.0),
            record("two", 5, "top1", 61.25),
            record("one", 5, "lpips", NONE, "no weights"),
            record("one", 6, "lpips", NONE, "no weights"),
        ]
    )


@pytest.fixture
def published() -> pd.DataFrame:
    shared = {"paper": "p", "panel": "t", "dataset": "mnist", "method": "moco", "backbone": "vgg11", "unit": ""}
    shared |= {"quoted": "", "decimals": NONE, "correct": NONE, "of": NONE}
    return pd.DataFrame(
        [
            {**shared, "transform": "one", "metric": "ami", "value": 0.83, "n_seeds": 5, "note": ""},
            {**shared, "transform": "two", "metric": "ami", "value": 0.37, "n_seeds": 5, "note": ""},
            {**shared, "transform": "one", "metric": "lpips", "value": 0.33, "n_seeds": 5, "note": ""},
        ]
    )


@pytest.fixture
def panel() -> dict:
    each = [run("one", 5), run("one", 6), run("two", 5)]
    labels = {"one": "First & best", "moco": "MoCo v2+", "digits": "digits", "vgg11": "VGG11"}
    scale = {"name": "demo", "note": "Demo scale: digits in place of MNIST.", "stand_ins": {"mnist": "digits"}}
    return declared(each, "ami", "top1", "lpips", labels=labels, scale=scale)
