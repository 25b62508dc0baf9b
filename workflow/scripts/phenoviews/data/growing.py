"""An array that takes long to make: what is done outlives the process, and however often it was killed, the array is
the same bit for bit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phenoviews.data.images import header
from phenoviews.files import write_text

# What a step makes: rows (n, …) of the array, n ≥ 0, and what is to be said of them, as JSON can say it.
Made = tuple[np.ndarray, Any]


def grow(
    part: Path, most: tuple[int, ...], dtype: np.dtype, keys: Sequence[str], make: Callable[[int], Made]
) -> Iterator[Any]:
    """Append to `part` the rows that `make` gives for each step, and yield what it says of them, step by step.

    Steps that an earlier process has done are not made again, but yielded as it left them: the first ones, for as long
    as their keys are the same. So a key has to tell all that decides what its step makes.

    Args:
        part: the file; `{part}.jsonl` is the journal beside it. Both stay until `finish`.
        most: the shape of the array if it gets all the rows that it may get; only their number may turn out smaller.
        keys: one for each step.
        make: a step's number → its rows, and what is to be said of them.
    """
    start, size = len(header(most, dtype)), np.dtype(dtype).itemsize * int(np.prod(most[1:]))
    done = _done(_journal(part), keys)
    part.parent.mkdir(parents=True, exist_ok=True)
    part.touch()
    ends = start + size * np.cumsum([0] + [step["rows"] for step in done])
    if part.stat().st_size < ends[-1]:
        done, ends = [], ends[:1]
    # First the journal, so that it never tells of more rows than there are.
    write_text(_journal(part), "".join(json.dumps(step) + "\n" for step in done))
    with part.open("r+b") as rows, _journal(part).open("a") as journal:
        rows.truncate(ends[-1])
        rows.seek(0, os.SEEK_END)
        yield from (step["said"] for step in done)
        for number in range(len(done), len(keys)):
            made, said = make(number)
            if made.shape[1:] != most[1:]:
                raise ValueError(f"rows of shape {made.shape} for an array of shape {most}")
            rows.write(np.ascontiguousarray(made, dtype=dtype).data)
            _keep(rows)
            journal.write(json.dumps({"key": keys[number], "rows": len(made), "said": said}) + "\n")
            _keep(journal)
            yield said


def finish(part: Path, shape: tuple[int, ...], dtype: np.dtype, out: Path) -> None:
    """Make `part`, with all its steps done, the .npy file `out` of an array of `shape`; ValueError where that is not
    its shape."""
    if part.stat().st_size != len(header(shape, dtype)) + np.dtype(dtype).itemsize * int(np.prod(shape)):
        raise ValueError(f"{part}: {part.stat().st_size} bytes for an array of shape {shape}")
    with part.open("r+b") as file:
        file.write(header(shape, dtype))
    os.replace(part, out)
    _journal(part).unlink()


def _journal(part: Path) -> Path:
    return part.with_name(f"{part.name}.jsonl")


def _done(journal: Path, keys: Sequence[str]) -> list[dict[str, Any]]:
    """What the journal tells of the first steps, up to one of another key, or to a line that was not written to its
    end."""
    done: list[dict[str, Any]] = []
    lines = journal.read_text().splitlines() if journal.exists() else []
    for key, line in zip(keys, lines, strict=False):
        try:
            step = json.loads(line)
        except json.JSONDecodeError:
            break
        if step["key"] != key:
            break
        done.append(step)
    return done


def _keep(file: Any) -> None:
    """On the disk, also if the machine stops."""
    file.flush()
    os.fsync(file.fileno())
