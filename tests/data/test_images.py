"""Arrays and index on disk: written whole or not at all, opened only when they agree."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phenoviews.data import Images, write
from phenoviews.data.images import white
from phenoviews.errors import UserError


def example(count=12, dtype=np.uint8, channels=3, **columns):
    rng = np.random.default_rng(0)
    array = rng.integers(0, np.iinfo(dtype).max, (count, 5, 4, channels), dtype=dtype, endpoint=True)
    array.flat[0] = np.iinfo(dtype).max
    label = np.arange(count) % 3
    index = pd.DataFrame(
        {
            "split": np.array(["test", "train", "train", "val"])[np.arange(count) % 4],
            "label": label,
            "class": np.array(["b", "a", "c"])[label],
            "source": [f"image {n}" for n in range(count)],
            **columns,
        }
    )
    return array, index


def save(folder, array, index):
    write(folder / "images.npy", folder / "index.parquet", array, index)
    return folder


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_round_trip(tmp_path, dtype, channels):
    array, index = example(dtype=dtype, channels=channels, Metadata_well="A01")
    images = Images.open(save(tmp_path / "set", array, index))
    assert isinstance(images.array, np.memmap)
    np.testing.assert_array_equal(images.array, array)
    pd.testing.assert_frame_equal(images.index, index, check_dtype=False)
    assert images.classes == ["b", "a", "c"]  # in the order of the labels, not of the alphabet
    rows = images.rows("train")
    assert rows.dtype == np.int64
    np.testing.assert_array_equal(rows, np.flatnonzero(index["split"] == "train"))
    np.testing.assert_array_equal(images.labels("train"), index["label"].to_numpy()[rows])
    # A plain npy file, as numpy writes it.
    np.save(tmp_path / "plain.npy", array)
    assert (tmp_path / "plain.npy").read_bytes() == (tmp_path / "set" / "images.npy").read_bytes()


def test_superclasses_are_in_the_order_of_the_labels(tmp_path):
    array, index = example()
    assert Images.open(save(tmp_path / "without", array, index)).superclasses is None
    index["superclass"] = index["class"].map({"a": "vowel", "b": "consonant", "c": "consonant"})
    assert Images.open(save(tmp_path / "with", array, index)).superclasses == ["consonant", "vowel", "consonant"]


def test_big_endian_arrays_become_native(tmp_path):
    array, index = example(dtype=np.uint16)
    images = Images.open(save(tmp_path, array.astype(">u2"), index))
    assert images.array.dtype.isnative
    np.testing.assert_array_equal(images.array, array)


def test_unknown_split(tmp_path):
    array, index = example()
    index["split"] = index["split"].replace("val", "train")
    with pytest.raises(UserError, match="has no split 'val'; it has train, test"):
        Images.open(save(tmp_path, array, index)).rows("val")


def test_all_is_every_row(tmp_path):
    array, index = example()
    images = Images.open(save(tmp_path, array, index))
    assert images.rows("all").tolist() == list(range(12))
    assert images.rows("all").dtype == np.int64
    assert images.labels("all").tolist() == index["label"].tolist()


def test_an_array_in_another_order_is_refused(tmp_path):
    array, index = example()
    save(tmp_path, array, index)
    np.save(tmp_path / "images.npy", np.asfortranarray(array))
    with pytest.raises(UserError, match="do not lie one after the other"):
        Images.open(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda array, index: (array[:-1], index), "11 images but 12 rows"),
        (lambda array, index: (array.astype(np.float32), index), "uint8 or uint16"),
        (lambda array, index: (array[..., 0], index), "must be"),
        (lambda array, index: (array, index.drop(columns="source")), "lacks the column 'source'"),
        (lambda array, index: (array, index.assign(split="training")), "the split 'training'"),
        (lambda array, index: (array, index.assign(label=index["label"] + 1)), "labels must be 0, 1"),
        (lambda array, index: (array, index.assign(label=index["label"] % 2)), "labels must be 0, 1"),
        (lambda array, index: (array, index.assign(**{"class": "a"})), "labels must be 0, 1"),
        (lambda array, index: (array, index.assign(superclass=index["split"])), "the class 'b' is in two superclasses"),
        (lambda array, index: (array, index.assign(superclass="")), "a superclass is a name"),
        (lambda array, index: (array, index.assign(superclass=index["class"].replace("c", None))), "is a name"),
    ],
)
def test_array_and_index_that_disagree(tmp_path, change, reason):
    """Refused when writing, and when opening what something else wrote."""
    array, index = change(*example())
    with pytest.raises(UserError, match=reason):
        save(tmp_path / "written", array, index)
    assert not list(tmp_path.rglob("*.*"))
    np.save(tmp_path / "images.npy", array)
    index.to_parquet(tmp_path / "index.parquet")
    with pytest.raises(UserError, match=reason):
        Images.open(tmp_path)


@pytest.mark.parametrize("name", ["images.npy", "index.parquet"])
@pytest.mark.parametrize("how", ["missing", "truncated", "empty"])
def test_broken_files_are_named(tmp_path, name, how):
    file = save(tmp_path, *example()) / name
    content = file.read_bytes()
    file.unlink()
    if how != "missing":
        file.write_bytes(content[:-30] if how == "truncated" else b"")
    with pytest.raises(UserError, match=rf"{name}: cannot be opened"):
        Images.open(tmp_path)


@pytest.mark.parametrize("count", [5000, 1900], ids=["by the images", "by the index"])
def test_full_disk_leaves_nothing(small_disk, count):
    """Neither a half-written array nor an array without its index."""
    array, index = example(count)
    index["source"] = [np.random.default_rng(n).bytes(64).hex() for n in range(count)]
    with pytest.raises(UserError, match="no space left"):
        save(small_disk, array, index)
    assert list(small_disk.iterdir()) == []


def test_white_is_the_type_s_of_8_bits_and_the_brightest_pixels_of_16(tmp_path):
    array, index = example(count=600)
    assert white(Images.open(save(tmp_path / "eight", array, index)), "test") == [1.0, 1.0, 1.0]
    array, index = example(count=600, dtype=np.uint16)
    array //= np.array([1, 50, 60_000], dtype=np.uint16)
    array[..., 2] = 0  # nothing in it
    array[0, 0, 0, 1] = 65535  # dust
    found = white(Images.open(save(tmp_path / "sixteen", array, index)), "test")
    pixels = array[(index["split"] == "test").to_numpy()]
    by_numpy = np.percentile(pixels, 99.5, axis=(0, 1, 2), method="inverted_cdf")
    assert found == [*(by_numpy[:2] / 65535), 1 / 65535]
