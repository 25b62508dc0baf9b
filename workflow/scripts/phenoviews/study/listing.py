"""What is in the folders that the user brings: names, sizes and times, so that changed data are seen; and how many.

One walk over a folder for each, by the process that plans; no job looks again.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import re
import struct
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from phenoviews.errors import UserError


def listing(paths: Iterable[str]) -> str:
    """A hash of the names, sizes and times (ns) of all files at and below some paths.

    Symbolic links are followed, names that begin with a dot are left out.

    Raises:
        UserError: a path that is not there.
    """
    return hashlib.sha256("".join(_walked(path)[0] for path in paths).encode()).hexdigest()[:20]


@functools.cache
def _walked(path: str) -> tuple[str, Counter[str]]:
    """The hash of one path, and how many files each folder in it has at and below it; "": how many lie in no folder."""
    there(path)
    seen, files = hashlib.sha256(), Counter[str]()
    for name, of in _files(path, "", frozenset()) if os.path.isdir(path) else [("", os.stat(path))]:
        seen.update(f"{name}\0{of.st_size}\0{of.st_mtime_ns}\n".encode(errors="surrogateescape"))
        files[name.rpartition("/")[0].partition("/")[0]] += 1
    return seen.hexdigest(), files


def rows(array: Path) -> int | None:
    """How many rows a `.npy` file has; None where there is none, or none that can be read."""
    try:
        with array.open("rb") as stream:
            return _shape(stream)[0]
    except (OSError, ValueError, SyntaxError, IndexError):
        return None


def training_images(path: str, shares: float) -> int | None:
    """About how many images to train with a folder of class folders has, or an `.npz`; None where neither is there.

    `shares`: the fraction of them that is not held out, where no folder of theirs says what they are for.
    """
    if os.path.isdir(path):
        _, files = _walked(path)
        training = _training(files)
        return sum(files[folder] for folder in training) if training else int(shares * files.total())
    shape = npz_shape(path)
    return int(shares * shape[0]) if shape else None


def npz_shape(path: str) -> tuple[int, ...] | None:
    """The shape of the array `images` of an `.npz`, by its header; None where there is none that can be read."""
    try:
        with zipfile.ZipFile(path) as pack, pack.open("images.npy") as stream:
            return _shape(stream)
    except (OSError, ValueError, SyntaxError, KeyError, zipfile.BadZipFile):
        return None


def classes(path: str) -> int | None:
    """How many class folders a folder has, or its folder of training images; None where it is no folder."""
    if not os.path.isdir(path):
        return None
    folders = _folders(path)
    training = _training(folders)
    return len({name for folder in training for name in _folders(os.path.join(path, folder))} if training else folders)


def _training(folders: Iterable[str]) -> list[str]:
    """Those whose names say that their images are to train with."""
    return [folder for folder in folders if folder.lower().startswith("train")]


def _folders(path: str) -> list[str]:
    with os.scandir(path) as found:
        return [entry.name for entry in found if entry.is_dir() and not entry.name.startswith(".")]


def _shape(stream: IO[bytes]) -> tuple[int, ...]:
    """Of an array, from the header of NumPy's format."""
    head = stream.read(8)
    if head[:6] != b"\x93NUMPY":
        raise ValueError("no NumPy array")
    (size,) = struct.unpack("<H", stream.read(2)) if head[6] == 1 else struct.unpack("<I", stream.read(4))
    return tuple(map(int, ast.literal_eval(stream.read(size).decode("latin1"))["shape"]))


def there(path: str) -> None:
    """Raise a `UserError` that names a path of the user's which is not there."""
    if not Path(path).exists():
        above = next((str(folder) for folder in Path(os.path.abspath(path)).parents if folder.exists()), "/")
        raise UserError(f"{path}: is not there (of its folders there is {above}); correct the path, or mount the disk")


def nameable(path: str) -> None:
    """Raise a `UserError` for a path that Snakemake cannot take for an input: it reads `{name}` as a wildcard."""
    if found := re.search(r"\{\s*\w[^{}]*\}", path):
        raise UserError(f"{path}: '{found[0]}' in a path is a wildcard to Snakemake; rename it, or make a link to it")


def _files(folder: str, name: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, os.stat_result]]:
    """The name of each file, and what the disk says of it. `above`: the folders that lead here, so that a link to one
    of them is not followed."""
    here = os.stat(folder)
    if (here.st_dev, here.st_ino) in above:
        return
    with os.scandir(folder) as found:
        entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir():
            yield from _files(entry.path, f"{name}{entry.name}/", above | {(here.st_dev, here.st_ino)})
        elif entry.is_file():
            yield name + entry.name, entry.stat()
