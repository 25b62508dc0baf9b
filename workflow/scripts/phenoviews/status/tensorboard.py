"""Histories of trainings as TensorBoard's event files, for who asks: those that have ended, and those that run."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from phenoviews.errors import UserError
from phenoviews.status.states import live_trainings

CURVES = ("loss", "lr", "spread", "ami", "knn", "rankme", "images_per_s", "memory_gb")
WRITTEN = "epochs.json"  # beside the events: how many epochs of each run are in them


def write(folder: Path, out: Path) -> int:
    """Add what is new in the histories of the scale in `folder` to the event files below `out`, a folder per run.

    Returns:
        How many runs have curves there.

    Raises:
        UserError: TensorBoard is not installed.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        raise UserError("--tensorboard: needs TensorBoard's package; pip install tensorboard") from None
    known = out / folder.name / WRITTEN
    written: dict[str, int] = json.loads(known.read_text()) if known.exists() else {}
    runs = 0
    for name, rows in _histories(folder):
        runs += 1
        begun = written.get(name, 0)
        # A training that began anew has fewer epochs than are there: its curves begin anew, too.
        begun = begun if begun <= len(rows) else 0
        if begun < len(rows):
            writer = EventFileWriter(str(out / folder.name / name))
            for row in rows[begun:]:
                values = [
                    Summary.Value(tag=key, simple_value=number)
                    for key in CURVES
                    if (number := _number(row.get(key))) is not None
                ]
                writer.add_event(Event(step=int(float(row["epoch"])), summary=Summary(value=values)))
            writer.close()
            written[name] = len(rows)
    if runs:
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(json.dumps(written))
    return runs


def _histories(folder: Path) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """(the run's name, its epochs) of what has ended, and of what runs."""
    live = {one["run"]: one["rows"] for one in live_trainings(folder)}
    for file in sorted((folder / "runs").glob("*/*/*/*/seed*/history.csv")):
        name = str(file.parent.relative_to(folder / "runs"))
        if name not in live:
            with file.open(newline="", encoding="utf-8") as lines:
                yield name, list(csv.DictReader(lines))
    yield from live.items()


def _number(value: Any) -> float | None:
    """None of what is empty; NaN and infinities stay, as TensorBoard shows them."""
    return None if value in (None, "") or (isinstance(value, float) and math.isnan(value)) else float(value)
