from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phenoviews.cells.crops import corner, crops, inside, windows
from phenoviews.cells.illumination import correct

BOUNDS = {"DNA": {"low": 100.0, "high": 1100.0}, "tubulin": {"low": 0.0, "high": 60000.0}}


def field(seed, shape=(2, 60, 80)):
    return np.random.default_rng(seed).integers(0, 65536, shape).astype(np.uint16)


def rows(*cells):
    return pd.DataFrame(cells, columns=["Metadata_Field", "x", "y"])


def stream(**images):
    for name, image in images.items():
        yield pd.Series({"Metadata_Field": name}), image


@pytest.mark.parametrize(("side", "before"), [(9, 4), (10, 5)])
def test_the_pixel_of_the_centre_has_one_place_in_the_window(side, before):
    image = np.zeros((1, 60, 80), np.uint16)
    image[0, 30, 40] = 1
    for x, y in ((40, 30), (39.5, 29.5), (40.49, 30.49)):
        found = windows(image, rows(("a", x, y)), side)
        assert np.argwhere(found[0, ..., 0]).tolist() == [[before, before]]


@pytest.mark.parametrize("side", [1, 8, 9])
def test_inside_is_what_can_be_cut(side):
    height, width = 20, 30
    for x in range(width):
        for y in range(height):
            left, top = corner(x, y, side)
            fits = 0 <= left <= width - side and 0 <= top <= height - side
            assert inside(x, y, side, width, height) == fits
    table = rows(("a", 15, 10), ("a", 0, 10))
    assert inside(table["x"], table["y"], 9, width, height).tolist() == [True, False]


def test_raw_crops_are_the_corrected_field_in_the_tables_order():
    images = {"b": field(0), "a": field(1)}
    cells = rows(("b", 40, 30), ("b", 12.6, 20), ("a", 60, 40))
    function = np.random.default_rng(2).uniform(0.9, 2, (2, 60, 80)).astype(np.float32)
    found = np.concatenate(list(crops(stream(**images), cells, function, 16, "raw", BOUNDS)))
    assert found.dtype == np.uint16
    assert found.shape == (3, 16, 16, 2)
    for crop, (name, x, y) in zip(found, cells.itertuples(index=False), strict=True):
        left, top = int(x + 0.5) - 8, int(y + 0.5) - 8
        expected = np.clip(np.rint(correct(images[name], function)), 0, 65535)[:, top : top + 16, left : left + 16]
        np.testing.assert_array_equal(crop, expected.transpose(1, 2, 0))


def test_one_field_is_read_at_a_time():
    read = []

    def fields():
        for name in "abc":
            read.append(name)
            yield pd.Series({"Metadata_Field": name}), field(0)

    cells = rows(*[(name, 40, 30) for name in "abc"])
    for number, _ in enumerate(crops(fields(), cells, np.ones((2, 60, 80)), 8, "raw", BOUNDS)):
        assert len(read) == number + 1


def test_plate_scaling_is_linear_between_the_plates_percentiles():
    image = np.zeros((2, 5, 5), np.uint16)
    image[0, 2] = [0, 100, 600, 1100, 5000]
    image[1, 2] = [0, 30000, 60000, 61000, 15000]
    (found,) = crops(stream(a=image), rows(("a", 2, 2)), np.ones((2, 5, 5), np.float32), 5, "plate", BOUNDS)
    assert found.dtype == np.uint8
    assert found[0, 2, :, 0].tolist() == [0, 0, 128, 255, 255]  # 127.5 to the even one
    assert found[0, 2, :, 1].tolist() == [0, 128, 255, 255, 64]


def test_crop_scaling_spans_each_crop_and_channel():
    image = field(3)
    image[1, :, 40:] = 700  # nothing to see
    cells = rows(("a", 20, 30), ("a", 60, 30))
    (found,) = crops(stream(a=image), cells, np.ones(image.shape, np.float32), 12, "crop", BOUNDS)
    assert found.dtype == np.uint8
    assert found.min(axis=(1, 2)).tolist() == [[0, 0], [0, 0]]
    assert found.max(axis=(1, 2)).tolist() == [[255, 255], [255, 0]]
    values = windows(image, cells, 12)[0, ..., 0].astype(float)
    expected = (values - values.min()) / np.ptp(values) * 255
    assert np.abs(found[0, ..., 0] - expected).max() <= 0.501


def test_what_does_not_go_together_is_refused():
    ones = np.ones((2, 60, 80), np.float32)
    for cells, message in (
        (rows(("a", 2, 30)), "border"),
        (rows(("b", 40, 30)), "field a where the cells are of b"),
        (rows(("a", 40, 30), ("b", 40, 30), ("a", 20, 30)), "together"),
        (rows(("a", 40, 30), ("b", 40, 30)), "shorter"),
    ):
        with pytest.raises(ValueError, match=message):
            list(crops(stream(a=field(0)), cells, ones, 16, "raw", BOUNDS))
    with pytest.raises(ValueError, match="plate, crop, raw"):
        list(crops(stream(a=field(0)), rows(("a", 40, 30)), ones, 16, "log", BOUNDS))


def test_real_crops_are_those_that_were_published(shared_data):
    folder = shared_data / "bbbc021"
    cells = pd.read_csv(folder / "cells.csv").merge(pd.read_csv(folder / "mosaics" / "centres.csv"))
    cells = cells.sort_values("field", kind="stable").rename(columns={"field": "Metadata_Field"})
    published = {name: np.load(folder / f"cells-{name}.npz")["images"] for name in cells["source"].unique()}
    truth = np.stack([published[source][row] for source, row in zip(cells["source"], cells["row"], strict=True)])

    names = cells["Metadata_Field"].unique()
    mosaics = [np.load(folder / "mosaics" / f"{name}.npz")["image"].transpose(2, 0, 1) for name in names]
    found = []
    for name, image in zip(names, mosaics, strict=True):  # each of its own size, so a plate of its own
        of = cells[cells["Metadata_Field"] == name]
        found += crops(stream(**{name: image}), of, np.ones(image.shape, np.float32), 68, "raw", BOUNDS)
    assert len(truth) == 811
    np.testing.assert_array_equal(np.concatenate(found), truth)
