"""Data sets as arrays and an index on disk: download, read, split, open.

`readers` turn what was downloaded (or what a user brings) into `images.npy` and `index.parquet`; `Images` opens them,
and `phenoviews.data.pool` gives them to a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phenoviews.data.images import Images, write

__all__ = ["Images", "prepare", "write"]


def prepare(dataset: Mapping[str, Any], downloads: Mapping[str, Path], images: Path, index: Path) -> None:
    """As `readers.prepare`."""
    from phenoviews.data import readers  # here: who only opens images need not wait for the readers

    readers.prepare(dataset, downloads, images, index)
