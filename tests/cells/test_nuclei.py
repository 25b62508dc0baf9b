from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter
from tests.cells.drawn import CHANNELS, INTENSITY, PARAMS, SHAPE, apart, field, plate, xy

from phenoviews.cells.nuclei import examine, write
from phenoviews.cells.quality import read
from phenoviews.cells.segmentation import nuclei
from phenoviews.errors import UserError


@pytest.fixture(scope="module")
def images():
    sharp = [field(apart(count, 40, seed=seed), seed=seed) for seed, count in enumerate((8, 12, 10, 9, 11))]
    blurred = gaussian_filter(sharp[1], 4) + np.random.default_rng(0).normal(0, 20, SHAPE)
    return [*sharp, blurred.astype(np.float32), field([], seed=9)]


@pytest.fixture(scope="module")
def examined(images):
    ones = np.ones((2, *SHAPE), np.float32)
    return examine(plate(images), ones, PARAMS, INTENSITY, CHANNELS, total=len(images))


def test_every_nucleus_keeps_its_fields_metadata_and_size(examined, images):
    table = examined[0]
    assert list(table.columns) == [
        *("Metadata_Plate", "Metadata_Well", "Metadata_Site", "Metadata_Field"),
        *("x", "y", "area", "width", "height"),
    ]
    assert (table["width"] == 400).all()
    assert (table["height"] == 300).all()
    of = table[table["Metadata_Field"] == "f2"]
    np.testing.assert_allclose(xy(of), xy(nuclei(np.rint(images[2]), PARAMS)))
    assert (of["Metadata_Site"] == 3).all()


def test_nuclei_are_where_the_screen_says_that_they_are(examined, images):
    """The same plate with its channels the other way round."""
    turned = [(row, image[::-1]) for row, image in plate(images)]
    ones = np.ones((2, *SHAPE), np.float32)
    params = {**PARAMS, "channel": CHANNELS[0]}
    table, quality, levels = examine(turned, ones, params, INTENSITY, CHANNELS[::-1])
    pd.testing.assert_frame_equal(table, examined[0])
    pd.testing.assert_frame_equal(quality, examined[1])
    assert levels == examined[2]


def test_empty_and_blurred_fields_are_flagged(examined):
    quality = examined[1]
    assert quality["count"].tolist() == [8, 12, 10, 9, 11, 12, 0]
    assert quality["empty"].tolist() == [False] * 6 + [True]
    assert quality["out_of_focus"].tolist() == [False] * 5 + [True, False]
    assert quality["median_area"][0] == examined[0].query("Metadata_Field == 'f0'")["area"].median()
    assert np.isnan(quality["focus"][6])


def test_percentiles_are_those_of_all_corrected_pixels(images):
    function = np.random.default_rng(0).uniform(1, 2, (2, 300, 400)).astype(np.float32)
    levels = examine(plate(images), function, PARAMS, INTENSITY, CHANNELS)[2]
    stack = np.stack([image for _, image in plate(images)]) / function
    assert list(levels) == CHANNELS
    for name, values in zip(CHANNELS, np.moveaxis(stack, 1, 0), strict=True):
        assert levels[name]["low"] == pytest.approx(np.percentile(values, 1), abs=1)
        assert levels[name]["high"] == pytest.approx(np.percentile(values, 99), abs=1)


def test_an_even_plate_still_has_a_range():
    even = [np.full((60, 80), 700.0)] * 2
    levels = examine(plate(even), np.ones((2, 60, 80)), PARAMS, INTENSITY, CHANNELS)[2]
    assert levels["DNA"]["high"] > levels["DNA"]["low"]


def test_the_rule_writes_what_was_measured(tmp_path, images, examined):
    files = {
        "nuclei": tmp_path / "nuclei" / "P1.parquet",
        "qc": tmp_path / "P1.csv",
        "intensities": tmp_path / "P1.json",
    }
    ones = np.ones((2, *SHAPE), np.float32)
    write(plate(images), ones, PARAMS, INTENSITY, CHANNELS, files, "P1", total=len(images))
    table, quality, intensities = examined
    pd.testing.assert_frame_equal(pd.read_parquet(files["nuclei"]), table)
    pd.testing.assert_frame_equal(read(files["qc"]), quality, check_dtype=False, rtol=1e-3)
    assert json.loads(files["intensities"].read_text()) == intensities


def test_a_plate_that_cannot_be_measured_is_named_and_leaves_nothing(tmp_path):
    files = {"nuclei": tmp_path / "a.parquet", "qc": tmp_path / "a.csv", "intensities": tmp_path / "a.json"}
    with pytest.raises(UserError, match="plate P9: the plate has no fields"):
        write(iter([]), np.ones((2, *SHAPE)), PARAMS, INTENSITY, CHANNELS, files, "P9")
    assert not list(tmp_path.iterdir())


def test_a_field_that_does_not_fit_its_plate_is_named(images):
    with pytest.raises(UserError, match=r"f0: .*\(2, 300, 400\).*\(2, 300, 200\)"):
        examine(plate(images), np.ones((2, 300, 200)), PARAMS, INTENSITY, CHANNELS)
    with pytest.raises(UserError, match="no fields"):
        examine(iter([]), np.ones((2, 300, 200)), PARAMS, INTENSITY, CHANNELS)


def test_provided_centres_take_the_place_of_detection(images):
    centres = pd.DataFrame({"x": [10.5, 300, 30], "y": [20.0, 5, 40], "Metadata_Field": ["f1", "f0", "f1"]})
    ones = np.ones((2, *SHAPE), np.float32)
    table, quality, _ = examine(plate(images[:3]), ones, PARAMS, INTENSITY, CHANNELS, centres)
    assert xy(table).tolist() == [[300, 5], [10.5, 20], [30, 40]]
    assert table["Metadata_Site"].tolist() == [1, 2, 2]
    assert table["area"].isna().all()
    assert quality["count"].tolist() == [1, 2, 0]
    assert quality["empty"].tolist() == [False, False, True]


@pytest.mark.parametrize(("diameter", "doubted"), [(40, False), (12, True), (90, True)])
def test_a_diameter_that_does_not_suit_is_doubted(tmp_path, images, capsys, diameter, doubted):
    files = {"nuclei": tmp_path / "a.parquet", "qc": tmp_path / "a.csv", "intensities": tmp_path / "a.json"}
    ones = np.ones((2, *SHAPE), np.float32)
    write(plate(images), ones, {**PARAMS, "diameter": diameter}, INTENSITY, CHANNELS, files, "P1")
    said = f"plate P1: its nuclei are 4\\d pixels wide, where the screen's `nuclei: {{diameter: {diameter}}}`"
    assert bool(re.search(said.replace("{", "\\{"), capsys.readouterr().err)) == doubted
