"""Images that cannot be read, and are left out where they are few: how they are named, refused and written down."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from phenoviews.errors import UserError
from phenoviews.files import atomic

FILE = "left_out.csv"  # beside the images
NAMED = 20  # images that a message names

LeftOut = list[tuple[str, str]]  # source and reason


def tolerate(path: Path, left_out: LeftOut, allowed: float, total: int, of: str) -> None:
    """Refuse more unreadable images than the share `allowed` of all; `of`: how many of what, in words."""
    if len(left_out) > allowed * total:
        raise UserError(
            f"{path}: {of} cannot be read, more than the share of {allowed:g} that the key "
            f"`unreadable_fraction` of the data set allows: {_named(left_out)}; repair, convert or remove them, or "
            "raise it"
        )


def write(path: Path, left_out: LeftOut, images: Path) -> None:
    """Write `left_out.csv` beside `images`, empty where there are none, and say on stderr which they are."""
    with atomic(images.with_name(FILE)) as file:
        pd.DataFrame(left_out, columns=["source", "reason"]).to_csv(file, index=False)
    if left_out:
        print(f"phenoviews: {path}: {len(left_out)} images cannot be read and are left out: {_named(left_out)}",
              file=sys.stderr)  # fmt: skip


def _named(left_out: LeftOut) -> str:
    named = ", ".join(f"{source} ({reason})" for source, reason in left_out[:NAMED])
    return named + (f" and {len(left_out) - NAMED} others" if len(left_out) > NAMED else "")
