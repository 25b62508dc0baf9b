"""The runs: how each training went, epoch by epoch, two of them side by side, and the views that they were shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from phenoviews.report.found import Found, Training, failed_in, group_of
from phenoviews.report.pages import Page
from phenoviews.study.metrics import AXES

# The columns of the list, of which the browser makes its rows.
COLUMNS = [*AXES, "seed", "state", "failed", "epochs", "loss", "seconds", "images_per_s", "device", "group"]
CURVES = {
    "loss": ("Loss", ""),
    "lr": ("Learning rate", ""),
    "spread": ("Spread of features (0: collapsed)", ""),
    "ami": ("AMI", ""),
    "knn": ("kNN accuracy of the encoder, on held-out images", "%"),
    "rankme": ("Effective rank of the encoder's embeddings", ""),
    "images_per_s": ("Images per second", "1/s"),
}
APART = ("outcome", "remedy", "result", "versions", "name")  # of a run.yaml: no settings


def pages(found: Found) -> Iterator[Page]:
    groups = found.groups
    yield Page(
        "runs.html",
        "runs.html",
        "Runs",
        {"count": len(found.runs)},
        scripts={
            "data/runs.js": {
                "columns": COLUMNS,
                "rows": [row(found, run) for run in found.runs.values()],
                "panels": {
                    name: [found.number_of[group] for group in dict.fromkeys(map(group_of, panel["document"]["each"]))]
                    for name, panel in found.panels.items()
                },
            }
        },
    )
    yield Page(
        "run.html",
        "run.html",
        "Run",
        {"curves": CURVES},
        scripts={
            f"data/runs/{found.number_of[group]}.js": of_group(found, group, runs) for group, runs in groups.items()
        },
        files={
            f"views/{number}/{row['file']}": f"{look['folder']}/{row['file']}"
            for number, look in enumerate(found.looks)
            for row in look["rows"]
        },
    )


def row(found: Found, run: Training) -> list[Any]:
    """A run in the list: `COLUMNS`."""
    losses = [loss for loss in run.history.get("loss", []) if loss is not None]
    return [
        *(run.names[axis] for axis in AXES),
        run.names["seed"],
        run.state,
        run.failed,
        len(run.history.get("epoch", [])),
        losses[-1] if losses else None,
        run.seconds,
        run.about["result"]["images_per_s"] if run.about else None,
        run.about["device"] if run.about else None,
        found.number_of[run.group],
    ]


def of_group(found: Found, group: str, runs: Sequence[Training]) -> dict[str, Any]:
    """Runs that differ in their seed: what the page of one of them shows."""
    names = runs[0].names
    look = found.look_of.get((names["dataset"], names["transform"], names["method"]))
    return {
        "group": group,
        "names": {axis: names[axis] for axis in AXES},
        "labels": {axis: found.label(axis, names[axis]) for axis in AXES},
        "views": []
        if look is None
        else [{"label": row["label"], "file": f"views/{look}/{row['file']}"} for row in found.looks[look]["rows"]],
        "runs": {str(run.names["seed"]): one(run) for run in runs},
        "panels": [{"name": name, "title": found.panels[name]["document"]["title"]} for name in found.panels_of[group]],
    }


def one(run: Training) -> dict[str, Any]:
    about = run.about or {}
    return {
        "name": run.name,
        "folder": run.folder,
        "state": run.state,
        "failed": run.failed,
        "failed_in": failed_in(run.state) if run.failed else None,
        "remedy": about.get("remedy"),
        "history": run.history,
        "device": about.get("device"),
        "precision": about.get("precision"),
        "threads": about.get("threads"),
        "seconds": run.seconds,
        "images_per_s": about["result"]["images_per_s"] if about else None,
        "commit": about.get("commit"),
        "settings": settings({key: value for key, value in about.items() if key not in APART}),
    }


def settings(of: Any, path: str = "") -> dict[str, str]:
    """Nested settings as {path: text}, so that two runs can be compared line by line; a pipeline is one setting."""
    if isinstance(of, dict) and of:
        parts = (settings(value, f"{path}.{key}" if path else str(key)) for key, value in of.items())
        return {key: value for part in parts for key, value in part.items()}
    if isinstance(of, list) and of and all(isinstance(value, dict) and len(value) == 1 for value in of):
        return {path: " → ".join(" ".join([name, *_parameters(given)]) for step in of for name, given in step.items())}
    if isinstance(of, list) and any(isinstance(value, dict | list) for value in of):
        parts = (settings(value, f"{path}.{number}") for number, value in enumerate(of, start=1))
        return {key: value for part in parts for key, value in part.items()}
    return {path: of if isinstance(of, str) else json.dumps(of)}


def _parameters(given: dict[str, Any] | None) -> list[str]:
    return [f"{key}={json.dumps(value)}" for key, value in (given or {}).items()]
