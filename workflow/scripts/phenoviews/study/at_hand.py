"""Models of timm, as the plan needs to know them: whether there is such a model, whether the weights fit it, whether it
takes the images, and what it costs.

timm alone can say, and importing it takes seconds: a process of its own is asked, once for each model and its images.
What it found is kept, what it refused is asked again.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phenoviews.errors import UserError
from phenoviews.files import read_json, write_json
from phenoviews.study import paths
from phenoviews.study.resolve import TIMM, Resolver
from phenoviews.study.resolved import Backbone
from phenoviews.study.run import Run

KEPT = Path(".snakemake/phenoviews.timm.json")
SCRIPTS = Path(__file__).parents[2]


@dataclass(frozen=True)
class Facts:
    """`gmacs`: 1e9 multiply-adds of an image, as of 32 × 32 pixels; `millions` of parameters; `dim` of its features."""

    gmacs: float
    millions: float
    dim: int


@functools.cache
def facts(backbone: Backbone, channels: int) -> Facts:
    """What a backbone of timm is, for images of so many channels. Raises `UserError` as `check`."""
    (found,) = _found([_asked(backbone, channels, None)])
    return Facts(**_answer(backbone, found))


def has_models(study: Resolver) -> bool:
    """Whether any of the backbones is a model of timm."""
    return any(entry.get("kind") == TIMM for entry in study.config["backbones"].values())


def check(study: Resolver, runs: Collection[Run]) -> None:
    """Look at the models of timm among the backbones of some runs; not at those of a run that is there, which were seen
    when that was planned.

    Raises:
        UserError: timm has no such model, the weights do not fit it, or it does not take the images.
    """
    of_timm = {
        run: study.resolve(study.on_disk(run))
        for run in runs
        if study.entry("backbones", run.backbone).get("kind") == TIMM
    }
    asked = []
    for run, one in of_timm.items():
        # A file that the workflow has yet to make is looked at by the job.
        there = [file for file in paths.weights(study, study.on_disk(run)) if Path(file).is_file()]
        asked.append(_asked(one.backbone, one.dataset.channels, there[0] if there else None))
    for one, found in zip(of_timm.values(), _found(asked), strict=True):
        _answer(one.backbone, found)


def _asked(backbone: Backbone, channels: int, weights: str | None) -> dict[str, Any]:
    entry = {key: value for key, value in backbone.to_dict().items() if key != "name"}
    return {"backbone": entry, "channels": channels, "weights": weights}


def _answer(backbone: Backbone, found: dict[str, Any]) -> dict[str, Any]:
    if "error" in found:
        raise UserError(f"config: backbone '{backbone.name}': {found['error']}")
    return found


def _found(asked: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers, those that are kept and the others from a process."""
    try:
        kept = read_json(KEPT)
    except (OSError, ValueError):
        kept = {}
    keys = list(map(_key, asked))
    new = {key: one for key, one in zip(keys, asked, strict=True) if key not in kept}
    if new:
        answers = dict(zip(new, _ask(list(new.values())), strict=True))
        good = {key: answer for key, answer in answers.items() if "error" not in answer}
        # What a model is does not depend on its weights.
        bare = {_key({**new[key], "weights": None}): answer for key, answer in good.items()}
        with contextlib.suppress(OSError, UserError):
            write_json(KEPT, {**kept, **good, **bare})
        kept = {**kept, **answers}
    return [kept[key] for key in keys]


def _key(asked: dict[str, Any]) -> str:
    """What an answer depends on: of a file also its size and time."""
    if not asked["weights"]:
        return json.dumps({**asked, "backbone": {**asked["backbone"], "init": "random"}}, sort_keys=True)
    file = os.stat(asked["weights"])
    return json.dumps([asked, file.st_size, file.st_mtime_ns], sort_keys=True)


def _ask(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    said = subprocess.run(
        [sys.executable.strip("'"), "-m", "phenoviews.models.look"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
    )
    if said.returncode:
        last = (said.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"config: timm's models could not be looked at: {last}; install torch and timm where Snakemake "
                        "runs")  # fmt: skip
    answers: list[dict[str, Any]] = json.loads(said.stdout)
    return answers
