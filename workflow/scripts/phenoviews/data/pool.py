"""The images of a split where a network takes them from: all of them on the device, or row by row from the disk."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from phenoviews.data.images import CHUNK, Images
from phenoviews.errors import UserError

# A larger split is not held in host memory: two of this size (the training images, and those that are evaluated) still
# leave room for the system and torch on a machine with 16 GB.
HOST = 4 * 2**30
GPU = 0.5  # nor on a GPU where it takes more of the free memory than this: networks and views need the rest
READERS = 8  # reads under way at a time: a single reader waits out the latency of every row, long on a network disk
SAMPLE = 10_000  # images that tell mean and standard deviation
SAMPLE_BATCH = 256

DTYPES = {"uint8": torch.uint8, "uint16": torch.uint16}


class Resident:
    """All images (n, C, H, W), uint8 or uint16, as a tensor on the device."""

    def __init__(self, images: Tensor):
        self.images, self.device = images, images.device

    @classmethod
    def load(cls, images: Images, split: str, device: torch.device | str) -> Resident:
        """The images of `split` ("all": of every split), in the order of `Images.rows`."""
        streamed = Streamed(images, split, device)
        height, width, channels = streamed.shape
        out = torch.empty((len(streamed), channels, height, width), dtype=streamed.dtype, device=device)
        for place, batch in zip(out.split(CHUNK), streamed.batches(CHUNK), strict=True):
            place.copy_(batch)
        return cls(out)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: Tensor, following: Tensor | None = None) -> Tensor:
        """The images of `rows`, int64 on the CPU or the device: (len(rows), C, H, W) on the device. `following` is for
        `Streamed`."""
        return as_int16(self.images)[rows.to(self.device, non_blocking=True)].view(self.images.dtype)

    def batches(self, size: int) -> Iterator[Tensor]:
        """All images in their order, `size` at a time."""
        yield from self.images.split(size)


class Streamed:
    """As `Resident`, read from `images.npy` when asked for; the images count neither as host nor as device memory.

    Reads at offsets, not the memory map: a map's pages count as resident once touched, until they are all there.
    """

    def __init__(self, images: Images, split: str, device: torch.device | str):
        self.device = torch.device(device)
        self.dtype, self.shape = DTYPES[images.array.dtype.name], images.array.shape[1:]
        self.rows = images.rows(split)
        self.path, self.start = images.folder / "images.npy", images.array.offset
        self.file = self.path.open("rb", buffering=0)
        self.readers = ThreadPoolExecutor(READERS, thread_name_prefix="images")  # ends with the object or the process
        self.ahead: _Reading | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Tensor, following: Tensor | None = None) -> Tensor:
        """The images of `rows`, int64 on the CPU: (len(rows), C, H, W) on the device.

        `following`: the rows of the next call, which are read meanwhile. On a GPU this waits for the disk, never for
        the device. Raises UserError where the file cannot be read.
        """
        reading = self.ahead
        if reading is None or not torch.equal(reading.rows, rows):
            reading = self._read(rows)
        self.ahead = None if following is None else self._read(following)
        # From pinned memory the copy goes on while this returns. The memory is a new tensor for every reading: torch
        # gives it to nobody else before the copy has ended.
        pixels = as_int16(reading.result().to(self.device, non_blocking=True))
        return pixels.permute(0, 3, 1, 2).contiguous().view(self.dtype)

    def batches(self, size: int) -> Iterator[Tensor]:
        """All images in their order, `size` at a time, each batch read while the one before it is used."""
        yield from self.in_turn(torch.arange(len(self)).split(size))

    def in_turn(self, parts: Sequence[Tensor]) -> Iterator[Tensor]:
        """The images of each of `parts`."""
        for rows, following in zip(parts, [*parts[1:], None], strict=True):
            yield self.take(rows, following)

    def _read(self, rows: Tensor) -> _Reading:
        pixels = torch.empty((len(rows), *self.shape), dtype=self.dtype, pin_memory=self.device.type == "cuda")
        parts = np.array_split(pixels.numpy(), READERS), np.array_split(self.rows[rows.numpy()], READERS)
        futures = [self.readers.submit(self._fill, *part) for part in zip(*parts, strict=True) if len(part[0])]
        return _Reading(rows, pixels, futures)

    def _fill(self, pixels: np.ndarray, rows: np.ndarray) -> None:
        """Read the images (n, H, W, C) at `rows` of the file, those that follow each other in one go."""
        ends = np.flatnonzero(np.diff(rows) != 1) + 1
        for part, first in zip(np.split(pixels, ends), rows[[0, *ends]].tolist(), strict=True):
            rest, offset = part.data.cast("B"), self.start + first * part[0].nbytes
            while rest:
                try:
                    count = os.preadv(self.file.fileno(), [rest], offset)
                except OSError as error:
                    raise UserError(f"{self.path}: cannot be read ({error}); is the disk still there?") from error
                if count == 0:
                    raise UserError(f"{self.path}: has become shorter; delete it and prepare the data again")
                rest, offset = rest[count:], offset + count


class _Reading:
    """`pixels` (n, H, W, C) of `rows`, whole when `futures` are done."""

    def __init__(self, rows: Tensor, pixels: Tensor, futures: list[Future[None]]):
        self.rows, self.pixels, self.futures = rows, pixels, futures

    def result(self) -> Tensor:
        for future in self.futures:
            future.result()
        return self.pixels


Pool = Resident | Streamed


def pool(images: Images, split: str, device: torch.device | str) -> Pool:
    """The images of `split` ("all": of every split), on the device where they fit, else streamed from the disk."""
    device = torch.device(device)
    room = GPU * torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else HOST
    needed = len(images.rows(split)) * math.prod(images.array.shape[1:]) * images.array.itemsize
    return Streamed(images, split, device) if needed > room else Resident.load(images, split, device)


def as_int16(images: Tensor) -> Tensor:
    """`images`, uint16 as int16: a reinterpretation that copies nothing and is exact.

    torch.uint16 is a type with few kernels: indexing it is missing on CUDA in part of the versions that we support.
    """
    return images.view(torch.int16) if images.dtype == torch.uint16 else images


def with_statistics(images: Images, dataset: Mapping[str, Any]) -> dict[str, Any]:
    """`dataset`, its `mean` and `std` as numbers: where they are "own", those of the training images (where there are
    none, of all), per channel of values in [0, 1]; a grey image's once for each of the `channels` (3) that it is shown
    as.

    Of more than 10,000 training images a sample of 10,000 counts, the same always: the standard error of a mean is a
    hundredth of the standard deviation between the images' own means, so 0.005 at most. The sums are exact, and the
    numbers the same bit for bit in every process.

    Raises UserError for a channel that is the same everywhere, and for images of other than `channels` channels.
    """
    wanted, there = dataset.get("channels", 3), images.array.shape[3]
    if there not in (1, wanted):
        raise UserError(f"{images.folder}: its images have {there} channels where the data set is one of {wanted}; say "
                        f"`channels: {there}` in its entry")  # fmt: skip
    if dataset["mean"] != "own":
        return dict(dataset)
    train = Streamed(images, "train" if (images.index["split"] == "train").any() else "all", "cpu")
    rows = np.arange(len(train))
    if len(rows) > SAMPLE:
        rows = np.sort(np.random.default_rng(0).choice(rows, SAMPLE, replace=False))
    *_, channels = train.shape
    total, squares = [0] * channels, [0] * channels
    for batch in train.in_turn(torch.from_numpy(rows).split(SAMPLE_BATCH)):
        for channel, values in enumerate(batch.to(torch.int64).unbind(1)):
            total[channel] += int(values.sum())
            squares[channel] += int(values.square().sum())
    count, top = len(rows) * math.prod(train.shape[:2]), np.iinfo(images.array.dtype).max
    mean = [one / (count * top) for one in total]
    # Of whole numbers, so that nothing cancels.
    std = [math.sqrt((count * two - one * one) / (count * top) ** 2) for one, two in zip(total, squares, strict=True)]
    if 0 in std:
        raise UserError(f"{images.folder}: channel {std.index(0) + 1} has the same value everywhere in the training "
                        "images, so it has no std of its own; give datasets.mean and std as numbers")  # fmt: skip
    repeat = wanted if channels == 1 else 1
    return {**dataset, "mean": mean * repeat, "std": std * repeat}
