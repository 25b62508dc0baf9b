"""One image file as an array: 8 or 16 bits, grey or RGB; PNG, JPEG or TIFF."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import tifffile
from PIL import Image
from tifffile import PHOTOMETRIC

from phenoviews.errors import UserError

Decoded = TypeVar("Decoded")
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def read(path: Path) -> np.ndarray:
    """The image as (H, W, C) uint8 or uint16, C = 1 (grey) or 3 (RGB), its values as stored.

    An opaque alpha channel is dropped, a palette becomes RGB, one bit becomes 0 and 255, and a TIFF in which zero is
    white is inverted. `UserError` naming the file for a broken one and for what would lose information: transparency,
    other depths, several pages or channels.
    """
    return decode(path.read_bytes, path.name, str(path))


def decode(get: Callable[[], bytes], name: str, where: str) -> np.ndarray:
    """`read` of the bytes that `get` gives: a file called `name`, which errors call `where`."""

    def decoded() -> np.ndarray:
        data = get()
        return _tiff(data) if name.lower().endswith((".tif", ".tiff")) else _pillow(data)

    return caught(decoded, where)


def caught(decoded: Callable[[], Decoded], where: str) -> Decoded:
    """What `decoded` gives; whatever a decoder raises for a broken file is a `UserError`, which calls it `where`."""
    try:
        return decoded()
    except (MemoryError, UserError):
        raise
    except Exception as error:  # decoders raise nearly anything for a broken file
        reason = str(error) or type(error).__name__
        if "cannot identify image file" in reason:
            reason = "no PNG, JPEG or TIFF image, or broken in its first bytes"
        raise UserError(f"{where}: cannot be read ({reason}); repair, convert or remove it") from error


def _channels(array: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 1 to 4) → (H, W, 1 or 3); ValueError for anything else."""
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"its values are {array.dtype}, not 8 or 16 bits")
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise ValueError(f"its shape is {array.shape}, neither one grey nor one RGB image")
    if array.shape[2] in (2, 4):
        if (array[..., -1] != np.iinfo(array.dtype).max).any():
            raise ValueError("it is partly transparent")
        array = array[..., :-1]
    return array


def _pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as opened:
        frames = getattr(opened, "n_frames", 1)
        if frames > 1:
            raise ValueError(f"it has {frames} frames, not one image")
        if opened.format == "PNG":
            opened.verify()  # checksums, which decoding alone skips
            if data[24] == 16:  # bit depth; Pillow would cut 16-bit colour to 8 bits
                return _channels(_deep_png(data))
    with Image.open(io.BytesIO(data)) as opened:
        image: Image.Image = opened
        if image.mode == "P":
            image = image.convert("RGBA" if "transparency" in image.info else "RGB")
        elif image.mode == "1":
            image = image.convert("L")
        elif image.mode not in ("L", "LA", "RGB", "RGBA", "I;16", "I;16L", "I;16B"):
            raise ValueError(f"its colour mode is {image.mode}, neither grey nor RGB of 8 or 16 bits")
        array = np.asarray(image)
        return _channels(array.astype(array.dtype.newbyteorder("=")))


def _deep_png(data: bytes) -> np.ndarray:
    import torch
    from torchvision.io import ImageReadMode, decode_png  # here: 16-bit PNG alone needs them

    encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    pixels: np.ndarray = decode_png(encoded, mode=ImageReadMode.UNCHANGED).numpy()
    return pixels.transpose(1, 2, 0)


def _tiff(data: bytes) -> np.ndarray:
    # The stream is closed too: a TiffFile refers to itself, so it would keep the bytes until the next full collection.
    with io.BytesIO(data) as stream, tifffile.TiffFile(stream) as tiff:
        if len(tiff.pages) == 0:
            raise ValueError("it has no image")
        page = tiff.pages.first
        for each in tiff.pages:
            ends = [start + size for start, size in zip(each.dataoffsets, each.databytecounts, strict=True)]
            if not ends or max(ends) > len(data):
                raise ValueError(f"truncated, {len(data)} bytes where its directory says {max(ends, default=0)}")
        plain = page.compression in (1, 8, 32946)  # none or zlib; tifffile needs a further package for others
        if not plain or page.photometric not in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.RGB):
            return _pillow(data)
        # A lone page is the image, whatever the metadata say of a larger set that the file was part of.
        if len(tiff.pages) > 1 and len(tiff.series) > 1:
            raise ValueError(f"it has {len(tiff.series)} images")
        image = page if len(tiff.pages) == 1 else tiff.series[0]
        array, axes = image.asarray(), image.axes
    kept = [number for number, axis in enumerate(axes) if axis in "YXSC" or array.shape[number] > 1]
    array, axes = array.reshape([array.shape[number] for number in kept]), "".join(axes[number] for number in kept)
    if axes in ("SYX", "CYX"):
        array = np.moveaxis(array, 0, -1)
    elif axes not in ("YX", "YXS", "YXC"):
        raise ValueError(f"its axes are {axes} of {array.shape}, neither one grey nor one RGB image")
    array = _channels(array.astype(array.dtype.newbyteorder("=")))
    return np.iinfo(array.dtype).max - array if page.photometric == PHOTOMETRIC.MINISWHITE else array
