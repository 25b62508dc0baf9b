"""The state of every training that was asked for, from the files that it leaves; nothing is computed, nothing waits.

done         its run.yaml says that it finished
collapsed    its run.yaml says that it did not (collapsed, or not a number): a result too
running      a process tells so, or did a moment ago
interrupted  it was on its way, and its process is gone: the next call goes on from its checkpoint
failed       its log says why
waiting      none of these
"""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from phenoviews.costs.finished import READERS, sections
from phenoviews.errors import BEGAN, ERROR, FAILED
from phenoviews.study import asked
from phenoviews.study.resources import FINISHED
from phenoviews.study.schema import read_yaml

DONE, COLLAPSED, RUNNING = "done", "collapsed", "running"
INTERRUPTED, FAILS, WAITING = "interrupted", "failed", "waiting"
SILENT = 300.0  # seconds after which a process on another machine that tells nothing counts as gone
TRAINING, TRAINING_LOG = "training", "pretrain.log"
TOLD = ("what", "run", "host", "process", "updated", "step", "steps", "epoch", "epochs", "batch", "images_per_s",
        "loss", "rows")  # fmt: skip
_BEGAN = re.compile(re.escape(BEGAN) + r".* began at (\S+ \S+) on (\S*), process (\d+)\.")


@dataclass(frozen=True)
class Training:
    """A training that was asked for. `line`: how it failed; `epoch` of `epochs`, `loss`, `images_per_s`, `left`
    (seconds) and `host` of one that runs; `seconds`: what it has taken so far; `images`: of the whole of it, 0 where
    unknown."""

    name: str
    state: str
    line: str = ""
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    images_per_s: float | None = None
    left: float | None = None
    host: str = ""
    seconds: float = 0.0
    images: int = 0


@dataclass(frozen=True)
class Failed:
    """Any other job that failed: its log, and its one line."""

    log: Path
    line: str


@dataclass
class State:
    """Of the folder of a scale. `when`: the call began, seconds since 1970; 0 where none was noted."""

    folder: Path
    when: float
    trainings: Sequence[Training]
    failed: Sequence[Failed]
    others: Sequence[Mapping[str, Any]] = field(default_factory=list)  # what tells of itself and is no training

    def of(self, state: str) -> list[Training]:
        return [one for one in self.trainings if one.state == state]

    @property
    def spent_hours(self) -> float:
        """GPU-hours of what has run, or runs."""
        return sum(one.seconds for one in self.trainings) / 3600

    def left_hours(self) -> float | None:
        """GPU-hours of what has yet to run, at the pace of what has run most alike; None where nothing has."""
        paces: dict[tuple[str, ...], list[float]] = {}
        for one in self.trainings:
            if one.images_per_s:
                for key in _likeness(one.name):
                    paces.setdefault(key, []).append(1 / one.images_per_s)
        if not paces:
            return None
        middle = {key: median(of) for key, of in paces.items()}
        seconds = sum(one.left or 0.0 for one in self.of(RUNNING))
        for one in (*self.of(WAITING), *self.of(FAILS), *self.of(INTERRUPTED)):
            share = 1 - one.epoch / one.epochs if one.epochs else 1.0
            seconds += share * one.images * middle[next(key for key in _likeness(one.name) if key in middle)]
        return seconds / 3600


@dataclass(frozen=True)
class Moment:
    """When it is looked, seconds since 1970, and the trainings that a scheduler says it runs then."""

    now: float
    queued: frozenset[str]


def state(folder: Path, queued: Iterable[str] = (), now: float | None = None) -> State:
    """What the folder of a scale (`results/paper`) says at this moment. `queued`: as in `queue.running`."""
    now = time.time() if now is None else now
    noted = asked.read(folder)
    wanted: dict[str, Any] = noted["trainings"]
    if not wanted:
        found = sorted((folder / "runs").glob("*/*/*/*/seed*/run.yaml"))
        wanted = {str(file.parent.relative_to(folder / "runs")): {} for file in found}
    live = _tellings(folder)
    telling = {one["run"]: one for one in live if one["what"] == TRAINING}

    of_queue = {name for name in wanted if comment_of(folder.name, name) in {*queued}}
    at = Moment(now, frozenset(of_queue))

    def look(name: str) -> tuple[Training, list[Failed]]:
        run = folder / "runs" / name
        logs = _logs(run / "logs")
        training = _training(name, run, wanted[name], telling.get(name), logs.get(TRAINING_LOG, ""), noted["when"], at)
        lines = {log: _line(text) for log, text in logs.items() if log != TRAINING_LOG}
        return training, [Failed(run / "logs" / log, line) for log, line in lines.items() if line]

    with ThreadPoolExecutor(READERS) as readers:
        looked = list(readers.map(look, wanted))
    elsewhere = [*(folder / "panels").glob("*/*.log"), *(folder / "views").glob("**/*.log")]
    elsewhere += [*folder.parent.glob("logs/**/*.log"), *folder.parent.glob("screens/*/logs/**/*.log")]
    failed = [one for _, of in looked for one in of]
    failed += [Failed(log, line) for log in sorted(elsewhere) if (line := _line(_text(log)))]
    others = [
        one for one in live if one["what"] != TRAINING and _alive(one["host"], one["process"], one["updated"], now)
    ]
    return State(folder, noted["when"], [one for one, _ in looked], failed, others)


def _training(
    name: str, run: Path, noted: Mapping[str, Any], told: Mapping[str, Any] | None, log: str, when: float, at: Moment
) -> Training:
    plain = {"epochs": noted.get("epochs", 0), "images": noted.get("images", 0)}
    if line := _line(log):
        return Training(name, FAILS, line, **plain)
    running, host = name in at.queued, ""
    if began := _BEGAN.match(log):
        host = began[2]
        touched = time.mktime(time.strptime(began[1], "%Y-%m-%d %H:%M:%S"))
        running = running or _alive(host, int(began[3]), touched, at.now)
    if told is not None:
        running = running or _alive(told["host"], told["process"], told["updated"], at.now)
        rate, steps = told["images_per_s"], told["steps"] - told["step"]
        return Training(
            name,
            RUNNING if running else INTERRUPTED,
            epoch=told["epoch"],
            epochs=told["epochs"],
            loss=told["loss"],
            images_per_s=rate,
            left=steps * told["batch"] / rate if rate else None,
            host=told["host"],
            seconds=sum(row["seconds"] for row in told["rows"]),
            images=told["steps"] * told["batch"],
        )
    if running:
        return Training(name, RUNNING, host=host, **plain)
    if began:
        return Training(name, FAILS, _gone(host), **plain)
    ended = _ended(run / "run.yaml", when if noted.get("to_do") else 0.0)
    if ended is None:
        return Training(name, WAITING, **plain)
    outcome, seconds, rate = ended
    if outcome != FINISHED:
        return Training(name, COLLAPSED, outcome, seconds=seconds, **plain)
    return Training(name, DONE, images_per_s=rate, seconds=seconds, **plain)


def _ended(file: Path, since: float) -> tuple[str, float, float] | None:
    """The outcome, seconds and images/s that a run.yaml tells; None where it is not there, tells nothing, or is older
    than the call that makes it anew."""
    try:
        if file.stat().st_mtime < since:
            return None
        found = sections(file.read_text(encoding="utf-8"))
        result = read_yaml(found["result"])["result"]
        outcome = str(read_yaml(found["outcome"])["outcome"])
        return outcome, float(result["seconds"]), float(result["images_per_s"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return None


def live_trainings(folder: Path) -> list[dict[str, Any]]:
    """What trainings that run, or were interrupted, tell of themselves, in the folder of a scale: `training.live`."""
    return [one for one in _tellings(folder) if one["what"] == TRAINING]


def _tellings(folder: Path) -> list[dict[str, Any]]:
    return [one for file in sorted((folder / "checkpoints").glob("*.json")) if (one := _live(file))]


def _live(file: Path) -> dict[str, Any] | None:
    """What a training tells of itself; None of a file that has just gone, or is another's."""
    try:
        found: dict[str, Any] = json.loads(file.read_text())
        return found if set(TOLD) <= found.keys() else None
    except (OSError, ValueError):
        return None


def _logs(folder: Path) -> dict[str, str]:
    """{name: text} of the logs of a run: of jobs that run, or failed; one that succeeds leaves none."""
    try:
        with os.scandir(folder) as found:
            names = [entry.name for entry in found if entry.name.endswith(".log")]
    except OSError:
        return {}
    return {name: _text(folder / name) for name in sorted(names)}


def _text(log: Path) -> str:
    try:
        return log.read_text(errors="replace")
    except OSError:  # it has just gone
        return ""


def _line(text: str) -> str:
    """As `line_of`, of the text of a log."""
    first = text.partition("\n")[0]
    for start in (ERROR, FAILED):
        if first.startswith(start):
            return first.removeprefix(start)
    return ""


def comment_of(scale: str, name: str) -> str:
    """What Slurm's plugin notes of the job of a training."""
    return f"rule_pretrain_wildcards_{'_'.join([scale, *name.replace('/seed', '/').split('/')])}"


def line_of(log: Path) -> str:
    """The one line of a log that says why its job failed; "" of other logs, and where there is none."""
    return _line(_text(log))


def _gone(host: str) -> str:
    return f"ended without a word on {host}, by a signal: stopped from outside, for want of memory or of time"


def _alive(host: str, process: int, updated: float, now: float) -> bool:
    """Whether a process lives: one of this machine is looked up, of another it counts when it told something last."""
    if host != platform.node():
        return now - updated < SILENT
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _likeness(name: str) -> list[tuple[str, ...]]:
    """What trainings have in common, the most alike first: the key of each likeness."""
    dataset, _, method, backbone, _ = (part.partition("+")[0] for part in name.split("/"))
    return [("dmb", dataset, method, backbone), ("db", dataset, backbone), ("b", backbone), ("any",)]


def grouped(lines: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """(what, line) → each line once, with all that it is of; the most frequent first."""
    found: dict[str, list[str]] = {}
    for what, line in lines:
        found.setdefault(re.sub(r" in epoch \d.*", "", line), []).append(what)
    return sorted(found.items(), key=lambda one: -len(one[1]))
