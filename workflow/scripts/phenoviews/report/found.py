"""What there is to show: what the study says, the panels' files and those of their runs, read once for all sections."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from phenoviews.errors import UserError
from phenoviews.files import read_json
from phenoviews.study.metrics import AXES, RUN
from phenoviews.study.names import bare
from phenoviews.study.schema import read_yaml

FINISHED = "finished"  # as a run.yaml says it; `phenoviews.training.outcome.FINISHED`, whose module needs torch
EPOCHS = ("epoch", "loss", "lr", "spread", "ami", "knn", "rankme", "seconds", "images_per_s")


@dataclass(frozen=True)
class Training:
    """A run as the page knows it. `names`: of `RUN`; `about`: its run.yaml, None of an encoder that nobody trains here
    and of a training that is not there yet (`state` says which); `history`: {column: a number for each epoch}."""

    names: dict[str, Any]
    folder: str
    state: str
    about: dict[str, Any] | None
    history: dict[str, list[float | None]]

    @property
    def name(self) -> str:
        return name_of(self.names)

    @property
    def group(self) -> str:
        """What it shares with the runs that differ from it in the seed alone."""
        return group_of(self.names)

    @property
    def failed(self) -> bool:
        return self.about is not None and self.state != FINISHED

    @property
    def seconds(self) -> float | None:
        return None if self.about is None else float(self.about["result"]["seconds"])

    @property
    def overrides(self) -> str:
        """What its names change of the entries that they are of."""
        return ", ".join(
            f"{axis}: {part.replace('=', ' = ')}" for axis in AXES for part in str(self.names[axis]).split("+")[1:]
        )


@dataclass(frozen=True)
class Found:
    """`told`: see `page.write`. `panels`: {name: what the study says of it and its `document` (`panels.numbers`)}.
    `looks`: what transforms make of images (`pictures.transforms`), each with the folder that its pictures are in."""

    told: Mapping[str, Any]
    panels: dict[str, dict[str, Any]]
    runs: dict[str, Training]
    looks: list[dict[str, Any]]

    @functools.cached_property
    def groups(self) -> dict[str, list[Training]]:
        """{group: its runs}, numbered by their place."""
        found: dict[str, list[Training]] = {}
        for run in self.runs.values():
            found.setdefault(run.group, []).append(run)
        return found

    @functools.cached_property
    def number_of(self) -> dict[str, int]:
        """The number of each group, by which its script is called."""
        return {group: number for number, group in enumerate(self.groups)}

    def of_lines(self, panel: Mapping[str, Any]) -> list[list[str]]:
        """For each line of a panel's numbers the names of the runs that it is of: those with the names that it has. An
        axis that a line averages over has no name there, and a line of a sweep has names without what is swept."""
        document = panel["document"]
        swept = {metric["name"] for metric in document["metrics"] if metric["of_sweep"]}
        found: dict[tuple[tuple[str, ...], bool], list[str]] = {}
        lines = []
        for line in document["lines"]:
            names, of_sweep = tuple(str(line.get(axis) or "") for axis in AXES), line["metric"] in swept
            key = (names, of_sweep)
            if key not in found:
                found[key] = list(
                    dict.fromkeys(name_of(run) for run in document["each"] if _is_of(run, names, of_sweep))
                )
            lines.append(found[key])
        return lines

    @functools.cached_property
    def look_of(self) -> dict[tuple[str, str, str], int]:
        """{(data set, transform, method): the place of its look}."""
        return {
            (dataset, transform, method): number
            for number, look in enumerate(self.looks)
            for dataset, transform, method in look["names"]
        }

    @functools.cached_property
    def panels_of(self) -> dict[str, list[str]]:
        """{group: the panels that show runs of it}."""
        found: dict[str, list[str]] = {}
        for name, panel in self.panels.items():
            for group in dict.fromkeys(group_of(run) for run in panel["document"]["each"]):
                found.setdefault(group, []).append(name)
        return found

    def label(self, axis: str, name: str) -> str:
        """What a person calls a name of a run: its entry's label, and what it overrides in words."""
        base, *overrides = name.split("+")
        called = self.told["labels"][axis].get(base, base)
        return ", ".join([called, *(part.replace("=", " = ") for part in overrides)])

    @functools.cached_property
    def plan_files(self) -> dict[str, str]:
        """The plan of the study, where one was asked for: {its place on the page: the file}."""
        files = (Path(self.told["results"], f"plan.{suffix}") for suffix in ("html", "csv", "md"))
        return {file.name: str(file) for file in files if file.exists()}


def group_of(names: Mapping[str, Any]) -> str:
    return "/".join(str(names[axis]) for axis in AXES)


def name_of(names: Mapping[str, Any]) -> str:
    return f"{group_of(names)}/seed{names['seed']}"


def read(told: Mapping[str, Any]) -> Found:
    """Everything that the page shows; see `page.write` for `told`.

    Raises:
        UserError: a file that says nothing.
    """
    panels = {panel["name"]: {**panel, "document": read_json(panel["files"]["json"])} for panel in told["panels"]}
    each = {name_of(run): run for panel in panels.values() for run in panel["document"]["each"]}
    runs = {name: training(run, told) for name, run in each.items()}
    looks = [
        {**look, "folder": folder} for folder in told["pictures"] for look in read_json(Path(folder, "index.json"))
    ]
    return Found(told, panels, runs, looks)


def training(run: Mapping[str, Any], told: Mapping[str, Any]) -> Training:
    """A run, of which these are the names."""
    names = {key: run[key] for key in RUN}
    there = {**names, "dataset": told["elsewhere"].get(f"{names['dataset']}/{names['seed']}", names["dataset"])}
    folder = f"{told['results']}/runs/{name_of(there)}"
    if names["method"].split("+")[0] in told["frozen"]:
        return Training(names, folder, "not trained here", None, {})
    about = _about(Path(folder, "run.yaml"))
    if about is None:
        return Training(names, folder, "not there yet", None, {})
    return Training(names, folder, about["outcome"], about, _history(Path(folder, "history.csv")))


def failed_in(outcome: str) -> int | None:
    """The epoch in which a training failed, by what its outcome says."""
    found = re.search(r"in epoch (\d+)", outcome)
    return int(found[1]) if found else None


def _about(file: Path) -> dict[str, Any] | None:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        about: dict[str, Any] = read_yaml(text)
        if not {"outcome", "result", "device"} <= about.keys():
            raise TypeError("no outcome, result or device")
    except (yaml.YAMLError, TypeError, AttributeError) as error:
        raise UserError(f"{file}: is no run.yaml of a run ({error}); delete it to train the run again") from error
    return about


def _history(file: Path) -> dict[str, list[float | None]]:
    try:
        lines = pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: is no history of a training ({error}); delete it to train the run again") from error
    return {name: numbers(lines[name]) for name in EPOCHS if name in lines and lines[name].notna().any()}


def numbers(values: Iterable[Any]) -> list[float | None]:
    """Numbers as JSON has them: to six digits, None for what is none."""
    return [float(f"{value:.6g}") if value == value and abs(value) != float("inf") else None for value in values]


def _is_of(run: Mapping[str, Any], names: Sequence[str], of_sweep: bool) -> bool:
    keys = [run["swept"]] if of_sweep and run.get("swept") else []
    return all(asked in ("", bare(run[axis], keys)) for axis, asked in zip(AXES, names, strict=True))
