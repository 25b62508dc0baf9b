"""Stratified splits, and the handwritten digits that use them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from phenoviews.data import Images
from phenoviews.data.readers import READERS, prepare
from phenoviews.data.split import grouped, stratified
from phenoviews.errors import UserError

LABELS = np.random.default_rng(1).permutation(np.repeat([0, 1, 2], [100, 40, 11]))
CLASSES = ["a", "b", "c"]


def test_fractions_in_every_class():
    split = stratified(LABELS, CLASSES, 0.2, 0.1, seed=0)
    counts = {
        name: [int((split[n == LABELS] == part).sum()) for part in ("test", "val")] for n, name in enumerate("abc")
    }
    assert counts == {"a": [20, 10], "b": [8, 4], "c": [2, 1]}
    assert set(split) == {"train", "val", "test"}


def test_seed_decides():
    draws = [stratified(LABELS, CLASSES, 0.2, 0.1, seed) for seed in (0, 0, 1)]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()


def test_a_class_that_grows_moves_no_other():
    before = stratified(LABELS, CLASSES, 0.2, 0.0, 0)
    more = np.append(LABELS, [2, 2, 2])
    after = stratified(more, CLASSES, 0.2, 0.0, 0)
    others = LABELS != 2
    assert (before[others] == after[: len(LABELS)][others]).all()


def test_every_image_can_be_drawn():
    drawn = np.mean([stratified(LABELS, CLASSES, 0.3, 0.0, seed) == "test" for seed in range(400)], axis=0)
    assert drawn[LABELS == 0].min() > 0.2
    assert drawn[LABELS == 0].max() < 0.4


@pytest.mark.parametrize(("count", "fits"), [(1, False), (2, False), (3, True)])
def test_smallest_class(count, fits):
    labels = np.repeat([0, 1], [50, count])
    if fits:
        split = stratified(labels, ["many", "few"], 0.2, 0.1, 0)
        assert sorted(split[50:]) == ["test", "train", "val"]
    else:
        with pytest.raises(UserError, match=rf"class 'few' has {count} image\(s\), too few"):
            stratified(labels, ["many", "few"], 0.2, 0.1, 0)


@pytest.mark.parametrize(("test", "val"), [(0, 0), (1, 0), (0.5, 0.5), (-0.1, 0), (0.2, -0.1), (0.2, 1)])
def test_impossible_fractions(test, val):
    with pytest.raises(UserError, match="must be fractions"):
        stratified(LABELS, CLASSES, test, val, 0)


def test_digits(tmp_path):
    prepare({"kind": "digits"}, {}, tmp_path / "images.npy", tmp_path / "index.parquet")
    images = Images.open(tmp_path)
    assert images.array.shape == (1797, 8, 8, 1)
    assert images.classes == list("0123456789")
    real = load_digits()
    np.testing.assert_array_equal(images.index["label"], real.target)
    # 0–16 spread over 0–255: nothing is lost.
    np.testing.assert_array_equal(np.rint(images.array[..., 0] / 255 * 16), real.images)
    assert images.array.min() == 0
    assert images.array.max() == 255
    for label in range(10):
        of_class = images.index[images.index["label"] == label]
        assert abs((of_class["split"] == "test").mean() - 0.3) < 0.01
    assert images.index["source"].iloc[7] == "sklearn.datasets.load_digits[7]"


def test_digits_follow_their_entry(tmp_path):
    entry = {"kind": "digits", "test_fraction": 0.5, "split_seed": 3}
    prepare(entry, {}, tmp_path / "images.npy", tmp_path / "index.parquet")
    counts = Images.open(tmp_path).index["split"].value_counts()
    assert abs(counts["test"] - 898) < 6
    assert set(counts.index) == {"train", "test"}


def test_unknown_kind(tmp_path):
    with pytest.raises(UserError, match=f"unknown kind 'mnits'; the kinds are {', '.join(sorted(READERS))}$"):
        prepare({"kind": "mnits"}, {}, tmp_path / "images.npy", tmp_path / "index.parquet")


def test_whole_groups_are_held_out():
    groups = np.repeat([f"P{number}" for number in range(10)], 7)
    split = grouped(groups, "plate", 0.2, 0.1, seed=3)
    of_group = {name: set(split[groups == name]) for name in np.unique(groups)}
    assert all(len(found) == 1 for found in of_group.values())
    counts = [sum(found == {part} for found in of_group.values()) for part in ("train", "val", "test")]
    assert counts == [7, 1, 2]
    assert (grouped(groups, "plate", 0.2, 0.1, seed=3) == split).all()
    assert any((grouped(groups, "plate", 0.2, 0.1, seed=seed) != split).any() for seed in range(3))
    assert (grouped(np.array(["a", "b"]), "plate", 0.1, 0, seed=0) == "test").sum() == 1


@pytest.mark.parametrize(("groups", "test", "val"), [(["a", "a"], 0.2, 0), (["a", "b"], 0.2, 0.1), (["a", "b"], 0, 0)])
def test_too_few_groups_are_refused(groups, test, val):
    with pytest.raises(UserError, match=r"split_by: batch: there are \d, too few"):
        grouped(np.array(groups), "batch", test, val, seed=0)
