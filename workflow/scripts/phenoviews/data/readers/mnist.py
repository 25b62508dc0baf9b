"""MNIST and its relatives in the idx format: four files, gzipped or not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.data.images import write
from phenoviews.errors import UserError


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The uint8 array of an idx file (gzipped or not) with this number of `dimensions`.

    The format: two zero bytes, 0x08 for unsigned bytes, the number of dimensions, each size as a big-endian
    uint32, then exactly as many bytes as the sizes say. `UserError` naming the file for anything else.
    """
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error}); delete it and download it again") from error
    start = 4 + 4 * dimensions
    if data[:4] != bytes((0, 0, 8, dimensions)) or len(data) < start:
        raise UserError(
            f"{path}: not an idx file of {dimensions} dimension(s) of bytes "
            f"(it begins with {data[:4].hex() or 'nothing'}); delete it and download it again"
        )
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", dimensions, offset=4))
    expected = start + int(np.prod(shape, dtype=object))
    if len(data) != expected:
        problem = "truncated" if len(data) < expected else "too long"
        raise UserError(
            f"{path}: {problem}, {len(data)} bytes where its header says {expected}; delete it and download it again"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def prepare(dataset: Mapping[str, Any], downloads: Mapping[str, Path], images: Path, index: Path) -> None:
    """`downloads`: train_images, train_labels, test_images, test_labels. Rows: the training set, then the test set."""
    pixels: list[np.ndarray] = []
    tables = []
    for split in ("train", "test"):
        image_path, label_path = downloads[f"{split}_images"], downloads[f"{split}_labels"]
        part, labels = read_idx(image_path, 3), read_idx(label_path, 1)
        if len(part) != len(labels):
            raise UserError(f"{label_path}: {len(labels)} labels for the {len(part)} images of {image_path}")
        if len(labels) and labels.max() > 9:
            raise UserError(f"{label_path}: a label of {labels.max()}; digits are 0 to 9")
        if pixels and part.shape[1:] != pixels[0].shape[1:]:
            raise UserError(
                f"{image_path}: images of {part.shape[1:]} where the training set's are {pixels[0].shape[1:]}"
            )
        pixels.append(part)
        tables.append(
            pd.DataFrame(
                {
                    "split": split,
                    "label": labels.astype(np.int64),
                    "class": labels.astype(str),
                    "source": [f"{image_path.name}[{row}]" for row in range(len(part))],
                }
            )
        )
    write(images, index, np.concatenate(pixels)[..., np.newaxis], pd.concat(tables, ignore_index=True))
