"""Where the images of a plate are: a zip archive, read in place and never extracted, or a folder."""

from __future__ import annotations

import re
import stat
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from phenoviews.data import pixels
from phenoviews.errors import UserError
from phenoviews.files import BROKEN_ZIP

LARGEST = 1 << 29  # bytes of one image file: what a small archive may unpack to at most

WHOLE = 0  # all parts of a member's path, where 2 are its last folder and file name, 1 the file name


class Source:
    """The images of one plate (or of a whole screen in a folder). A context manager."""

    def __init__(self, path: Path):
        self.path = path

    @staticmethod
    def open(path: str | Path) -> Source:
        """Open a zip archive or a folder.

        An archive is refused whole when a member lies outside its folder (absolute, with `..`, a drive or a link).
        """
        path = Path(path)
        if path.is_dir():
            return _Folder(path)
        if path.is_file():
            return _Archive(path)
        raise UserError(f"{path}: no such archive or folder of images; check the screen's `path` or `archive`")

    def read(self, name: str) -> np.ndarray:
        """One image file as (H, W) uint8 or uint16, its values as stored.

        `name` is as in the screen's table. In an archive it may lie in another folder: the member with the same plate
        folder and file name is taken, else the one with the same file name. `UserError` naming archive and member
        where there is none or are several, and for one that is broken or has several channels.
        """
        image = pixels.decode(lambda: self._bytes(name), name, f"{self.path}: {name}")
        if image.shape[2] != 1:
            raise UserError(
                f"{self.path}: {name} has {image.shape[2]} channels; a screen has one grey image file for each channel"
            )
        return image[..., 0]

    def fields(self, table: pd.DataFrame, channels: Sequence[str]) -> Iterator[tuple[pd.Series, np.ndarray]]:
        """The rows of a screen's table and their images (C, H, W), channels in the given order, one at a time.

        `UserError` naming the file where an image is missing or broken or its size or depth is another than that of
        the first image.
        """
        first = None
        for _, row in table.iterrows():
            images = []
            for channel in channels:
                if not (name := row[f"Image_{channel}"]):
                    raise UserError(
                        f"{self.path}: the field {row['Metadata_Field']} has no image of the channel {channel}; "
                        "add it or take the field's other images away"
                    )
                image = self.read(name)
                first = first or (name, image.shape, image.dtype)
                if (image.shape, image.dtype) != first[1:]:
                    raise UserError(
                        f"{self.path}: {name} has {_kind(image.shape, image.dtype)} where {first[0]} has "
                        f"{_kind(*first[1:])}; all images of a plate need one size and depth"
                    )
                images.append(image)
            yield row, np.stack(images)

    def close(self) -> None:
        pass

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _bytes(self, name: str) -> bytes:
        """The file's bytes; `UserError` for a missing one."""
        raise NotImplementedError


class _Folder(Source):
    def _bytes(self, name: str) -> bytes:
        path = self.path / name  # an absolute name, as LoadData files have, stays as it is
        if not path.is_file():
            raise UserError(f"{path}: no such image; add it or take its field out of the screen")
        return path.read_bytes()


class _Archive(Source):
    def __init__(self, path: Path):
        super().__init__(path)
        try:
            self.archive = zipfile.ZipFile(path)
        except BROKEN_ZIP as error:
            raise UserError(f"{path}: not a whole zip archive ({error}); delete it to download it anew") from error
        try:
            for info in self.archive.infolist():
                _refuse_outside(path, info)
        except UserError:
            self.close()
            raise
        self.members: dict[tuple[int, str], list[zipfile.ZipInfo]] = defaultdict(list)
        for info in self.archive.infolist():
            for depth in (WHOLE, 2, 1):
                self.members[depth, _end(info.filename, depth)].append(info)

    def close(self) -> None:
        self.archive.close()

    def _bytes(self, name: str) -> bytes:
        found = next(
            (self.members[key] for depth in (WHOLE, 2, 1) if (key := (depth, _end(name, depth))) in self.members), []
        )
        if not found:
            raise UserError(f"{self.path}: has no image {name}; delete the archive to download it anew")
        if len(found) > 1:
            raise UserError(
                f"{self.path}: {name} could be any of {', '.join(info.filename for info in found[:3])}; "
                "an image file's name must be unique in its plate's folder"
            )
        if found[0].file_size > LARGEST:
            raise ValueError(f"it would unpack to {found[0].file_size} bytes, more than an image has")
        return self.archive.read(found[0])


def _refuse_outside(path: Path, info: zipfile.ZipInfo) -> None:
    name = info.orig_filename
    link = stat.S_ISLNK(info.external_attr >> 16)
    if link or name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or re.match(r"[A-Za-z]:", name):
        what = "is a link" if link else "lies outside its folder"
        raise UserError(f"{path}: the member {name!r} {what}; the archive is refused, get it from another place")


def _end(name: str, parts: int) -> str:
    return "/".join(PurePosixPath(name.replace("\\", "/")).parts[-parts:])  # some archives are packed with backslashes


def _kind(shape: tuple[int, ...], dtype: np.dtype) -> str:
    return f"{shape[1]}x{shape[0]} pixels of {8 * dtype.itemsize} bits"
