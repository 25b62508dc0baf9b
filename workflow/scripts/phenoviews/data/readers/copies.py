"""Images that are there more than once: what is tested on a copy of what was learned is no test."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd


def content(image: np.ndarray) -> bytes:
    """What is the same of images whose pixels are all the same, and of no others."""
    return hashlib.blake2b(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes(), digest_size=16).digest()


def say(path: Path, contents: Sequence[bytes], table: pd.DataFrame) -> None:
    """A line on stderr where held-out images are copies of those to train with, and where copies are in two classes.

    `contents`: of every image, in the order of the index `table`.
    """
    table = table.assign(content=list(contents))
    train = table[table["split"] == "train"].drop_duplicates("content")
    held_out = table[table["split"] != "train"].merge(train, on="content", suffixes=("", "_trained"))
    if len(held_out):
        _print(
            path,
            f"{len(held_out)} held-out images are copies of images to train with, so scores come out too high",
            [f"{own} of {other}" for own, other in zip(held_out["source"], held_out["source_trained"], strict=True)],
        )
    two = table[table.groupby("content")["class"].transform("nunique") > 1]
    if len(two):
        _print(path, f"{len(two)} images have copies in another class", list(two["source"]))


def _print(path: Path, what: str, named: list[str], few: int = 3) -> None:
    more = ", …" if len(named) > few else ""
    print(f"phenoviews: {path}: {what} ({', '.join(named[:few])}{more}); remove them if that is not meant",
          file=sys.stderr)  # fmt: skip
