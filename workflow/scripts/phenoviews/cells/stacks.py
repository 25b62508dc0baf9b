"""Image files that hold several channels or several planes: TIFF stacks, OME's and others'."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tifffile
from PIL import Image
from scipy import ndimage

# What an axis of a TIFF may be besides rows and columns; Q, I: pages of which nothing is known.
CHANNELS, PLANES, PAGES = "CS", "Z", "QI"


def channel(stack: np.ndarray, axes: str, index: int | None, project: str | None) -> np.ndarray:
    """One grey image (H, W) out of a stack.

    Args:
        stack, axes: as `unpacked` gives them.
        index: of the channel; None for a file of one channel.
        project: how planes become one, a key of `PROJECTIONS`; None for a file of one plane.

    Raises:
        ValueError: more than one of what is not asked for, or no channel of that index.
    """
    where = {axis: size for axis, size in zip(axes, stack.shape, strict=True) if axis not in "YX"}
    unknown = [axis for axis in where if axis in PAGES]
    if index is not None and not any(axis in CHANNELS for axis in where) and unknown:
        axes = axes.replace(unknown[0], "C")  # pages that nobody names are what they are asked for as
    elif project and not any(axis in PLANES for axis in where) and unknown:
        axes = axes.replace(unknown[0], "Z")
    if index is not None:
        place = next((axes.index(axis) for axis in CHANNELS if axis in axes), None)
        there = 1 if place is None else stack.shape[place]
        if index >= there:
            raise ValueError(f"it has {there} channels, and number {index} from 0 on is asked for")
        if place is not None:
            stack, axes = stack.take(index, place), axes[:place] + axes[place + 1 :]
    if project and "Z" in axes:
        place = axes.index("Z")
        stack, axes = PROJECTIONS[project](np.moveaxis(stack, place, 0)), axes.replace("Z", "")
    if axes != "YX":
        rest = {axis: size for axis, size in zip(axes, stack.shape, strict=True) if axis not in "YX"}
        said = ", ".join(f"{size} {NAMES.get(axis, f'of the axis {axis}')}" for axis, size in rest.items())
        raise ValueError(f"it holds {said}; {REMEDIES.get(next(iter(rest)), REMEDIES['Q'])}")
    return stack


NAMES = {"C": "channels", "S": "colours", "Z": "planes", "Q": "pages", "I": "pages", "T": "times"}
REMEDIES = {
    "C": "give the places of channels, from 0 on, as the screen's `channels`",
    "S": "give the places of channels, from 0 on, as the screen's `channels`",
    "Z": "say how planes become one by the screen's `project: max` or `project: focus`",
    "T": "keep one time",
    "Q": "give `channels` that are numbers if they are channels, or `project` if they are planes",
}


def unpacked(data: bytes) -> tuple[np.ndarray, str]:
    """The first image of a TIFF with the names of its axes, of which the last are Y and X; axes of one are left out.

    ValueError for what holds several images, or values that are neither 8 nor 16 bits.
    """
    with _whole(), io.BytesIO(data) as stream, tifffile.TiffFile(stream) as tiff:
        series: Any = tiff.pages.first if len(tiff.pages) == 1 else tiff.series[0]
        if len(tiff.pages) > 1 and len(tiff.series) > 1:
            raise ValueError(f"it holds {len(tiff.series)} images")
        inverted = tiff.pages.first.photometric == tifffile.PHOTOMETRIC.MINISWHITE
        array, axes = _array(series, data), str(series.axes)
        if len(tiff.pages) > 1 and _pages(series) != len(tiff.pages):
            # A part of a larger set, whose other files are not read with it.
            array = _frames(data)
            axes = "QYX" if array.ndim == 3 else "QYXS"
    kept = [number for number, axis in enumerate(axes) if axis in "YX" or array.shape[number] > 1]
    array, axes = array.reshape([array.shape[number] for number in kept]), "".join(axes[number] for number in kept)
    order = [*(number for number, axis in enumerate(axes) if axis not in "YX"), axes.index("Y"), axes.index("X")]
    array, axes = array.transpose(order), "".join(axes[number] for number in order)
    if array.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise ValueError(f"its values are {array.dtype}, not 8 or 16 bits")
    array = array.astype(array.dtype.newbyteorder("="))
    return (np.iinfo(array.dtype).max - array if inverted else array), axes


@contextlib.contextmanager
def _whole() -> Iterator[None]:
    """A stack that is cut off has fewer pages for tifffile, which only logs it: here, ValueError."""
    logger, handler = logging.getLogger("tifffile"), _Kept()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
    if cut := [said for said in handler.said if "offset" in said]:
        raise ValueError(f"truncated: {cut[-1]}")


class _Kept(logging.Handler):
    """Messages as they come."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def _pages(series: Any) -> int:
    return int(np.prod([size for size, axis in zip(series.shape, series.axes, strict=True) if axis not in "YXS"]))


def _array(series: Any, data: bytes) -> np.ndarray:
    try:
        array: np.ndarray = series.asarray()
        return array
    except ValueError as error:
        if "requires the 'imagecodecs' package" not in str(error):
            raise
        return _frames(data).reshape(series.shape)


def _frames(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        frames = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(np.asarray(image))
    return np.stack(frames)


def brightest(planes: np.ndarray) -> np.ndarray:
    """(Z, H, W) → (H, W): of each pixel its greatest value."""
    highest: np.ndarray = planes.max(axis=0)
    return highest


def sharpest(planes: np.ndarray) -> np.ndarray:
    """(Z, H, W) → (H, W): the plane in best focus, whose Laplacian varies most for its brightness (Pertuz et al.,
    Pattern Recognition 46, 1415, 2013: the operators of Laplacians are the best where images are sharp)."""
    scores = [ndimage.laplace(plane.astype(np.float32)).var() / max(float(plane.mean()), 1.0) ** 2 for plane in planes]
    best: np.ndarray = planes[int(np.argmax(scores))]
    return best


PROJECTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"max": brightest, "focus": sharpest}
