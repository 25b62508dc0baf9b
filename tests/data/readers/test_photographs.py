"""Patches of photographs: real pixels, a class each, nothing shared between training and testing."""

from __future__ import annotations

import functools
import importlib.metadata
import itertools
import re
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import distance_transform_cdt

from phenoviews.data import Images
from phenoviews.data.readers import photographs, prepare
from phenoviews.data.readers.photographs import GAP, PHOTOGRAPHS
from phenoviews.errors import UserError
from phenoviews.study.document import shipped

ENTRY = {"kind": "photographs", "patch": 24, "train_per_class": 30, "test_per_class": 12, "split_seed": 0}


def run(out, **changed) -> Images:
    prepare({**ENTRY, **changed}, {}, out / "images.npy", out / "index.parquet")
    return Images.open(out)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Images:
    return run(tmp_path_factory.mktemp("photographs"))


@functools.cache
def photograph(package, file) -> np.ndarray:
    with Image.open(str(files(package).joinpath(file))) as image:
        assert image.mode == "RGB"
        return np.asarray(image)


def corners(images: Images) -> pd.DataFrame:
    """Package, file and upper left corner of every patch."""
    return (
        images.index["source"]
        .str.extract(r"(?P<package>\w+)/(?P<file>\S+) (?P<x>\d+),(?P<y>\d+)")
        .astype({"x": int, "y": int})
    )


def test_every_patch_is_where_its_source_says(images):
    for patch, place, name in zip(images.array, corners(images).itertuples(), images.index["class"], strict=True):
        assert PHOTOGRAPHS[name][1:] == (place.package, place.file)
        whole = photograph(place.package, place.file)
        np.testing.assert_array_equal(patch, whole[place.y : place.y + 24, place.x : place.x + 24])


def test_classes_counts_and_superclasses(images):
    assert images.classes == list(PHOTOGRAPHS)
    counts = images.index.groupby(["class", "split"]).size()
    assert counts.loc[:, "train"].eq(30).all()
    assert counts.loc[:, "test"].eq(12).all()
    assert len(counts) == 20
    assert images.superclasses == [superclass for superclass, *_ in PHOTOGRAPHS.values()]
    assert min(pd.Series(images.superclasses).value_counts()) > 1


@pytest.mark.parametrize("patch", [8, 32, 59])
def test_no_pixel_and_no_neighbourhood_of_one_is_in_both_splits(tmp_path, patch):
    """The patches that are drawn, and, in the smallest photograph, all that could be."""
    images = run(tmp_path, patch=patch, train_per_class=40, test_per_class=4)
    places = corners(images).assign(split=images.index["split"])
    for (package, file), here in places.groupby(["package", "file"]):
        taken = {split: np.zeros(photograph(package, file).shape[:2], dtype=bool) for split in ("train", "test")}
        for place in here.itertuples():
            taken[place.split][place.y : place.y + patch, place.x : place.x + patch] = True
        assert apart(taken["train"], taken["test"])
    taken = {split: np.zeros((300, 451), dtype=bool) for split in ("train", "test")}
    for split, mask in taken.items():
        for y, x in photographs.places((300, 451), patch, split):
            mask[y : y + patch, x : x + patch] = True
    assert apart(taken["train"], taken["test"])


def apart(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether at least GAP pixels lie between any pixel of one and any of the other."""
    return bool(distance_transform_cdt(~one, "chessboard")[other].min() > GAP)


def test_the_test_regions_are_spread_over_the_picture(images):
    """One in every row and column of blocks, so that no side of a photograph is unseen."""
    rows, columns = zip(*photographs.TEST, strict=True)
    assert sorted(rows) == sorted(columns) == list(range(photographs.BLOCKS))
    for (row, column), (other_row, other_column) in itertools.combinations(photographs.TEST, 2):
        assert max(abs(row - other_row), abs(column - other_column)) > 1


def test_no_patch_is_drawn_twice(tmp_path):
    images = run(tmp_path, patch=58, train_per_class=40)
    assert images.index["source"].is_unique


def test_the_settings_decide_all(images, tmp_path):
    again = run(tmp_path / "again")
    assert (again.folder / "images.npy").read_bytes() == (images.folder / "images.npy").read_bytes()
    pd.testing.assert_frame_equal(again.index, images.index)
    other = run(tmp_path / "other", split_seed=1)
    assert (other.index["source"] != images.index["source"]).mean() > 0.9


def test_more_training_patches_leave_the_test_patches(images, tmp_path):
    more = run(tmp_path, train_per_class=50)
    for split, expected in (("test", True), ("train", False)):
        sources = [set(each.index["source"][each.rows(split)]) for each in (images, more)]
        assert (sources[0] == sources[1]) == expected


def test_the_files_are_in_the_wheels():
    """Not what scikit-image has downloaded into its folder or cache."""
    distributions = {"skimage": "scikit-image", "sklearn": "scikit-learn"}
    for _, package, file in PHOTOGRAPHS.values():
        shipped_files = {str(path) for path in importlib.metadata.files(distributions[package])}
        assert f"{package}/{file}" in shipped_files


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"patch": 60}, "cat has 0 places for train patches of 60 pixels, 30 are asked for; lower `patch` or"),
        ({"patch": 59, "test_per_class": 1000}, r"cat has \d+ places for test patches of 59 .* or `test_per_class`"),
    ],
)
def test_what_a_photograph_has_no_room_for(tmp_path, changed, reason):
    with pytest.raises(UserError, match=reason):
        run(tmp_path, **changed)
    assert list(tmp_path.iterdir()) == []


def test_a_package_without_the_file(tmp_path, monkeypatch):
    monkeypatch.setitem(photographs.PHOTOGRAPHS, "cat", ("living", "skimage", "data/dog.png"))
    with pytest.raises(UserError, match=re.escape("skimage: this version lacks data/dog.png")):
        run(tmp_path)


def test_the_shipped_entry_says_how_many_there_are(tmp_path):
    entry = shipped()["datasets"]["photographs"]
    assert len(run(tmp_path, **entry).rows("train")) == entry["images"]
