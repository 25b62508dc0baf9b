"""What the last call of Snakemake was asked to train, for whoever looks how far it is."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phenoviews.files import write_text
from phenoviews.study import plan
from phenoviews.study.resolve import Resolver
from phenoviews.study.run import Run

ASKED = "results/{scale}/asked.json"


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
    try:
        found: dict[str, Any] = json.loads((folder / Path(ASKED).name).read_text())
    except (OSError, ValueError):
        return {"when": 0.0, "trainings": {}}
    return found
