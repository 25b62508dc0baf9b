"""Paths of images in a table that was written on another machine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

import pandas as pd

from phenoviews.errors import UserError

WINDOWS = re.compile(r"[A-Za-z]:[/\\]|\\\\|//")  # how an absolute path begins there: a drive, or a server


def moved(table: Path, images: Mapping[str, pd.Series], replace: Mapping[str, str]) -> Iterator[pd.Series]:
    """The images of each channel, from the table's folder on: with the beginnings of their paths that `replace` names
    replaced, and backslashes turned.

    Args:
        table: the file that names the images, for messages and as what relative paths start from.
        images: {channel: paths as the table has them, "" for none}.
        replace: {beginning: the folder here}; relative to the folder that one works in, as the screen's `path` is.

    Raises:
        UserError: addresses and paths of another machine that `replace` does not reach, or a beginning that none has.
    """
    used: set[str] = set()
    # The longest first, so that a folder within another may have a place of its own.
    beginnings = sorted(replace, key=len, reverse=True)

    def one(text: str) -> str:
        path = slashed(text)
        for beginning in beginnings:
            if (rest := after(path, slashed(beginning))) is not None:
                used.add(beginning)
                there = Path(replace[beginning]).expanduser()
                start = str(there) if there.is_absolute() else os.path.relpath(there, table.parent)
                return os.path.join(start, rest)
        return path

    found = {channel: paths.map({text: one(text) for text in paths.unique()}) for channel, paths in images.items()}
    if unused := [beginning for beginning in replace if beginning not in used]:
        first = next((text for paths in images.values() for text in paths if text), "")
        raise UserError(f"{table}: replace: no image's path begins with {unused[0]!r}; the first is {first}")
    for channel, paths in found.items():
        if foreign := next((path for path in paths if "://" in path), None):
            address = foreign.rsplit("/", 1)[0]
            raise UserError(
                f"{table}: the images of {channel} are addresses, such as {foreign}; download them and say where they "
                f"are by the screen's `replace: {{'{address}': ../images}}`"
            )
        if foreign := next((path for path in paths if WINDOWS.match(path)), None):
            raise UserError(
                f"{table}: {foreign} is a path of another machine; say where its images are here by the screen's "
                f"`replace: {{'{foreign.rsplit('/', 1)[0]}': ../images}}`"
            )
        first = next((path for path in paths if path), "")
        if os.path.isabs(first) and not os.path.exists(first):
            raise UserError(
                f"{table}: there is no {first}; if its images were moved, say where they are by the screen's "
                f"`replace: {{'{os.path.dirname(first)}': ../images}}`"
            )
    return iter(found.values())


def slashed(text: str) -> str:
    """A path with forward slashes, and without the scheme of a local address (file:///…)."""
    if match := re.match(r"file:(?://(?:localhost)?)?(?=/)", text):
        text = unquote(text[match.end() :])
        text = text[1:] if re.match(r"/[A-Za-z]:/", text) else text
    return text if "/" in text and "\\" not in text else text.replace("\\", "/")


def after(path: str, beginning: str) -> str | None:
    """What of `path` comes after a beginning that ends where a folder's name does; None where it has another. Paths
    of Windows are compared without case."""
    beginning = beginning.rstrip("/")
    same = str.casefold if WINDOWS.match(beginning + "/") else str
    head, rest = path[: len(beginning)], path[len(beginning) :]
    return rest.lstrip("/") if same(head) == same(beginning) and rest[:1] in ("", "/") else None
