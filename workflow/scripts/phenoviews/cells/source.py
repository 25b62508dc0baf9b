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

from phenoviews.cells.stacks import PROJECTIONS, channel, unpacked
from phenoviews.data import pixels
from phenoviews.errors import UserError
from phenoviews.files import BROKEN_ZIP

LARGEST = 1 << 29  # bytes of one image file: what a small archive may unpack to at most

PLANES = "\n"  # between the files of an image's planes
WHOLE = 0  # all parts of a member's path, where 2 are its last folder and file name, 1 the file name


class Source:
    """The images of one plate (or of a whole screen in a folder). A context manager."""

    def __init__(self, path: Path, project: str | None):
        self.path = path
        self.project = project
        self._unpacked: tuple[str, tuple[np.ndarray, str]] = "", (np.zeros(0), "")

    @staticmethod
    def open(path: str | Path, project: str | None = None) -> Source:
        """Open a zip archive or a folder. `project`: how the planes of an image become one, if there are several.

        An archive is refused whole when a member lies outside its folder (absolute, with `..`, a drive or a link).
        """
        path = Path(path)
        if path.is_dir():
            return _Folder(path, project)
        if path.is_file():
            return _Archive(path, project)
        raise UserError(f"{path}: no such archive or folder of images; check the screen's `path` or `archive`")

    def read(self, name: str, index: int | None = None) -> np.ndarray:
        """One image as (H, W) uint8 or uint16, its values as stored.

        `name` is as in the screen's table, of several planes with PLANES between their files; `index` is the channel's
        place in a file that holds several. In an archive a file may lie in another folder: the member with the same
        plate folder and file name is taken, else the one with the same file name. `UserError` naming archive and
        member where there is none or are several, for one that is broken, and for several channels or planes that are
        not asked for.
        """
        files = name.split(PLANES)
        planes = [self._image(file, index) for file in files]
        if len({plane.shape for plane in planes}) > 1:
            raise UserError(f"{self.path}: the planes {files[0]} and others differ in size; remove them")
        return planes[0] if len(planes) == 1 else PROJECTIONS[self.project or "max"](np.stack(planes))

    def _image(self, name: str, index: int | None) -> np.ndarray:
        where = f"{self.path}: {name}"
        if name.lower().endswith((".tif", ".tiff")) and (index is not None or self.project):
            if name != self._unpacked[0]:  # one file may have all channels of a field
                self._unpacked = name, pixels.caught(lambda: unpacked(self._bytes(name)), where)
            return pixels.caught(lambda: channel(*self._unpacked[1], index, self.project), where)
        image = pixels.decode(lambda: self._bytes(name), name, where)
        if index is not None and index < image.shape[2]:
            return image[..., index]
        if image.shape[2] != 1 or index is not None:
            raise UserError(
                f"{where} has {image.shape[2]} channels; a screen has one grey image file for each channel, or "
                "`channels` that are their places in a file, from 0 on"
            )
        return image[..., 0]

    def fields(self, table: pd.DataFrame, channels: Sequence[str]) -> Iterator[tuple[pd.Series, np.ndarray]]:
        """The rows of a screen's table and their images (C, H, W), channels in the given order, one at a time.

        `UserError` naming the file where an image is missing or broken or its size or depth is another than that of
        the first image.
        """
        for row, image in self._each(table, channels):
            if isinstance(image, UserError):
                raise image
            yield row, image

    def readable(
        self, table: pd.DataFrame, channels: Sequence[str], allowed: float
    ) -> Iterator[tuple[pd.Series, np.ndarray | str]]:
        """As `fields`, with the reason in the place of a field that cannot be read. `UserError` as soon as these are
        more than the share `allowed` of all."""
        reasons: list[str] = []
        for row, image in self._each(table, channels):
            if isinstance(image, UserError):
                reasons.append(str(image))
                if len(reasons) > allowed * len(table):
                    raise UserError(
                        f"{reasons[-1]}. It is number {len(reasons)} of {len(table)} fields that cannot be read, more "
                        f"than the share {allowed:g} that the screen's `unreadable_fraction` allows; repair them, or "
                        "raise it"
                        if allowed
                        else reasons[0]
                    )
                yield row, str(image)
            else:
                yield row, image

    def _each(self, table: pd.DataFrame, channels: Sequence[str]) -> Iterator[tuple[pd.Series, np.ndarray | UserError]]:
        first = None
        for _, row in table.iterrows():
            try:
                images = [self._named(row, channel) for channel in channels]
            except UserError as error:
                yield row, error
                continue
            first = first or (row[f"Image_{channels[0]}"], images[0].shape, images[0].dtype)
            other = next((n for n, image in enumerate(images) if (image.shape, image.dtype) != first[1:]), None)
            if other is None:
                yield row, np.stack(images)
                continue
            yield (
                row,
                UserError(
                    f"{self.path}: {row[f'Image_{channels[other]}']} has "
                    f"{_kind(images[other].shape, images[other].dtype)} where {first[0]} has {_kind(*first[1:])}; all "
                    "images of a plate need one size and depth"
                ),
            )

    def _named(self, row: pd.Series, channel: str) -> np.ndarray:
        if not (name := row[f"Image_{channel}"]):
            raise UserError(
                f"{self.path}: the field {row['Metadata_Field']} has no image of the channel {channel}; "
                "add it or take the field's other images away"
            )
        index = row.get(f"Index_{channel}")
        return self.read(name, None if index is None else int(index))

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
    def __init__(self, path: Path, project: str | None):
        super().__init__(path, project)
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
