"""What finished trainings say of themselves in their `run.yaml`; thousands of these are read in seconds."""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from phenoviews.errors import UserError
from phenoviews.study.resolved import Pretraining
from phenoviews.study.resources import FINISHED
from phenoviews.study.schema import read_yaml

READERS = 16  # files that are waited for at once, as on a network disk
SETTINGS = tuple(Pretraining.__dataclass_fields__)


@dataclass(frozen=True)
class Finished:
    """A training that has ended. `outcome`: finished, or how it failed; `seconds`: of all its epochs; `job_seconds`: of
    its last job, which has a start and an end besides; `images_per_s`: each image twice viewed; `memory_gb`: the peak
    on a GPU. None where nothing tells."""

    folder: Path
    outcome: str
    run: Pretraining
    seconds: float
    images_per_s: float
    device: str
    job_seconds: float | None
    memory_gb: float | None

    @property
    def failed(self) -> bool:
        return self.outcome != FINISHED


def finished(folders: Iterable[Path]) -> Iterator[Finished]:
    """Those of these folders of runs whose training has ended. A `run.yaml` that says nothing counts as none: its
    training is to be made again."""
    with ThreadPoolExecutor(READERS) as readers:
        yield from (one for one in readers.map(_finished, folders) if one)


def folders(results: Path) -> list[Path]:
    """Of all runs below `results` at any scale that have a `run.yaml`, in the order of their names."""
    return [file.parent for file in sorted(results.glob("*/runs/*/*/*/*/seed*/run.yaml"))]


def sections(text: str) -> dict[str, str]:
    """{top-level key: its lines} of a YAML document in block style, of which a caller then parses what it needs."""
    found: dict[str, list[str]] = {}
    key = ""
    for line in text.splitlines():
        if line[:1] not in ("", " ", "-", "#"):
            key = line.partition(":")[0]
        found.setdefault(key, []).append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}


def _finished(folder: Path) -> Finished | None:
    try:
        found = sections((folder / "run.yaml").read_text(encoding="utf-8"))
        result = _parsed(found["result"])["result"]
        return Finished(
            folder=folder,
            outcome=_parsed(found["outcome"])["outcome"],
            run=settings(found),
            seconds=float(result["seconds"]),
            images_per_s=float(result["images_per_s"]),
            device=str(_parsed(found["device"])["device"]),
            job_seconds=float(result["job_seconds"]) if "job_seconds" in result else None,
            memory_gb=_peak(folder / "history.csv"),
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, UserError):
        return None


def settings(found: dict[str, str]) -> Pretraining:
    """The settings of a training, from the `sections` of its `run.yaml`.

    Raises:
        UserError: settings of another version, which lack some or have others.
    """
    plain = {key: _section(found[key])[key] for key in SETTINGS if key in found}
    return Pretraining.from_dict(plain)


@functools.lru_cache(maxsize=4096)
def _section(text: str) -> dict[str, Any]:
    """A parsed section, once for the many runs that share it."""
    return _parsed(text)


def _parsed(text: str) -> dict[str, Any]:
    found: dict[str, Any] = read_yaml(text)
    return found


def _peak(history: Path) -> float | None:
    """The peak of a GPU's memory by the end of a training, GB; None where there is none."""
    try:
        with history.open(newline="", encoding="utf-8") as lines:
            return float(list(csv.DictReader(lines))[-1]["memory_gb"])
    except (OSError, KeyError, IndexError, ValueError, TypeError):
        return None
