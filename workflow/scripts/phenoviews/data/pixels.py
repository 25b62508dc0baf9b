"""One image file as an array: 8 or 16 bits, grey, RGB or as many channels as are declared."""

from __future__ import annotations

import importlib.util
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import tifffile
from PIL import ExifTags, Image
from tifffile import COMPRESSION, PHOTOMETRIC

from phenoviews.errors import UserError

Decoded = TypeVar("Decoded")
# Formats whose values come out as they were stored, or are refused. Pillow reads more, but cuts some of them to 8 bits.
SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".webp", ".tga", ".pbm", ".pgm", ".ppm", ".pnm",
    ".tif", ".tiff", ".btf", ".tf2", ".tf8", ".lsm", ".stk",
)  # fmt: skip
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # how a file begins, the last two of BigTIFF
PLAIN = (1, 8, 32946)  # compressions that tifffile reads alone: none, zlib
DEPTHS = ("uint8", "uint16")


class Unreadable(UserError):
    """A file that is no image, or none of which all could be kept. `reason`: why, without its name."""

    def __init__(self, where: str, reason: str):
        super().__init__(f"{where}: cannot be read ({reason}); repair, convert or remove it")
        self.reason = " ".join(reason.split())


def read(path: Path, channels: int | None = None) -> np.ndarray:
    """The image as (H, W, C) uint8 or uint16, its values as stored; C = 1 (grey) or 3 (RGB), or `channels` if given.

    A palette becomes RGB, one bit becomes 0 and 255, and a TIFF in which zero is white is inverted. A photograph is
    turned as its EXIF asks. What the format
    calls alpha is dropped where it is opaque, and is a channel like any other where `channels` counts it; what it does
    not call so is a channel. `Unreadable` naming the file for a broken one and for what would lose information:
    transparency, other depths, several pages, other numbers of channels.
    """
    return decode(path.read_bytes, path.name, str(path), channels)


def decode(get: Callable[[], bytes], name: str, where: str, channels: int | None = None) -> np.ndarray:
    """`read` of the bytes that `get` gives: a file called `name`, which errors call `where`."""

    def decoded() -> np.ndarray:
        data = get()
        # By its first bytes: names tell wrong now and then.
        is_tiff = data[:4] in TIFF or name.lower().endswith((".tif", ".tiff"))
        array, alpha = _tiff(data, channels) if is_tiff else _pillow(data)
        return _channels(array, alpha, channels)

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
        raise Unreadable(where, reason) from error


def is_grey(image: np.ndarray) -> bool:
    """Whether (…, C) has one channel, or three equal ones."""
    return image.shape[-1] == 1 or (
        image.shape[-1] == 3 and bool((image == image[..., :1]).all())  # palettes, and grey saved as colour
    )


def _channels(array: np.ndarray, alpha: bool, channels: int | None) -> np.ndarray:
    """(H, W) or (H, W, C) → (H, W, C) with as many channels as are wanted; ValueError for anything else. `alpha`: the
    format says that the last one is none."""
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.dtype.name not in DEPTHS:
        raise ValueError(f"its values are {array.dtype}, not 8 or 16 bits")
    if array.ndim != 3:
        raise ValueError(f"its shape is {array.shape}, not one image")
    count = array.shape[2]
    if channels is None and not alpha and count not in (1, 3):
        raise ValueError(f"its shape is {array.shape}, neither one grey nor one RGB image; if it has {count} channels, "
                         f"say `channels: {count}` in the data set")  # fmt: skip
    if alpha and count != channels:
        if (array[..., -1] != np.iinfo(array.dtype).max).any():
            raise ValueError(f"it is partly transparent; if it has {count} channels, say `channels: {count}` in the "
                             "data set")  # fmt: skip
        array = array[..., :-1]
    if channels is not None and array.shape[2] != channels and not (channels == 1 and is_grey(array)):
        raise ValueError(f"it has {array.shape[2]} channels where `channels` of the data set says {channels}")
    return array[..., :1] if channels == 1 else array


def _pillow(data: bytes) -> tuple[np.ndarray, bool]:
    """The values, and whether the last channel is alpha."""
    with Image.open(io.BytesIO(data)) as opened:
        # A camera's MPO is a JPEG with previews behind it.
        frames = 1 if opened.format == "MPO" else getattr(opened, "n_frames", 1)
        if frames > 1:
            raise ValueError(f"it has {frames} frames, not one image")
        if opened.format == "PPM" and not re.match(
            rb"P[14]|P[2356]\s+(#.*\s+)*\d+\s+(#.*\s+)*\d+\s+(#.*\s+)*255\s", data
        ):
            raise ValueError("its values do not go from 0 to 255; convert it to PNG or TIFF")
        if opened.format == "PNG":
            opened.verify()  # checksums, which decoding alone skips
    with Image.open(io.BytesIO(data)) as opened:
        turn = _turn(opened)
        if opened.format == "PNG" and data[24] == 16:  # bit depth; Pillow would cut 16-bit colour to 8 bits
            array = turn(_deep_png(data))
            return array, array.shape[2] in (2, 4)
        image: Image.Image = opened
        if image.mode == "P":
            image = image.convert("RGBA" if "transparency" in image.info else "RGB")
        elif image.mode == "1":
            image = image.convert("L")
        elif image.mode not in ("L", "LA", "RGB", "RGBA", "I;16", "I;16L", "I;16B"):
            raise ValueError(f"its colour mode is {image.mode}, neither grey nor RGB of 8 or 16 bits")
        array = turn(np.asarray(image))
        return array.astype(array.dtype.newbyteorder("=")), image.mode in ("LA", "RGBA")


# What EXIF's orientation asks for, so that (H, W, …) stands as the camera was held.
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: image.swapaxes(0, 1)[:, ::-1],
    7: lambda image: image.swapaxes(0, 1)[::-1, ::-1],
    8: lambda image: image.swapaxes(0, 1)[::-1],
}


def _turn(opened: Image.Image) -> Callable[[np.ndarray], np.ndarray]:
    """Of a TIFF there is none: microscopes' software writes the tag and no reader of theirs heeds it."""
    try:
        asked = 1 if opened.format == "TIFF" else opened.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # EXIF that is broken in whatever way asks for nothing, as for every viewer
        asked = 1
    return _TURNS.get(asked, lambda image: image)


def _deep_png(data: bytes) -> np.ndarray:
    import torch
    from torchvision.io import ImageReadMode, decode_png  # here: 16-bit PNG alone needs them

    encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    pixels: np.ndarray = decode_png(encoded, mode=ImageReadMode.UNCHANGED).numpy()
    return pixels.transpose(1, 2, 0)


def _tiff(data: bytes, channels: int | None) -> tuple[np.ndarray, bool]:
    """As `_pillow`. Where `channels` are declared, as many pages are channels, too."""
    # The stream is closed too: a TiffFile refers to itself, so it would keep the bytes until the next full collection.
    with io.BytesIO(data) as stream, tifffile.TiffFile(stream) as tiff:
        if len(tiff.pages) == 0:
            raise ValueError("it has no image")
        page = tiff.pages.first
        for each in tiff.pages:
            ends = [start + size for start, size in zip(each.dataoffsets, each.databytecounts, strict=True)]
            if not ends or max(ends) > len(data):
                raise ValueError(f"truncated, {len(data)} bytes where its directory says {max(ends, default=0)}")
        packed = page.compression not in PLAIN and importlib.util.find_spec("imagecodecs") is None
        if packed or page.photometric not in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.RGB):
            if page.bitspersample > 8 and page.samplesperpixel > 1:
                # Pillow would cut them to 8 bits.
                raise ValueError(
                    f"it has {page.bitspersample} bits of each colour, compressed by "
                    f"{COMPRESSION(page.compression).name}, which is not read without imagecodecs; "
                    "install that package, or save it uncompressed"
                )
            return _pillow(data)
        # A lone page is the image, whatever the metadata say of a larger set that the file was part of.
        if len(tiff.pages) > 1 and len(tiff.series) > 1:
            raise ValueError(f"it has {len(tiff.series)} images")
        image = page if len(tiff.pages) == 1 else tiff.series[0]
        array, axes = image.asarray(), image.axes
        alpha = bool(set(page.extrasamples) & {1, 2}) and axes.endswith("S")  # associated or not; 0 is unspecified
    kept = [number for number, axis in enumerate(axes) if axis in "YXSC" or array.shape[number] > 1]
    array, axes = array.reshape([array.shape[number] for number in kept]), "".join(axes[number] for number in kept)
    if len(array) == channels:
        axes = re.sub("^[IQ]YX$", "CYX", axes)  # pages of which nothing more is said
    if axes in ("SYX", "CYX"):
        array = np.moveaxis(array, 0, -1)
    elif axes not in ("YX", "YXS", "YXC"):
        cure = f"; if its pages are channels, say `channels: {len(array)}` in the data set" if axes[0] in "IQ" else ""
        raise ValueError(f"its axes are {axes} of {array.shape}, neither one grey nor one RGB image{cure}")
    array = array.astype(np.uint8) * 255 if array.dtype == bool else array.astype(array.dtype.newbyteorder("="))
    if page.photometric == PHOTOMETRIC.MINISWHITE and array.dtype.name in DEPTHS:
        array = np.iinfo(array.dtype).max - array
    return array, alpha
