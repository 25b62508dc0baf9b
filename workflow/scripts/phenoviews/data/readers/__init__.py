"""Readers: from what was downloaded, or what a user brings, to `images.npy` and `index.parquet`.

A reader joins by a module of its own and a line in `READERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from phenoviews.data.readers import cifar, digits, folder, imagenet, mnist, photographs, planted
from phenoviews.errors import UserError

Reader = Callable[[Mapping[str, Any], Mapping[str, Path], Path, Path], None]

READERS: dict[str, Reader] = {
    "cifar": cifar.prepare,
    "digits": digits.prepare,
    "folder": folder.prepare,
    "imagenet": imagenet.prepare,
    "mnist": mnist.prepare,
    "photographs": photographs.prepare,
    "planted": planted.prepare,
}


def prepare(dataset: Mapping[str, Any], downloads: Mapping[str, Path], images: Path, index: Path) -> None:
    """Write `images` (N, H, W, C) and `index` of a `datasets` entry; both appear at success, neither at failure.

    `downloads` maps each key of the entry's `files` to the verified file. Raises `UserError` for an unknown `kind`
    and for data that cannot be read.
    """
    kind = dataset.get("kind")
    if kind not in READERS:
        raise UserError(f"datasets: unknown kind {kind!r}; the kinds are {', '.join(READERS)}")
    if missing := sorted(set(dataset.get("files", {})) - set(downloads)):
        raise UserError(f"datasets: kind {kind} lacks the download of {', '.join(missing)}; see the key `files`")
    READERS[kind](dataset, {key: Path(path) for key, path in downloads.items()}, Path(images), Path(index))
