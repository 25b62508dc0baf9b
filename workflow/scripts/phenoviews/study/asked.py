"""What the last call of Snakemake was asked to train, for whoever looks how far it is, and for its jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from phenoviews.files import read_json, write_json, write_text
from phenoviews.study import names, paths, plan
from phenoviews.study.resolve import Resolver
from phenoviews.study.run import Run

ASKED = "results/{scale}/asked.json"
COUNTS = Path("results/counts.json")  # {data set of the user's: how many images to train with}


def write(study: Resolver, trainings: Mapping[Run, bool]) -> None:
    """Note the trainings of a call that begins; each with whether it is to be made (again), or is there already.

    Raises:
        UserError: a training that would end at its start.
    """
    loads = {run: plan.load(study, run) for run, to_do in trainings.items() if to_do}
    found = {
        run.name: {"epochs": loads[run].epochs, "images": loads[run].images, "to_do": True}
        if to_do
        else {"to_do": False}
        for run, to_do in sorted(trainings.items())
    }
    file = ASKED.format(scale=study.scale)
    write_text(file, json.dumps({"when": time.time(), "trainings": found}) + "\n")


def read(folder: Path) -> dict[str, Any]:
    """What `write` noted in the folder of a scale; without trainings where no call began there."""
    return _noted(folder / Path(ASKED).name, {"when": 0.0, "trainings": {}})


def count(study: Resolver, datasets: Iterable[str]) -> None:
    """Note how many images there are of the user's own that a call trains with."""
    found = {name: plan.images(study, name) for name in datasets if "path" in study.entry("datasets", name)}
    there = _noted(COUNTS, {})
    if found.items() - there.items():
        write_json(COUNTS, there | found)


def counts(datasets: Any, called: bool) -> dict[str, int]:
    """What `count` noted, for a process that does not count by itself: for a job all; for the process that is `called`
    images that the user has taken away since. `datasets`: the entries of a document."""
    return {name: of for name, of in _noted(COUNTS, {}).items() if not called or _is_away(datasets, name)}


def _noted(file: Path, otherwise: dict[str, Any]) -> dict[str, Any]:
    try:
        found: dict[str, Any] = read_json(file)
    except (OSError, ValueError):
        return otherwise
    return found


def _is_away(datasets: Any, name: str) -> bool:
    # Not looked at by the schema yet.
    entry = datasets.get(names.parse(name)[0]) if isinstance(datasets, Mapping) else None
    path = entry.get("path") if isinstance(entry, Mapping) else None
    return isinstance(path, str) and not Path(paths.users_path(path)).exists()
