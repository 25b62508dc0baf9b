"""A prepared data set on disk: `images.npy` (memory-mapped) and `index.parquet` (one row per image)."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from phenoviews.errors import UserError
from phenoviews.files import atomic

SPLITS = ("train", "val", "test")
COLUMNS = ("split", "label", "class", "source")
BRIGHTEST = 99.5  # percentile of the pixels of 16-bit images that is white, by channel
SUPERCLASS = "superclass"  # a column of those data sets alone whose classes belong to larger ones
CHUNK = 4096  # images copied at a time: bounds the host memory that a copy takes


@dataclasses.dataclass(frozen=True)
class Images:
    """`array` (N, H, W, C) uint8 or uint16, memory-mapped; `index`, one row per image in the same order, with the
    columns `split`, `label`, `class`, `source`, for some `superclass`, and any `Metadata_*`; `classes`, the names in
    label order."""

    folder: Path
    array: np.memmap
    index: pd.DataFrame
    classes: list[str]

    @classmethod
    def open(cls, folder: str | Path) -> Images:
        """Open `folder/images.npy` and `folder/index.parquet`; `UserError` where they are broken or disagree."""
        folder = Path(folder)
        images, index = folder / "images.npy", folder / "index.parquet"
        try:
            array = np.load(images, mmap_mode="r", allow_pickle=False)
            if not array.flags.c_contiguous:
                raise ValueError("its images do not lie one after the other")
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{images}: cannot be opened ({error}); delete it and prepare the data again") from error
        try:
            table = pd.read_parquet(index)
        except (OSError, ValueError) as error:  # pyarrow's errors derive from both
            raise UserError(f"{index}: cannot be opened ({error}); delete it and prepare the data again") from error
        try:
            classes = _checked(array, table)
        except ValueError as error:
            raise UserError(f"{folder}: {error}; delete the folder and prepare the data again") from error
        return cls(folder, array, table, classes)

    def rows(self, split: str) -> np.ndarray:
        """Row numbers (int64, ascending) of `split`, or of every image for "all"; `UserError` naming the splits that
        there are."""
        if split == "all":
            return np.arange(len(self.index), dtype=np.int64)
        rows = np.flatnonzero(self.index["split"].to_numpy() == split).astype(np.int64)
        if not len(rows):
            there = ", ".join(s for s in SPLITS if (self.index["split"] == s).any())
            raise UserError(f"{self.folder}: has no split {split!r}; it has {there}")
        return rows

    @property
    def superclasses(self) -> list[str] | None:
        """The superclass of each class, in label order; None where the data set has none."""
        if SUPERCLASS not in self.index:
            return None
        return self.index.drop_duplicates("label").sort_values("label")[SUPERCLASS].tolist()

    def labels(self, split: str) -> np.ndarray:
        """Labels (int64) of `split`, in the order of `rows(split)`."""
        labels: np.ndarray = self.index["label"].to_numpy(np.int64)[self.rows(split)]
        return labels


def white(images: Images, split: str) -> list[float]:
    """Which share of the highest value that its type has is white, for each channel of the images of a split.

    1 of 8 bits. A camera fills a small part of 16 bits: there it is the 99.5th percentile of all pixels, as where
    images are drawn. Of a channel that is black it is the least step above.
    """
    channels = images.array.shape[3]
    if images.array.dtype != np.uint16:
        return [1.0] * channels
    top = np.iinfo(np.uint16).max
    counts, rows = np.zeros((channels, top + 1), dtype=np.int64), images.rows(split)
    for start in range(0, len(rows), 256):
        some = images.array[rows[start : start + 256]]
        for channel in range(channels):
            counts[channel] += np.bincount(some[..., channel].ravel(), minlength=top + 1)
    wanted = np.ceil(counts.sum(axis=1) * BRIGHTEST / 100)
    return [max(int(np.searchsorted(of.cumsum(), least)), 1) / top for of, least in zip(counts, wanted, strict=True)]


def write(images_path: Path, index_path: Path, images: np.ndarray, index: pd.DataFrame) -> None:
    """Write `images` (N, H, W, C) uint8 or uint16 and its `index`; both files appear, or neither."""
    chunks = (images[start : start + CHUNK] for start in range(0, len(images), CHUNK))
    write_chunks(images_path, index_path, chunks, images.shape, images.dtype, index)


def write_chunks(
    images_path: Path,
    index_path: Path,
    chunks: Iterable[np.ndarray],
    shape: tuple[int, ...],
    dtype: np.dtype,
    index: pd.DataFrame,
) -> None:
    """As `write`, for an array that comes in consecutive pieces along its first axis and need not fit in memory."""
    dtype = np.dtype(dtype).newbyteorder("=")
    check(images_path, shape, dtype, index)
    with atomic(images_path) as images, atomic(index_path) as table:
        write_array(images, chunks, shape, dtype)
        index.to_parquet(table, index=False)


def check(images_path: Path, shape: tuple[int, ...], dtype: np.dtype, index: pd.DataFrame) -> None:
    """Raise UserError where an array of `shape`, to be written to `images_path`, and `index` are not a data set."""
    try:
        _checked(np.broadcast_to(np.zeros((), dtype), shape), index)
    except ValueError as error:
        raise UserError(f"{images_path}: cannot be made: {error}") from error


def header(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    """How a .npy file of an array of this shape begins. As many bytes for any length of the first axis: numpy leaves
    room for it to grow."""
    stream = io.BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(stream, described)
    return stream.getvalue()


def write_array(path: Path, chunks: Iterable[np.ndarray], shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Write a .npy file from consecutive pieces along the first axis; ValueError where they are not of that shape."""
    # Plain writes, neither a memory map, on which a full disk is a SIGBUS, nor numpy's tofile, whose error for a full
    # disk has no errno.
    with path.open("wb") as stream:
        stream.write(header(shape, dtype))
        written = 0
        for chunk in chunks:
            if chunk.shape[1:] != tuple(shape[1:]):
                raise ValueError(f"a chunk of shape {chunk.shape} in an array of shape {shape}")
            stream.write(np.ascontiguousarray(chunk, dtype=dtype).data)
            written += len(chunk)
        if written != shape[0]:
            raise ValueError(f"{written} rows in an array of shape {shape}")


def _checked(array: np.ndarray, index: pd.DataFrame) -> list[str]:
    """The class names in the order of the labels; ValueError where array and index are not a data set."""
    if array.ndim != 4 or array.dtype not in (np.uint8, np.uint16) or 0 in array.shape:
        raise ValueError(f"images must be (N, H, W, C) uint8 or uint16, not {array.shape} {array.dtype}")
    if missing := [column for column in COLUMNS if column not in index]:
        raise ValueError(f"the index lacks the column {missing[0]!r}")
    if len(array) != len(index):
        raise ValueError(f"{len(array)} images but {len(index)} rows in the index")
    if unknown := sorted(set(index["split"]) - set(SPLITS)):
        raise ValueError(f"the index has the split {unknown[0]!r}; the splits are {', '.join(SPLITS)}")
    names = index[["label", "class"]].drop_duplicates().sort_values("label")
    if list(names["label"]) != list(range(len(names))) or names["class"].duplicated().any():
        raise ValueError("the labels must be 0, 1, …, each with one class name of its own")
    if SUPERCLASS in index:
        groups = index[["class", SUPERCLASS]].drop_duplicates()
        if not groups[SUPERCLASS].map(lambda name: isinstance(name, str) and name != "").all():
            raise ValueError("a superclass is a name, and every image has one or none does")
        if (twice := groups["class"].duplicated()).any():
            raise ValueError(f"the class {groups['class'][twice].iloc[0]!r} is in two superclasses")
    return [str(name) for name in names["class"]]
