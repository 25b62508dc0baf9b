"""Data sets as arrays and an index on disk: download, read, split, open.

`prepare` turns what was downloaded (or what a user brings) into `images.npy` and `index.parquet`; `Images` opens them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from phenoviews.data import cifar, digits, folder, mnist
from phenoviews.data.download import fetch
from phenoviews.data.images import Images, take, write
from phenoviews.errors import UserError

__all__ = ["KINDS", "Images", "fetch", "prepare", "take", "write"]

# kind → function (dataset entry, downloads by their key in `files`, images.npy, index.parquet)
KINDS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Path], Path, Path], None]] = {
    "mnist": mnist.prepare,
    "cifar": cifar.prepare,
    "digits": digits.prepare,
    "folder": folder.prepare,
}


def prepare(dataset: Mapping[str, Any], downloads: Mapping[str, Path], images: Path, index: Path) -> None:
    """Write `images` (N, H, W, C) and `index` of a `datasets` entry; both appear at success, neither at failure.

    `downloads` maps each key of the entry's `files` to the verified file. Raises `UserError` for an unknown `kind`
    and for data that cannot be read.
    """
    kind = dataset.get("kind")
    if kind not in KINDS:
        raise UserError(f"datasets: unknown kind {kind!r}; the kinds are {', '.join(sorted(KINDS))}")
    if missing := sorted(set(dataset.get("files", {})) - set(downloads)):
        raise UserError(f"datasets: kind {kind} lacks the download of {', '.join(missing)}; see the key `files`")
    KINDS[kind](dataset, {key: Path(path) for key, path in downloads.items()}, Path(images), Path(index))
