"""Folders as people have them: splits under many names, links, files of other kinds, sizes and colours that differ."""

from __future__ import annotations

import importlib.util
import os

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image, features
from tests.data.readers.test_folder import picture, pillow, png, refused, run, tiff, tree

from phenoviews.data import pixels
from phenoviews.data.readers.tree import split_word

# --- splits ---


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "test"), ("train", "test")),
        (("Train", "TEST"), ("train", "test")),
        (("training", "testing"), ("train", "test")),
        (("Training_Set", "test-images"), ("train", "test")),
        (("trainset", "valset", "testset"), ("train", "val", "test")),
        (("TrainingData", "ValidationData", "TestData"), ("train", "val", "test")),
        (("train2017", "dev", "test2017"), ("train", "val", "test")),
        (("1 train", "2 valid", "3 test"), ("train", "val", "test")),
    ],
)
def test_splits_by_what_they_are_called(tmp_path, names, splits):
    tree(tmp_path / "in", {f"{name}/{label}": 3 + part for part, name in enumerate(names) for label in "ab"})
    images = run(tmp_path / "in", tmp_path / "out")
    assert images.classes == ["a", "b"]
    found = images.index["source"].str.partition("/")[0].groupby(images.index["split"]).unique()
    assert {split: list(folders) for split, folders in found.items()} == {
        split: [name] for name, split in zip(names, splits, strict=True)
    }


@pytest.mark.parametrize(
    "names",
    [("train", "valid"), ("train", "eval"), ("Training", "Holdout"), ("fold1", "fold2", "fold3"), ("train", "extra"),
     ("train", "training", "test"), ("test", "control"), ("trainval", "test"), ("hold-out", "train")],
)  # fmt: skip
def test_what_could_be_splits_is_never_classes(tmp_path, names):
    tree(tmp_path / "in", {f"{name}/{label}": 3 for name in names for label in "ab"})
    refused(tmp_path / "in", tmp_path / "out", "it needs train and test, may have val, .* the key `splits`")


def test_words_that_only_begin_alike_are_classes(tmp_path):
    assert not any(split_word(name)[0] for name in ("trainer", "tested", "valve", "taxol", "9", "dataset", "images"))
    tree(tmp_path / "in", {"valve": 5, "trainer": 5})
    assert run(tmp_path / "in", tmp_path / "out").classes == ["trainer", "valve"]


def test_splits_that_are_told(tmp_path):
    tree(tmp_path / "in", {f"{name}/{label}": 4 for name in ("train", "valid") for label in "ab"})
    told = run(tmp_path / "in", tmp_path / "told", splits={"train": "train", "test": "valid"})
    assert told.index.groupby("split")["source"].first().to_dict() == {
        "train": "train/a/000.png",
        "test": "valid/a/000.png",
    }
    classes = run(tmp_path / "in", tmp_path / "classes", splits={})
    assert classes.classes == ["train", "valid"]
    lacking = {"train": "train", "test": "validation"}
    refused(tmp_path / "in", tmp_path / "out", "no folder 'validation', which the key `splits`", splits=lacking)


def test_splits_inside_classes_are_refused(tmp_path):
    tree(tmp_path / "in", {f"{label}/{split}": 4 for split in ("Train", "test") for label in "ab"})
    refused(tmp_path / "in", tmp_path / "out", "in/a: has the folder 'Train', which is a split, inside a class")


def test_classes_that_differ_by_blanks_are_refused(tmp_path):
    tree(tmp_path / "in", {"DMSO": 4, "DMSO ": 4})
    refused(tmp_path / "in", tmp_path / "out", "'DMSO' and 'DMSO ' differ by blanks only")


# --- links ---


def test_a_linked_image_counts_once(tmp_path, capsys):
    tree(tmp_path / "in", {"a": 5, "b": 5})
    (tmp_path / "in/a/again.png").symlink_to(tmp_path / "in/a/002.png")
    (tmp_path / "in/a/000-first.png").symlink_to(tmp_path / "in/a/001.png")
    (tmp_path / "in/b/more").symlink_to(tmp_path / "in/b")
    images = run(tmp_path / "in", tmp_path / "out")
    assert sorted(images.index["source"]) == sorted(f"{name}/{n:03d}.png" for name in "ab" for n in range(5))
    assert "2 files are links to images that are there already" in capsys.readouterr().err


def test_circles_of_links_end(tmp_path):
    tree(tmp_path / "in", {"a": 4, "a/deeper": 2, "b": 4})
    (tmp_path / "in/a/deeper/up").symlink_to(tmp_path / "in/a")
    (tmp_path / "in/b/round").symlink_to(tmp_path / "in/b/round")
    assert len(run(tmp_path / "in", tmp_path / "out").index) == 10


def test_images_elsewhere_are_followed(tmp_path):
    made = tree(tmp_path / "store", {"x": 8})
    for number, source in enumerate(made):
        target = tmp_path / "in" / "ab"[number % 2] / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(tmp_path / "store" / source)
    assert len(run(tmp_path / "in", tmp_path / "out").index) == 8


@pytest.mark.parametrize(
    ("counts", "link", "to", "what"),
    [({"a": 4, "b": 4}, "a/x.png", "b/000.png", "classes"), ({"a": 4, "b": 4}, "c", "b", "classes"),
     ({"train/a": 4, "train/b": 4, "test/a": 4, "test/b": 4}, "test/a/x.png", "train/a/000.png", "splits")],
)  # fmt: skip
def test_one_image_in_two_classes_or_splits_is_refused(tmp_path, counts, link, to, what):
    tree(tmp_path / "in", counts)
    (tmp_path / "in" / link).symlink_to(tmp_path / "in" / to)
    refused(tmp_path / "in", tmp_path / "out", f"are one image in two {what}")


def test_a_link_to_nothing_is_an_image_that_cannot_be_read(tmp_path):
    tree(tmp_path / "in", {"a": 4, "b": 4})
    (tmp_path / "in/a/gone.png").symlink_to(tmp_path / "gone.png")
    refused(tmp_path / "in", tmp_path / "out", r"1 of its 9 images cannot be read.*: a/gone\.png \(")


# --- which files ---


@pytest.mark.parametrize("suffix", [".bmp", ".webp", ".tga", ".ppm", ".PNG", ".jfif", ".tf8", ".gif"])
def test_suffixes(tmp_path, suffix):
    def save(path, array):
        if suffix == ".tf8":
            tiff(path, array, bigtiff=True)
        elif suffix == ".gif":
            Image.fromarray(array).quantize(63).save(path)
        else:
            pillow(path, array, **({"lossless": True} if suffix == ".webp" else {}))

    made = tree(tmp_path / "in", {"a": 4, "b": 4}, save=save, suffix=suffix)
    images = run(tmp_path / "in", tmp_path / "out")
    for array, source in zip(images.array, images.index["source"], strict=True):
        if suffix == ".jfif":
            with Image.open(tmp_path / "in" / source) as image:
                np.testing.assert_array_equal(array, np.asarray(image))
        else:
            np.testing.assert_array_equal(array, made[source])


def test_what_is_left_out_is_named_with_its_count(tmp_path, capsys):
    tree(tmp_path / "in", {"a": 4, "b": 4})
    for number in range(3):
        (tmp_path / f"in/a/{number}.czi").write_bytes(b"x")
    (tmp_path / "in/b/notes.txt").write_text("x")
    (tmp_path / "in/overview.png").write_bytes((tmp_path / "in/a/000.png").read_bytes())
    run(tmp_path / "in", tmp_path / "out")
    said = capsys.readouterr().err
    assert "4 files are no images that can be read here and are left out: 3 of .czi (as a/0.czi), 1 of .txt" in said
    assert "1 images lie in no class folder and are left out: overview.png" in said


def test_a_file_is_what_its_first_bytes_say(tmp_path):
    array = picture(9, 9, 1, np.uint16)
    tiff(tmp_path / "really-a-tiff.png", array)
    np.testing.assert_array_equal(pixels.read(tmp_path / "really-a-tiff.png")[..., 0], array)


@pytest.mark.parametrize("name", ["my screen", "{plate}", "Zellen ä ß µM", "50% [x] $HOME #1", "a'b\"c"])
def test_any_name(tmp_path, name):
    made = tree(tmp_path / name, {f"{name}/x": 4, "DMSO": 4})
    images = run(tmp_path / name, tmp_path / "out")
    assert images.classes == sorted(["DMSO", name])
    assert sorted(images.index["source"]) == sorted(made)


# --- colours ---


def grey_as_rgb(path, array):
    pillow(path, np.repeat(array[..., None], 3, axis=2))


def grey_palette(path, array):
    image = Image.fromarray(array).convert("P")
    image.putpalette([value for value in range(256) for _ in range(3)])
    image.save(path)


@pytest.mark.parametrize("save", [grey_as_rgb, grey_palette])
def test_grey_saved_as_colour_is_grey(tmp_path, save):
    made = tree(tmp_path / "in", {"a": 5}, lambda: picture(channels=1), save)
    made |= tree(tmp_path / "in", {"b": 5}, lambda: picture(channels=1))
    images = run(tmp_path / "in", tmp_path / "out")
    assert images.array.shape == (10, 9, 7, 1)
    for array, source in zip(images.array, images.index["source"], strict=True):
        np.testing.assert_array_equal(array[..., 0], made[source])


@pytest.mark.parametrize("coloured", ["a/000.png", "b/004.png"])
def test_one_colour_image_makes_the_set_coloured(tmp_path, coloured):
    """Whichever it is: nothing hangs on the first."""
    tree(tmp_path / "in", {"a": 5, "b": 5}, lambda: picture(channels=1), grey_as_rgb)
    pillow(tmp_path / "in" / coloured, picture())
    assert run(tmp_path / "in", tmp_path / "out").array.shape == (10, 9, 7, 3)
    png(tmp_path / "in/a/002.png", picture(channels=1))
    refused(tmp_path / "in", tmp_path / "again", "9 of 9x7 pixels, RGB, 8 bits .* and 1 of 9x7 pixels, grey, 8 bits")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 12])
@pytest.mark.parametrize("how", ["contig", "pages", "imagej"])
def test_declared_channels_of_tiffs(tmp_path, count, how):
    def save(path, array):
        planes = np.ascontiguousarray(array.transpose(2, 0, 1))
        if how == "contig":
            tiff(path, array.squeeze(), photometric="minisblack", planarconfig="contig")
        elif how == "pages":
            tiff(path, planes, photometric="minisblack")
        else:
            tiff(path, planes, imagej=True, metadata={"axes": "CYX"})

    def make():
        return picture(9, 11, count, np.uint16).reshape(9, 11, count)

    made = tree(tmp_path / "in", {"a": 4, "b": 4}, make, save, ".tif")
    images = run(tmp_path / "in", tmp_path / "out", channels=[f"stain {n}" for n in range(count)])
    for array, source in zip(images.array, images.index["source"], strict=True):
        np.testing.assert_array_equal(array, made[source])
    if count not in (1, 3):
        refused(tmp_path / "in", tmp_path / "again", "neither one grey nor one RGB image")
        refused(
            tmp_path / "in", tmp_path / "again", f"{count} channels where `channels` .* says 6|: {count}`", channels=6
        )


def test_a_fourth_channel_is_never_taken_for_alpha(tmp_path):
    """A stain may be saturated everywhere; only a format that says "alpha" has one."""

    def make():
        array = picture(9, 7, 4)
        array[..., 3] = 255
        return array

    def save(path, array):
        tiff(path, array, photometric="minisblack", planarconfig="contig")

    made = tree(tmp_path / "in", {"a": 4, "b": 4}, make, save, ".tif")
    refused(tmp_path / "in", tmp_path / "out", "if it has 4 channels, say `channels: 4`")
    images = run(tmp_path / "in", tmp_path / "out", channels=4)
    np.testing.assert_array_equal(images.array[0], made[images.index["source"][0]])
    made = tree(tmp_path / "rgba", {"a": 4, "b": 4}, make, png)
    assert run(tmp_path / "rgba", tmp_path / "opaque").array.shape[3] == 3
    declared = run(tmp_path / "rgba", tmp_path / "declared", channels=4)
    np.testing.assert_array_equal(declared.array[0], made[declared.index["source"][0]])
    Image.fromarray(picture(9, 7, 4)).save(tmp_path / "rgba/a/000.png")
    refused(tmp_path / "rgba", tmp_path / "again", r"a/000\.png \(it is partly transparent; if it has 4 channels, say")


@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_never_cut(tmp_path, predictor, channels):
    """Kept, or refused where a package for that compression is not there."""
    array = picture(12, 10, channels, np.uint16)
    for name, how in {"deflate": {"compression": "zlib", "predictor": predictor}, "none": {}}.items():
        tiff(tmp_path / f"{name}.tif", array, photometric="rgb" if channels == 3 else "minisblack", **how)
        np.testing.assert_array_equal(pixels.read(tmp_path / f"{name}.tif").squeeze(), array)
    header = f"P{6 if channels == 3 else 5}\n10 12\n65535\n".encode()
    (tmp_path / "a.ppm").write_bytes(header + array.astype(">u2").tobytes())
    with pytest.raises(pixels.Unreadable, match="do not go from 0 to 255"):
        pixels.read(tmp_path / "a.ppm")


@pytest.mark.skipif(not features.check("libtiff"), reason="this Pillow was built without libtiff")
def test_16_bit_colour_in_lzw_is_exact_or_refused(tmp_path):
    """As ImageJ, Zen and Photoshop save it: the bytes of an 8-bit image of twice the width under other tags."""
    array = picture(12, 10, 3, np.uint16)
    Image.fromarray(array.view(np.uint8).reshape(12, 20, 3)).save(tmp_path / "a.tif", compression="tiff_lzw")
    for name, value in {"ImageWidth": 10, "BitsPerSample": (16, 16, 16)}.items():
        with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
            file.pages[0].tags[name].overwrite(value)
    try:
        np.testing.assert_array_equal(pixels.read(tmp_path / "a.tif"), array)
    except pixels.Unreadable as error:
        assert importlib.util.find_spec("imagecodecs") is None
        assert "imagecodecs" in error.reason  # noqa: PT017


def test_one_bit_tiff(tmp_path):
    mask = picture(9, 9, 1) > 127
    for photometric, expected in (("minisblack", mask), ("miniswhite", ~mask)):
        tiff(tmp_path / "mask.tif", mask, photometric=photometric)
        np.testing.assert_array_equal(pixels.read(tmp_path / "mask.tif")[..., 0], expected * 255)


# --- sizes ---


def ragged(root, dtype=np.uint8, channels=3):
    sizes = iter([(20, 30), (24, 18), (18, 18), (40, 21)] * 3)
    return tree(root, {"a": 6, "b": 6}, lambda: picture(*next(sizes), channels, dtype), tiff, ".tif")


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 3), (np.uint16, 1)])
def test_ragged_images_are_cropped_around_the_middle(tmp_path, dtype, channels):
    made = ragged(tmp_path / "in", dtype, channels)
    refused(tmp_path / "in", tmp_path / "out", "by the key `resize` of the data set how")
    images = run(tmp_path / "in", tmp_path / "crop", resize="crop")
    assert images.array.shape[1:3] == (18, 18)
    for array, source in zip(images.array, images.index["source"], strict=True):
        whole = made[source]
        top, left = ((side - 18) // 2 for side in whole.shape[:2])
        np.testing.assert_array_equal(array.squeeze(), whole[top : top + 18, left : left + 18])
    padded = run(tmp_path / "in", tmp_path / "pad", resize="pad")
    assert padded.array.shape[1:3] == (40, 30)
    for array, source in zip(padded.array, padded.index["source"], strict=True):
        assert array.sum(dtype=np.int64) == made[source].sum(dtype=np.int64)


def test_shorter_side(tmp_path):
    made = ragged(tmp_path / "in")
    images = run(tmp_path / "in", tmp_path / "out", resize="shorter_side", side=9)
    assert images.array.shape[1:3] == (9, 9)
    for array, source in zip(images.array, images.index["source"], strict=True):
        height, width = made[source].shape[:2]
        scale = 9 / min(height, width)
        size = max(9, round(width * scale)), max(9, round(height * scale))
        whole = np.asarray(Image.fromarray(made[source]).resize(size, Image.Resampling.BILINEAR), int)
        top, left = ((side - 9) // 2 for side in whole.shape[:2])
        assert np.abs(array - whole[top : top + 9, left : left + 9]).max() <= 1  # Pillow rounds between both axes


def test_an_even_16_bit_image_stays_even(tmp_path):
    tree(tmp_path / "in", {"a": 4, "b": 4}, lambda: np.full((20, 31), 40_001, np.uint16), tiff, ".tif")
    tree(tmp_path / "in", {"c": 4}, lambda: np.full((16, 16), 65_535, np.uint16), tiff, ".tif")
    images = run(tmp_path / "in", tmp_path / "out", resize="shorter_side")
    assert set(np.unique(images.array)) == {40_001, 65_535}


# --- what cannot be read ---


def test_all_unreadable_images_are_named_at_once_or_left_out_up_to_a_share(tmp_path, capsys):
    made = tree(tmp_path / "in", {"a": 10, "b": 10})
    for source in ("a/003.png", "b/007.png"):
        (tmp_path / "in" / source).write_bytes(b"hello")
    message = refused(tmp_path / "in", tmp_path / "out", "2 of its 20 images cannot be read", unreadable_fraction=0.05)
    assert "a/003.png (" in message
    assert "b/007.png (" in message
    assert "unreadable_fraction" in message
    images = run(tmp_path / "in", tmp_path / "out", unreadable_fraction=0.1)
    assert set(images.index["source"]) == set(made) - {"a/003.png", "b/007.png"}
    for array, source in zip(images.array, images.index["source"], strict=True):
        np.testing.assert_array_equal(array, made[source])
    left_out = pd.read_csv(tmp_path / "out/left_out.csv")
    assert left_out["source"].tolist() == ["a/003.png", "b/007.png"]
    assert "2 images cannot be read and are left out" in capsys.readouterr().err


def test_a_class_of_which_nothing_can_be_read_is_refused(tmp_path):
    tree(tmp_path / "in", {"a": 10, "b": 10, "c": 1})
    (tmp_path / "in/c/000.png").write_bytes(b"hello")
    refused(tmp_path / "in", tmp_path / "out", "no image of the class 'c' can be read", unreadable_fraction=0.5)


def test_nothing_is_left_behind(tmp_path):
    tree(tmp_path / "in", {"a": 5, "b": 5})
    run(tmp_path / "in", tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == ["images.npy", "index.parquet"]


def test_an_image_that_was_repaired_is_no_longer_said_to_be_left_out(tmp_path):
    made = tree(tmp_path / "in", {"a": 5, "b": 5})
    whole = (tmp_path / "in/a/003.png").read_bytes()
    (tmp_path / "in/a/003.png").write_bytes(b"hello")
    run(tmp_path / "in", tmp_path / "out", unreadable_fraction=0.1)
    assert (tmp_path / "out/left_out.csv").exists()
    (tmp_path / "in/a/003.png").write_bytes(whole)
    assert set(run(tmp_path / "in", tmp_path / "out", unreadable_fraction=0.1).index["source"]) == set(made)
    assert not (tmp_path / "out/left_out.csv").exists()


def test_tifffile_and_pillow_know_what_is_read():
    Image.init()
    others = {f".{suffix}" for suffix in tifffile.TIFF.FILE_EXTENSIONS}
    assert set(pixels.SUFFIXES) <= set(Image.EXTENSION) | others
