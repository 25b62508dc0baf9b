"""What a run can go on from after it was stopped or killed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Self

import numpy as np
import torch

from phenoviews.data.images import Images
from phenoviews.errors import UserError
from phenoviews.files import atomic
from phenoviews.training.live import LIVE


def data_identity(images: Images) -> dict[str, Any]:
    """Which data a run saw: number and form of the images, and a SHA-256 over the index and 1,000 evenly spaced
    images (all of them would take a minute of reading for the larger sets)."""
    digest = hashlib.sha256()
    for column in ("split", "label"):
        digest.update("\n".join(map(str, images.index[column])).encode())
    n = len(images.array)
    for row in np.unique(np.linspace(0, n - 1, min(n, 1000)).astype(int)):
        digest.update(np.ascontiguousarray(images.array[row]).tobytes())
    return {
        "images": n,
        "shape": [int(s) for s in images.array.shape[1:]],
        "dtype": str(images.array.dtype),
        "sha256": digest.hexdigest(),
    }


def run_hash(decisive: Mapping[str, Any], data: dict[str, Any], weights: Path | None) -> str:
    """A hash of all that decides a training's weights, its settings, data and the weights that it starts from: two
    trainings with the same hash are the same training."""
    given: dict[str, Any] = {**decisive, "data": data}
    if weights is not None:
        with weights.open("rb") as stream:
            given["weights"] = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


def save(path: Path, run_hash: str, state: dict[str, Any]) -> None:
    with atomic(path) as partial:
        torch.save({"run": run_hash, "state": state}, partial)


def load(path: Path, run_hash: str) -> dict[str, Any] | None:
    """The state in the checkpoint at `path`, None where there is none that this run can go on from.

    A damaged file and another run's are reported and left to be overwritten: what they hold is of no use to this run,
    and to stop for them would only ask for their removal by hand.
    """
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:  # torch.load does not look at the checksums
                raise zipfile.BadZipFile("a wrong checksum")
        content = torch.load(path, map_location="cpu", weights_only=True)
        belongs, state = content["run"] == run_hash, content["state"]
    except PermissionError as error:
        raise UserError(f"{path}: this checkpoint may not be read; check its permissions") from error
    except Exception as error:  # torch.load raises a dozen types on bytes that are not its own
        dismissed(path, f"is damaged ({type(error).__name__})")
        return None
    if not belongs:
        dismissed(path, "belongs to other settings or data")
        return None
    return dict(state)


def discard(path: Path) -> None:
    """Remove the checkpoint, what tells how far its training is, and what a kill in the midst of writing either may
    have left beside it."""
    for stale in (path, path.with_suffix(LIVE), *path.parent.glob(f".{path.stem}.*.part.*")):
        stale.unlink(missing_ok=True)


def dismissed(path: Path, reason: str) -> None:
    print(f"phenoviews: the checkpoint {path} {reason}: starting from the beginning", file=sys.stderr, flush=True)


class Termination:
    """Within this context SIGTERM and SIGINT (Ctrl-C) only make `requested` true, so that the loop can finish its step
    and save; after `at_once` they end the process.

    The end of the process that started this one makes it true as well: nobody waits any more for the training of a
    Snakemake that was killed, and the next one starts it again.
    """

    def __enter__(self) -> Self:
        self._signalled, self._at_once, self._parent = False, False, os.getppid()
        self.status = 128 + signal.SIGTERM
        self._before = {number: signal.signal(number, self._request) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def requested(self) -> bool:
        return self._signalled or os.getppid() != self._parent

    def at_once(self) -> None:
        """From here on a signal, also one that has come already, raises SystemExit with `status` (128 + its number, as
        the shell counts) wherever it meets the process, so that what is half written is removed; once, since a second
        one would break off the removal."""
        self._at_once = True
        if self.requested:
            raise SystemExit(self.status)

    def _request(self, number: int, frame: FrameType | None) -> None:
        first, self._signalled = not self._signalled, True
        self.status = 128 + number if first else self.status
        if self._at_once and first:
            raise SystemExit(self.status)
