"""Data sets as arrays and an index on disk: download, read, split, open.

`prepare` turns what was downloaded (or what a user brings) into `images.npy` and `index.parquet`; `Images` opens them,
and `phenoviews.data.pool` gives them to a network.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phenoviews.data.images import Images, write
from phenoviews.errors import UserError

__all__ = ["KINDS", "Images", "prepare", "write"]

# Each is a module of this package with `prepare(dataset, downloads, images, index)`.
KINDS = ("cifar", "digits", "folder", "mnist")


def prepare(dataset: Mapping[str, Any], downloads: Mapping[str, Path], images: Path, index: Path) -> None:
    """Write `images` (N, H, W, C) and `index` of a `datasets` entry; both appear at success, neither at failure.

    `downloads` maps each key of the entry's `files` to the verified file. Raises `UserError` for an unknown `kind`
    and for data that cannot be read.
    """
    kind = dataset.get("kind")
    if kind not in KINDS:
        raise UserError(f"datasets: unknown kind {kind!r}; the kinds are {', '.join(KINDS)}")
    if missing := sorted(set(dataset.get("files", {})) - set(downloads)):
        raise UserError(f"datasets: kind {kind} lacks the download of {', '.join(missing)}; see the key `files`")
    # Only the reader that is asked for: whoever opens prepared data pays for none of them.
    reader = importlib.import_module(f"phenoviews.data.{kind}")
    reader.prepare(dataset, {key: Path(path) for key, path in downloads.items()}, Path(images), Path(index))
