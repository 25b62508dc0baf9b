"""The idx format and MNIST itself."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import struct

import numpy as np
import pytest

from phenoviews.data import Images
from phenoviews.data.download import fetch
from phenoviews.data.pool import Resident
from phenoviews.data.readers import prepare
from phenoviews.data.readers.mnist import read_idx
from phenoviews.errors import UserError

FILES = {
    "train_images": ("train-images-idx3-ubyte.gz", "6bbc9ace898e44ae57da46a324031adb"),
    "train_labels": ("train-labels-idx1-ubyte.gz", "a25bea736e30d166cdddb491f175f624"),
    "test_images": ("t10k-images-idx3-ubyte.gz", "2646ac647ad5339dbf082846283269ea"),
    "test_labels": ("t10k-labels-idx1-ubyte.gz", "27ae3e4e09519cfbb04c329615203637"),
}


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


ARRAY = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_read_idx(tmp_path, pack):
    (tmp_path / "a").write_bytes(pack(idx(ARRAY)))
    np.testing.assert_array_equal(read_idx(tmp_path / "a", 3), ARRAY)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not an idx file"),
        (idx(ARRAY)[:3], "not an idx file"),
        (idx(ARRAY)[:10], "not an idx file"),
        (idx(ARRAY)[:-1], "truncated, 39 bytes where its header says 40"),
        (idx(ARRAY) + b"x", "too long"),
        (idx(ARRAY[0]), "not an idx file of 3"),
        (b"\0\0\x0d" + idx(ARRAY)[3:], "not an idx file"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1), "truncated"),  # no overflow
        (gzip.compress(idx(ARRAY))[:-5], "cannot be read"),
        (gzip.compress(idx(ARRAY))[:-1] + b"\x77", "cannot be read"),
    ],
    ids=itertools.count(),
)
def test_broken_idx_is_one_line_with_its_name(tmp_path, data, reason):
    (tmp_path / "broken-idx3-ubyte").write_bytes(data)
    with pytest.raises(UserError, match=rf"broken-idx3-ubyte: {reason}"):
        read_idx(tmp_path / "broken-idx3-ubyte", 3)


def files(folder, images=(4, 2), labels=(4, 2), highest=9):
    paths = {}
    for split, count, named in zip(("train", "test"), images, labels, strict=True):
        paths[f"{split}_images"] = folder / f"{split}-images"
        paths[f"{split}_labels"] = folder / f"{split}-labels"
        paths[f"{split}_images"].write_bytes(idx(np.zeros((count, 5, 5), np.uint8)))
        paths[f"{split}_labels"].write_bytes(idx(np.linspace(0, highest, named).astype(np.uint8)))
    return paths


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"labels": (3, 2)}, "train-labels: 3 labels for the 4 images of .*train-images"),
        ({"highest": 10}, "train-labels: a label of 10"),
        ({}, "labels must be 0, 1"),  # some digits are missing
    ],
)
def test_files_that_do_not_belong_together(tmp_path, arguments, reason):
    with pytest.raises(UserError, match=reason):
        prepare({"kind": "mnist"}, files(tmp_path, **arguments), tmp_path / "images.npy", tmp_path / "index.parquet")
    assert not list(tmp_path.glob("*.npy")) + list(tmp_path.glob("*.parquet"))


def test_missing_download(tmp_path):
    entry = {"kind": "mnist", "files": dict.fromkeys(FILES)}
    with pytest.raises(UserError, match="lacks the download of test_images, test_labels, train_images, train_labels"):
        prepare(entry, {}, tmp_path / "images.npy", tmp_path / "index.parquet")


def test_real_mnist(shared_data, tmp_path):
    """All of it, from a folder of files that were compressed anew; compared with the bytes read by hand."""
    downloads = {}
    for key, (name, md5) in FILES.items():
        downloads[key] = tmp_path / name
        fetch(
            [(shared_data / "mnist").resolve().as_uri()], {"name": name, "md5": md5, "content": "gzip"}, tmp_path / name
        )
    out = tmp_path / "mnist"
    prepare({"kind": "mnist"}, downloads, out / "images.npy", out / "index.parquet")
    images = Images.open(out)
    assert images.array.shape == (70_000, 28, 28, 1)
    assert images.classes == list("0123456789")
    assert [len(images.rows(split)) for split in ("train", "test")] == [60_000, 10_000]
    # The published counts of the ten digits.
    assert np.bincount(images.labels("test")).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    raw = gzip.decompress(downloads["test_images"].read_bytes())[16:]
    tensor = Resident.load(images, "test", "cpu").images
    assert hashlib.sha256(tensor.numpy().tobytes()).digest() == hashlib.sha256(raw).digest()
    assert images.index["source"].iloc[60_000] == "t10k-images-idx3-ubyte.gz[0]"
