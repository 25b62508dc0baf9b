"""What users bring: image trees and .npz files, good and broken."""

from __future__ import annotations

import itertools
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import ExifTags, Image, ImageOps, features

from phenoviews.data import Images, pixels
from phenoviews.data.readers import prepare
from phenoviews.errors import UserError

RNG = np.random.default_rng(0)


def picture(height=9, width=7, channels=3, dtype=np.uint8) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def png(path: Path, array: np.ndarray) -> None:
    """A PNG of 8 or 16 bits by the letter of the format: Pillow does not write 16-bit colour."""
    height, width, channels = array.shape if array.ndim == 3 else (*array.shape, 1)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    lines = array.astype(f">u{array.itemsize}").reshape(height, -1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">2I5B", width, height, 8 * array.itemsize, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    path.write_bytes(data)


def tiff(path: Path, array: np.ndarray, **how: object) -> None:
    tifffile.imwrite(path, array, **how)


def pillow(path: Path, array: np.ndarray, **how: object) -> None:
    Image.fromarray(array).save(path, **how)


def tree(root: Path, counts: dict[str, int], make=picture, save=png, suffix=".png") -> dict[str, np.ndarray]:
    """Pictures under root/{key}/, by their path in the tree."""
    made = {}
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True)
        for number in range(count):
            array = make()
            save(root / folder / f"{number:03d}{suffix}", array)
            made[f"{folder}/{number:03d}{suffix}"] = array
    return made


def run(path: Path, out: Path, **entry: object) -> Images:
    prepare({"kind": "folder", "path": str(path), **entry}, {}, out / "images.npy", out / "index.parquet")
    return Images.open(out)


def refused(path: Path, out: Path, reason: str, **entry: object) -> str:
    with pytest.raises(UserError, match=reason) as caught:
        run(path, out, **entry)
    assert not out.exists() or list(out.iterdir()) == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- formats ---

FORMATS = {
    f"{name} {dtype.__name__} x{channels}": (save, suffix, dtype, channels)
    for (name, save, suffix), dtype, channels in itertools.product(
        [("png", png, ".png"), ("tiff", tiff, ".tif"), ("deflated tiff", None, ".TIFF")], [np.uint8, np.uint16], [1, 3]
    )
}


@pytest.mark.parametrize(("save", "suffix", "dtype", "channels"), FORMATS.values(), ids=FORMATS)
def test_every_value_is_kept(tmp_path, save, suffix, dtype, channels):
    save = save or (lambda path, array: tiff(path, array, compression="zlib", predictor=False))
    made = tree(
        tmp_path / "in",
        {"treated": 6, "control": 9},
        lambda: picture(channels=channels, dtype=dtype),
        save,
        suffix,
    )
    images = run(tmp_path / "in", tmp_path / "out")
    assert images.array.dtype == dtype
    assert images.array.shape == (15, 9, 7, channels)
    assert images.classes == ["control", "treated"]
    for array, row in zip(images.array, images.index.itertuples(), strict=True):
        np.testing.assert_array_equal(array.squeeze(), made[row.source])
        assert row.source.startswith(images.classes[row.label] + "/")


def test_jpeg_as_pillow_reads_it(tmp_path):
    for name, channels in (("grey.jpg", 1), ("colour.JPEG", 3)):
        pillow(tmp_path / name, picture(32, 40, channels))
        with Image.open(tmp_path / name) as image:
            np.testing.assert_array_equal(pixels.read(tmp_path / name).squeeze(), np.asarray(image))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    "how",
    [
        {"byteorder": ">"},
        {"photometric": "minisblack", "rowsperstrip": 2},
        {"photometric": "minisblack", "tile": (16, 16)},
        {"imagej": True},
        {"ome": True},
        {"bigtiff": True},
    ],
    ids=str,
)
def test_grey_tiffs_of_many_kinds(tmp_path, dtype, how):
    array = picture(20, 24, 1, dtype)
    tiff(tmp_path / "a.tif", array, **how)
    read = pixels.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(read[..., 0], array)
    assert read.dtype.isnative


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colour_tiffs_plane_by_plane_and_as_channels(tmp_path, dtype):
    array = picture(20, 24, 3, dtype)
    planes = np.ascontiguousarray(array.transpose(2, 0, 1))
    tiff(tmp_path / "planes.tif", planes, photometric="rgb", planarconfig="separate")
    tiff(tmp_path / "imagej.tif", planes, imagej=True, metadata={"axes": "CYX"})
    for name in ("planes.tif", "imagej.tif"):
        np.testing.assert_array_equal(pixels.read(tmp_path / name), array)


def test_a_plane_of_a_larger_ome_set(tmp_path):
    """Microscopes write one file per plane, whose metadata tell of them all."""
    planes = np.stack([picture(16, 20, 1) for _ in range(3)])
    tiff(tmp_path / "whole.tif", planes, ome=True, metadata={"axes": "CYX"})
    with tifffile.TiffFile(tmp_path / "whole.tif") as file:
        description = file.pages[0].description
    tiff(tmp_path / "plane.tif", planes[1], description=description.encode(), metadata=None)
    np.testing.assert_array_equal(pixels.read(tmp_path / "plane.tif")[..., 0], planes[1])


def test_tiff_with_zero_as_white_is_inverted(tmp_path):
    array = picture(8, 8, 1, np.uint16)
    tiff(tmp_path / "a.tif", array, photometric="miniswhite")
    np.testing.assert_array_equal(pixels.read(tmp_path / "a.tif")[..., 0], 65535 - array)


@pytest.mark.skipif(not features.check("libtiff"), reason="this Pillow was built without libtiff")
@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 1), (np.uint8, 3), (np.uint16, 1)])
def test_lzw_tiff(tmp_path, dtype, channels):
    """What microscopes' software often writes; tifffile alone cannot read it."""
    array = picture(20, 24, channels, dtype)
    pillow(tmp_path / "a.tif", array, compression="tiff_lzw")
    np.testing.assert_array_equal(pixels.read(tmp_path / "a.tif").squeeze(), array)


def test_opaque_alpha_is_dropped_and_transparency_refused(tmp_path):
    for dtype, (channels, kept) in itertools.product((np.uint8, np.uint16), ((2, 1), (4, 3))):
        array = picture(5, 5, channels, dtype)
        array[..., -1] = np.iinfo(dtype).max
        png(tmp_path / "a.png", array)
        np.testing.assert_array_equal(pixels.read(tmp_path / "a.png"), array[..., :kept])
        array[2, 3, -1] -= 1
        png(tmp_path / "a.png", array)
        with pytest.raises(UserError, match=r"a\.png: .*partly transparent"):
            pixels.read(tmp_path / "a.png")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("suffix", "depth"), [("jpg", 8), ("webp", 8), ("png", 8), ("png", 16)])
def test_photographs_stand_as_their_exif_asks(tmp_path, suffix, depth, orientation):
    """As Pillow, and every viewer, turns them."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = np.random.default_rng(orientation).integers(0, 2**depth, (5, 7), f"uint{depth}")
    file = tmp_path / f"photo.{suffix}"
    Image.fromarray(stored).save(file, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    with Image.open(file) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened))
    found = pixels.read(file)
    assert found.shape[:2] == ((7, 5) if orientation > 4 else (5, 7))
    np.testing.assert_array_equal(found, expected.reshape(found.shape[0], found.shape[1], -1)[..., : found.shape[2]])


def test_exif_that_is_broken_asks_for_nothing(tmp_path):
    Image.fromarray(np.zeros((5, 7), np.uint8)).save(tmp_path / "photo.jpg", exif=b"Exif\0\0MM\0*\0\0\0")
    assert pixels.read(tmp_path / "photo.jpg").shape == (5, 7, 1)


def test_a_tiff_lies_as_it_is_stored(tmp_path):
    """Whatever its tag says: so do ImageJ and CellProfiler, whose coordinates are told beside it."""
    stored = np.arange(35, dtype=np.uint8).reshape(5, 7)
    tifffile.imwrite(tmp_path / "field.tif", stored, extratags=[(274, "H", 1, 6, True)])
    np.testing.assert_array_equal(pixels.read(tmp_path / "field.tif")[..., 0], stored)


def test_palette_and_one_bit(tmp_path):
    colour = Image.fromarray(np.repeat(picture(2, 2, 3), 4, axis=0))
    palette = colour.quantize(4)
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(pixels.read(tmp_path / "palette.png"), np.asarray(palette.convert("RGB")))
    mask = picture(9, 9, 1) > 127
    Image.fromarray(mask).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(pixels.read(tmp_path / "mask.png")[..., 0], mask * 255)


@pytest.mark.parametrize(
    ("save", "reason"),
    [
        (lambda path: tiff(path, picture(channels=1).astype(np.float32)), "float32"),
        (lambda path: tiff(path, picture(channels=1).astype(np.int32)), "int32"),
        (lambda path: tiff(path, np.zeros((5, 9, 9), np.uint8)), "axes|shape"),
        (lambda path: tiff(path, np.zeros((3, 9, 9), np.uint8), photometric="minisblack"), "axes"),
        (lambda path: tiff(path, np.zeros((5, 9, 9), np.uint8), imagej=True, metadata={"axes": "CYX"}), "shape"),
        (lambda path: path.write_bytes(b""), r"\.tif: cannot be read"),
        (lambda path: path.write_bytes(b"II*\0\x08\0\0\0"), r"\.tif: cannot be read"),
        (lambda path: path.write_bytes(b"hello"), r"\.tif: cannot be read"),
    ],
)
def test_tiffs_that_are_refused(tmp_path, save, reason):
    save(tmp_path / "a.tif")
    with pytest.raises(UserError, match=reason):
        pixels.read(tmp_path / "a.tif")


def test_other_colours_are_refused(tmp_path):
    Image.new("CMYK", (5, 5)).save(tmp_path / "a.jpg")
    with pytest.raises(UserError, match="colour mode is CMYK"):
        pixels.read(tmp_path / "a.jpg")
    frames = [Image.new("L", (5, 5), value) for value in (0, 9)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(UserError, match="2 frames"):
        pixels.read(tmp_path / "a.png")


# --- broken files: whatever byte is missing or wrong, an error with the name, never other pixels ---

WRITERS = {
    "png 8": (".png", lambda path: png(path, picture(40, 40))),
    "png 16": (".png", lambda path: png(path, picture(40, 40, dtype=np.uint16))),
    "jpeg": (".jpg", lambda path: pillow(path, picture(40, 40))),
    "tiff in one strip": (".tif", lambda path: tiff(path, picture(40, 40, 1, np.uint16))),
    "tiff in strips": (".tif", lambda path: tiff(path, picture(40, 40, 1, np.uint16), rowsperstrip=5)),
    "deflated tiff": (".tif", lambda path: tiff(path, picture(40, 40, 1), compression="zlib", predictor=False)),
    "tiff, directory last": (".tif", lambda path: pillow(path, picture(40, 40, 1), compression="raw")),
}


@pytest.mark.parametrize(("suffix", "save"), WRITERS.values(), ids=WRITERS)
def test_truncated_anywhere(tmp_path, suffix, save):
    path = tmp_path / f"cut{suffix}"
    save(path)
    whole, expected = path.read_bytes(), pixels.read(path)
    for keep in np.linspace(0, len(whole) - 1, 60).astype(int):
        path.write_bytes(whole[:keep])
        try:
            read = pixels.read(path)
        except UserError as error:
            assert f"cut{suffix}: cannot be read (" in str(error)  # noqa: PT017
        else:  # only what carries no pixels is missing
            np.testing.assert_array_equal(read, expected)
            assert keep > len(whole) - 20


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_corrupt_png_anywhere(tmp_path, depth):
    path = tmp_path / "bad.png"
    png(path, picture(20, 20, dtype=depth))
    whole = bytearray(path.read_bytes())
    for place in np.linspace(0, len(whole) - 13, 50).astype(int):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(UserError, match=r"bad\.png: cannot be read"):
            pixels.read(path)


# --- trees ---


def test_stratified_split_by_the_entry(tmp_path):
    tree(tmp_path / "in", {"a": 20, "b": 10})
    images = run(tmp_path / "in", tmp_path / "out", test_fraction=0.3, val_fraction=0.1, split_seed=5)
    counts = images.index.groupby("class")["split"].value_counts().to_dict()
    assert counts == {
        ("a", "train"): 12, ("a", "test"): 6, ("a", "val"): 2, ("b", "train"): 6, ("b", "test"): 3, ("b", "val"): 1,
    }  # fmt: skip
    again = run(tmp_path / "in", tmp_path / "again", test_fraction=0.3, val_fraction=0.1, split_seed=5)
    pd.testing.assert_frame_equal(images.index, again.index)
    other = run(tmp_path / "in", tmp_path / "other", test_fraction=0.3, val_fraction=0.1, split_seed=6)
    assert (images.index["split"] != other.index["split"]).any()


def test_defaults(tmp_path):
    tree(tmp_path / "in", {"a": 10, "b": 10})
    images = run(tmp_path / "in", tmp_path / "out")
    assert images.index["split"].value_counts().to_dict() == {"train": 16, "test": 4}


def test_copies_across_splits_and_classes_are_told(tmp_path, capsys):
    """A copy is of the same pixels, in whatever file."""
    tree(tmp_path / "in", {"train/a": 5, "train/b": 5, "test/a": 2, "test/b": 2})
    run(tmp_path / "in", tmp_path / "out")
    assert "copies" not in capsys.readouterr().err
    Image.open(tmp_path / "in/train/a/000.png").save(tmp_path / "in/test/a/copy.bmp")
    Image.open(tmp_path / "in/train/b/001.png").save(tmp_path / "in/train/a/copy.png")
    run(tmp_path / "in", tmp_path / "out")
    said = capsys.readouterr().err
    assert "1 held-out images are copies of images to train with" in said
    assert "(test/a/copy.bmp of train/a/000.png)" in said
    assert "2 images have copies in another class (train/a/copy.png, train/b/001.png)" in said


def test_copies_in_an_npz_are_told(tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8)
    images[19] = images[0]
    split = np.array(["train"] * 10 + ["test"] * 10)
    np.savez(tmp_path / "in.npz", images=images, labels=np.arange(20) % 2, split=split)
    run(tmp_path / "in.npz", tmp_path / "out")
    said = capsys.readouterr().err
    assert "1 held-out images are copies of images to train with" in said
    assert "(in.npz[19] of in.npz[0])" in said


@pytest.mark.parametrize("val", [True, False])
def test_splits_of_its_own(tmp_path, val):
    counts = {"train/a": 5, "train/b": 4, "test/a": 2, "test/b": 3} | ({"val/b": 1} if val else {})
    tree(tmp_path / "in", counts)
    images = run(tmp_path / "in", tmp_path / "out")
    found = (images.index["split"] + "/" + images.index["class"]).value_counts().to_dict()
    assert found == counts
    assert images.index["source"].str.match(r"(train|val|test)/[ab]/\d{3}\.png").all()


@pytest.mark.parametrize("form", ["tree", "npz"])
@pytest.mark.parametrize("entry", [{"val_fraction": 0.2}, {"test_fraction": 0.4}])
def test_fractions_of_images_that_have_splits_are_refused(tmp_path, form, entry):
    path = tmp_path / "in"
    if form == "tree":
        tree(path, {"train/a": 5, "train/b": 5, "test/a": 2, "test/b": 2})
    else:
        path = archive(tmp_path / "a.npz", split=np.array(["train"] * 10 + ["test"] * 10))
    refused(path, tmp_path / "out", f"has splits of its own, so that `{next(iter(entry))}` of the data set", **entry)
    run(path, tmp_path / "out", test_fraction=0.2, val_fraction=0.0)  # what the schema fills in


def test_folders_beside_the_splits_are_said(tmp_path, capsys):
    tree(tmp_path / "in", {"a/x": 3, "a/y": 3, "b/x": 2, "b/y": 2, "more/x": 2})
    images = run(tmp_path / "in", tmp_path / "out", splits={"train": "a", "test": "b"})
    assert len(images.array) == 10
    assert "1 folders that the key `splits` does not name are left out: more" in capsys.readouterr().err


def test_same_images_and_labels_as_torchvision(tmp_path):
    from torchvision.datasets import ImageFolder

    tree(tmp_path / "in", {"b": 3, "A": 4, "a/deeper": 2, "a/deep": 3, "10": 3, "9": 3})
    (tmp_path / "in" / "a" / "notes.txt").write_text("not an image")
    (tmp_path / "in" / "a" / "Thumbs.db").write_bytes(b"x")
    ours, theirs = run(tmp_path / "in", tmp_path / "out"), ImageFolder(tmp_path / "in")
    assert ours.classes == theirs.classes
    by_source = {Path(path).relative_to(tmp_path / "in").as_posix(): label for path, label in theirs.samples}
    assert by_source == dict(zip(ours.index["source"], ours.index["label"], strict=True))
    for number, (path, _) in enumerate(theirs.samples):
        row = ours.index["source"].tolist().index(Path(path).relative_to(tmp_path / "in").as_posix())
        np.testing.assert_array_equal(ours.array[row], np.asarray(theirs[number][0]))


def test_hidden_files_are_left_out(tmp_path):
    made = tree(tmp_path / "in", {"a": 5, "b": 5})
    (tmp_path / "in" / "a" / "._000.png").write_bytes(b"macOS")
    tree(tmp_path / "in", {".git": 1, "a/.ipynb_checkpoints": 2})
    assert sorted(run(tmp_path / "in", tmp_path / "out").index["source"]) == sorted(made)


def test_linked_class_folders_are_followed(tmp_path):
    tree(tmp_path / "elsewhere", {"a": 4})
    tree(tmp_path / "in", {"b": 4})
    (tmp_path / "in" / "a").symlink_to(tmp_path / "elsewhere" / "a")
    assert run(tmp_path / "in", tmp_path / "out").classes == ["a", "b"]


def test_more_images_than_one_batch(tmp_path, monkeypatch):
    monkeypatch.setattr("phenoviews.data.readers.folder.BATCH", 4)
    made = tree(tmp_path / "in", {"a": 11, "b": 6})
    images = run(tmp_path / "in", tmp_path / "out")
    for array, source in zip(images.array, images.index["source"], strict=True):
        np.testing.assert_array_equal(array, made[source])


def test_progress_bar(tmp_path, capsys):
    tree(tmp_path / "in", {"a": 5, "b": 5})
    run(tmp_path / "in", tmp_path / "out")
    assert "10/10" in capsys.readouterr().err


PETS = {"pets": ["cat", "dog"], "birds": ["wren"]}


@pytest.mark.parametrize("form", ["tree", "npz"])
def test_superclasses(tmp_path, form):
    names = np.repeat(["cat", "dog", "wren"], 5)
    if form == "tree":
        tree(tmp_path / "in", dict.fromkeys(["wren", "cat", "dog"], 5))
    else:
        archive(tmp_path / "in.npz", images=np.zeros((15, 4, 4), np.uint8), labels=names)
    images = run(tmp_path / ("in" if form == "tree" else "in.npz"), tmp_path / "out", superclasses=PETS)
    assert images.classes == ["cat", "dog", "wren"]
    assert images.superclasses == ["pets", "pets", "birds"]
    assert (images.index["superclass"] == np.where(images.index["class"] == "wren", "birds", "pets")).all()


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        ({"pets": ["cat", "dog"]}, "lacks the class 'wren'"),
        ({**PETS, "hunters": ["cat"]}, "has more than once the class 'cat'"),
        ({**PETS, "fish": ["dogfish"]}, "has a class that the data lack, 'dogfish'"),
    ],
)
def test_superclasses_that_are_not_those_of_the_classes(tmp_path, groups, reason):
    tree(tmp_path / "in", dict.fromkeys(["wren", "cat", "dog"], 5))
    message = refused(
        tmp_path / "in", tmp_path / "out", f"key `superclasses` of the data set {reason}", superclasses=groups
    )
    assert "/in: " in message


# --- trees that are refused ---


@pytest.mark.parametrize("kind", ["corrupt", "truncated", "text"])
def test_one_broken_image_is_named(tmp_path, kind):
    tree(tmp_path / "in", {"a": 5, "b": 5})
    bad = tmp_path / "in" / "b" / "003.png"
    data = bad.read_bytes()
    bad.write_bytes({"corrupt": data[:60] + b"\xff" + data[61:], "truncated": data[:80], "text": b"hello"}[kind])
    refused(tmp_path / "in", tmp_path / "out", r"in: 1 of its 10 images cannot be read, .*: b/003\.png \(")


def test_truncated_tiff_is_named(tmp_path):
    tree(tmp_path / "in", {"a": 5, "b": 5}, save=tiff, suffix=".tif")
    bad = tmp_path / "in" / "a" / "002.tif"
    bad.write_bytes(bad.read_bytes()[:-10])
    refused(tmp_path / "in", tmp_path / "out", r"a/002\.tif \(truncated")


@pytest.mark.parametrize(
    ("other", "described"),
    [
        (
            {"height": 8},
            "10 of 9x7 pixels, RGB, 8 bits (as a/000.png) and 2 of 8x7 pixels, RGB, 8 bits (as odd/000.png)",
        ),
        ({"channels": 1}, "10 of 9x7 pixels, RGB, 8 bits (as a/000.png) and 2 of 9x7 pixels, grey, 8 bits"),
        ({"dtype": np.uint16}, "10 of 9x7 pixels, RGB, 8 bits (as a/000.png) and 2 of 9x7 pixels, RGB, 16 bits"),
    ],
)
def test_mixed_images(tmp_path, other, described, monkeypatch):
    monkeypatch.setattr("phenoviews.data.readers.folder.BATCH", 5)
    tree(tmp_path / "in", {"a": 5, "b": 5})
    tree(tmp_path / "in", {"odd": 2}, lambda: picture(**other))
    assert described in refused(tmp_path / "in", tmp_path / "out", "images are of 2 kinds")


@pytest.mark.parametrize(
    ("counts", "entry", "reason"),
    [
        ({"a": 5}, {}, "has only the class 'a'"),
        ({"train/a": 5, "test/a": 5}, {}, "has only the class 'a'"),
        ({"": 3}, {}, "no images in folders named by class"),
        ({"a": 5, "b": 0}, {}, r"in/b: has no images \(\.png"),
        ({"a": 5, "b": 1}, {}, "class 'b' has 1"),
        ({"a": 5, "b": 2}, {"val_fraction": 0.1}, "class 'b' has 2"),
        ({"a": 5, "b": 5}, {"test_fraction": 1.5}, "must be fractions"),
        ({"train/a": 5, "train/b": 5}, {}, "holds train; with splits of its own it needs train and test"),
        ({"train/a": 5, "val/a": 5}, {}, "holds train, val; with splits"),
        ({"train/a": 5, "test/a": 5, "extra/a": 5}, {}, "holds extra, test, train; with splits"),
        ({"train/a": 5, "train/b": 5, "test/a": 5, "test/c": 5}, {}, "in: test has the class 'c', which train lacks"),
        ({"train/a": 5, "train/b": 5, "test": 5}, {}, "in/test: has no images in folders named by class"),
    ],
)
def test_trees_that_are_refused(tmp_path, counts, entry, reason):
    tree(tmp_path / "in", counts)
    refused(tmp_path / "in", tmp_path / "out", reason, **entry)


def test_path_that_is_nothing(tmp_path):
    refused(
        tmp_path / "nowhere", tmp_path / "out", r"nowhere: neither a folder nor an \.npz file; check the key `path`"
    )
    (tmp_path / "a.zip").write_bytes(b"x")
    refused(tmp_path / "a.zip", tmp_path / "out", "neither a folder nor")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_image(tmp_path):
    tree(tmp_path / "in", {"a": 5, "b": 5})
    (tmp_path / "in" / "a" / "001.png").chmod(0)
    refused(tmp_path / "in", tmp_path / "out", r"a/001\.png \(")


def test_full_disk(tmp_path, small_disk):
    tree(tmp_path / "in", {"a": 40, "b": 40}, lambda: picture(40, 40))
    refused(tmp_path / "in", small_disk / "out", "no space left")


# --- .npz ---


def archive(path: Path, **arrays: np.ndarray) -> Path:
    defaults = {"images": RNG.integers(0, 256, (20, 6, 5, 3), dtype=np.uint8), "labels": np.arange(20) % 2}
    np.savez_compressed(path, **{k: v for k, v in (defaults | arrays).items() if v is not None})
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, ">u2"])
@pytest.mark.parametrize("shape", [(20, 6, 5), (20, 6, 5, 1), (20, 6, 5, 3)])
def test_npz(tmp_path, dtype, shape):
    array = RNG.integers(0, 256, shape).astype(dtype) * (np.iinfo(dtype).max // 255)
    images = run(archive(tmp_path / "cells.npz", images=array), tmp_path / "out")
    assert images.array.dtype.isnative
    np.testing.assert_array_equal(images.array, array.reshape(20, 6, 5, -1))
    assert images.index["split"].value_counts().to_dict() == {"train": 16, "test": 4}
    assert images.index["source"].iloc[3] == "cells.npz[3]"


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array([10, 2, -1, 2] * 5), ["-1", "2", "10"]),
        (np.array(["taxol", "DMSO"] * 10), ["DMSO", "taxol"]),
        (np.array([b"taxol", b"DMSO"] * 10), ["DMSO", "taxol"]),
    ],
)
def test_npz_labels(tmp_path, labels, classes):
    images = run(archive(tmp_path / "a.npz", labels=labels), tmp_path / "out")
    assert images.classes == classes
    expected = [name.decode() if isinstance(name, bytes) else str(name) for name in labels]
    assert images.index["class"].tolist() == expected
    assert [classes[label] for label in images.index["label"]] == expected


def test_npz_with_splits_and_metadata(tmp_path):
    split = np.array(["train", "train", "val", "test"] * 5)
    well = np.array([f"A{n:02d}" for n in range(20)])
    path = archive(tmp_path / "a.npz", split=split, Metadata_well=well, Metadata_dose=np.arange(20) / 10, other=well)
    images = run(path, tmp_path / "out")
    assert images.index["split"].tolist() == split.tolist()
    assert images.index["Metadata_well"].tolist() == well.tolist()
    assert images.index["Metadata_dose"].tolist() == (np.arange(20) / 10).tolist()
    assert "other" not in images.index


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"labels": None}, "lacks the array `labels`; it holds images"),
        ({"images": np.zeros((20, 6, 5), np.float32)}, r"`images` is \(20, 6, 5\) float32"),
        ({"images": np.zeros((20, 3, 6, 5), np.uint8)}, r"`images` is \(20, 3, 6, 5\)"),
        ({"images": np.zeros((0, 6, 5), np.uint8), "labels": np.zeros(0, int)}, "`images` is"),
        ({"images": np.zeros((20, 6), np.uint8)}, "`images` is"),
        ({"labels": np.arange(19) % 2}, r"`labels` is \(19,\); it must be \(20,\)"),
        ({"labels": np.zeros((20, 2), int)}, r"`labels` is \(20, 2\)"),
        ({"labels": np.arange(20) / 2}, "`labels` is float64; it must be integers or strings"),
        ({"labels": np.zeros(20, int)}, "has only the class '0'"),
        ({"labels": np.array(["a", "b"] * 10, dtype=object)}, "`labels` cannot be read .*not as objects"),
        ({"images": np.array([None] * 20, dtype=object)}, "`images` cannot be read .*not as objects"),
        ({"split": np.array(["training"] * 20)}, "`split` holds 'training'"),
        ({"split": np.array(["train"] * 20)}, "`split` holds 'train'"),
        ({"split": np.array(["train", "test"])}, r"`split` is \(2,\)"),
        ({"Metadata_x": np.zeros(3)}, r"`Metadata_x` is \(3,\)"),
        ({"labels": np.repeat([0, 1], [19, 1])}, "class '1' has 1"),
    ],
)
def test_npz_that_is_refused(tmp_path, arrays, reason):
    message = refused(archive(tmp_path / "bad.npz", **arrays), tmp_path / "out", reason)
    assert "bad.npz: " in message


class Touch:
    """Unpickled, it would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_an_npz_is_resized_as_a_folder_is(tmp_path):
    path = archive(tmp_path / "a.npz", images=np.random.default_rng(0).integers(0, 256, (20, 12, 10, 3), np.uint8))
    whole = run(path, tmp_path / "whole")
    images = run(path, tmp_path / "out", resize="crop", side=6)
    np.testing.assert_array_equal(images.array, whole.array[:, 3:9, 2:8])
    assert run(path, tmp_path / "scaled", resize="shorter_side", side=5).array.shape == (20, 5, 5, 3)
    refused(path, tmp_path / "none", "20 of its 20 images are smaller", resize="crop", side=11)


def test_an_npz_is_one_whatever_the_case_of_its_name_and_has_no_folders(tmp_path):
    path = archive(tmp_path / "a.npz").rename(tmp_path / "A.NPZ")
    assert len(run(path, tmp_path / "out").array) == 20
    refused(path, tmp_path / "none", "an .npz has no folders for the key `splits`", splits={"train": "a", "test": "b"})


def test_classes_of_an_npz_that_differ_by_blanks_or_are_not_trained_on_are_refused(tmp_path):
    refused(archive(tmp_path / "a.npz", labels=np.array(["a", "a "] * 10)), tmp_path / "out", "differ by blanks only")
    split, labels = np.array(["train"] * 10 + ["test"] * 10), np.array(["a", "b"] * 5 + ["a", "c"] * 5)
    path = archive(tmp_path / "b.npz", labels=labels, split=split)
    refused(path, tmp_path / "out", "test has the class 'c', which train lacks")


def test_a_crop_larger_than_some_images_is_refused(tmp_path):
    tree(tmp_path / "in", {"a": 3, "b": 3})
    png(tmp_path / "in/a/small.png", picture(5, 5))
    entry = {"resize": "crop", "side": 6}
    refused(
        tmp_path / "in", tmp_path / "out", "1 of its 7 images are smaller than the `side: 6` .*lower it to 5", **entry
    )
    assert run(tmp_path / "in", tmp_path / "out", resize="crop", side=5).array.shape[1:3] == (5, 5)


def test_npz_objects_are_never_loaded(tmp_path):
    labels = np.array([Touch(tmp_path / "executed")] * 20, dtype=object)
    refused(archive(tmp_path / "bad.npz", labels=labels), tmp_path / "out", "not as objects")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("keep", [0, 4, 100, 1500, -30])
def test_truncated_npz(tmp_path, keep):
    path = archive(tmp_path / "bad.npz")
    path.write_bytes(path.read_bytes()[:keep])
    refused(path, tmp_path / "out", r"bad\.npz: it cannot be read")


def test_corrupt_npz(tmp_path):
    path = archive(tmp_path / "bad.npz")
    data = bytearray(path.read_bytes())
    data[1000] ^= 0xFF
    path.write_bytes(data)
    refused(path, tmp_path / "out", r"bad\.npz: `images` cannot be read")


# --- real cells ---


def test_real_cells_as_tiffs_and_as_npz(shared_data, tmp_path):
    """16-bit fluorescence: the same array whether it comes as files or as one .npz."""
    with np.load(shared_data / "bbbc021" / "cells-mikkelnrasmussen.npz", allow_pickle=False) as file:
        cells = file["images"][:60]
    labels = np.repeat(["one", "two"], 30)
    for number, (cell, label) in enumerate(zip(cells, labels, strict=True)):
        (tmp_path / "in" / label).mkdir(parents=True, exist_ok=True)
        tiff(tmp_path / "in" / label / f"{number:03d}.tif", cell, photometric="rgb")
    np.savez_compressed(tmp_path / "cells.npz", images=cells, labels=labels)
    files, packed = run(tmp_path / "in", tmp_path / "a"), run(tmp_path / "cells.npz", tmp_path / "b")
    np.testing.assert_array_equal(files.array, cells)
    np.testing.assert_array_equal(packed.array, cells)
    assert files.index["split"].tolist() == packed.index["split"].tolist()
    assert files.array.dtype == np.uint16
