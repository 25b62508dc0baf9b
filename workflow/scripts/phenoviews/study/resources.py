"""What lies outside the config: in `resources/` of a panel the values that its paper printed and the claims on it, of
a data set its classes; of an encoder at hand what the run that trained it says of itself.

They are parameters of rules, so that a word that changes in one of them makes that panel again and no other, and a file
that is only touched nothing. A paper of the user's own need not have any.
"""

from __future__ import annotations

import csv
import functools
import importlib.metadata
from pathlib import Path
from typing import Any

import yaml

from phenoviews.errors import UserError
from phenoviews.study.document import ROOT
from phenoviews.study.panel import Panel

FINISHED = "finished"  # as a run.yaml says it; `phenoviews.training.outcome.FINISHED`, whose module needs torch
RESOURCES = ROOT / "resources"


def published(panel: Panel, folder: Path = RESOURCES) -> list[dict[str, str]]:
    """The published values of a panel, by the columns of `resources/published/README.md`, as texts."""
    rows = _published(folder / "published" / f"{panel.paper}.csv")
    return [row for row in rows if row["panel"] == panel.item]


def claims(panel: Panel, folder: Path = RESOURCES) -> list[dict[str, Any]]:
    """The claims on a panel, as `panels/comparisons.py` says how they are written.

    Raises:
        UserError: a file that is not YAML.
    """
    found: list[dict[str, Any]] = _claims(folder / "claims" / f"{panel.paper}.yaml").get(panel.name, [])
    return found


def located(file: str) -> Path:
    """A file that the study names: where Snakemake is called, or else beside the Snakefile, as the shipped ones."""
    here = Path(file).expanduser()
    return here if here.exists() or not (ROOT / here).exists() else ROOT / here


def classes(file: str) -> list[str]:
    """The names of classes in a file: words, `#` begins a comment.

    Raises:
        UserError: no such file, fewer than two names, a name twice.
    """
    try:
        lines = located(file).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(
            f"{file}: cannot be read ({error.strerror}); correct the key `classes` of the data set"
        ) from None
    names = [name for line in lines for name in line.partition("#")[0].split()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{file}: names {', '.join(twice)} twice; each class once")
    if len(names) < 2:
        raise UserError(f"{file}: names {len(names)} classes; at least two are needed")
    return names


def finished_run(folder: str, key: str) -> dict[str, Any]:
    """What run.yaml in the folder of a finished run says of its `backbone` and of how images are shown to it
    (`dataset`, mean and std as numbers), and the absolute path of its `encoder`. `key`: of the config, for messages.

    Raises:
        UserError: no run there, or one that did not finish.
    """
    path = Path(folder).expanduser() / "run.yaml"
    try:
        run = yaml.safe_load(path.read_text(encoding="utf-8"))
        # Its `statistics` are the numbers, also where mean and std were the images' own; an earlier version has them in
        # `dataset` alone.
        outcome, found = run["outcome"], {part: run[part] for part in ("backbone", "dataset")}
        found["dataset"] = {**found["dataset"], **run.get("statistics", {})}
    except OSError as error:
        raise UserError(
            f"config: {key}: {path} cannot be read ({error.strerror}); give the folder of a finished run, "
            "results/<scale>/runs/…/seed<seed>"
        ) from None
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise UserError(f"config: {key}: {path} is no run.yaml of a run ({type(error).__name__}: {error})") from None
    if outcome != FINISHED:
        raise UserError(f"config: {key}: {folder} did not finish: {outcome}; give another run")
    encoder = path.with_name("encoder.pt").absolute()
    if not encoder.is_file():
        raise UserError(f"config: {key}: {encoder} is not there; train the run again")
    return {**found, "encoder": str(encoder)}


@functools.cache
def timm_version() -> str:
    """Of timm, where Snakemake runs. Raises `UserError` where it is not there."""
    try:
        return importlib.metadata.version("timm")
    except importlib.metadata.PackageNotFoundError:
        raise UserError(
            "config: a backbone of kind timm needs the package timm also where Snakemake runs; pip install timm"
        ) from None


@functools.cache
def _published(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@functools.cache
def _claims(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
    return found
