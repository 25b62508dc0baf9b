"""Embeddings on disk: an array, or where there is no encoder the reason why."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from phenoviews.data.images import write_array
from phenoviews.errors import NotMeasured, UserError
from phenoviews.files import atomic


class NotFinite(ValueError):
    """Embeddings among which are numbers that are not finite, of which nothing can be measured."""


def save(path: str | Path, embeddings: np.ndarray | str) -> None:
    """Write embeddings (n, d) float32, or the reason (one line) why there are none, as a .npy file."""
    with atomic(path) as partial:
        np.save(partial, np.asarray(embeddings), allow_pickle=False)


def save_chunks(path: str | Path, chunks: Iterable[np.ndarray], count: int) -> None:
    """As `save`, for the embeddings of `count` images that come in consecutive pieces (n, d), d alike in all, and
    need not fit in memory. Raises `NotFinite`, and leaves no file."""
    chunks = map(_finite, chunks)
    first = next(chunks)
    with atomic(path) as partial:
        shape = (count, first.shape[1])
        write_array(partial, itertools.chain([first], chunks), shape, np.dtype(np.float32))


def _finite(chunk: np.ndarray) -> np.ndarray:
    if not np.isfinite(chunk).all():
        raise NotFinite("an embedding is not a number")
    return chunk


def load(path: str | Path) -> np.ndarray:
    """Embeddings (n, d). Raises `NotMeasured` with the reason where there are none."""
    try:
        found: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{path}: not readable embeddings ({error}); delete the file to have them made again"
        ) from error
    if found.dtype.kind == "U":
        raise NotMeasured(str(found))
    return found
