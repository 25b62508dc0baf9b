from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from tests.cells.drawn import PARAMS, apart, field, xy

from phenoviews.cells.segmentation import measured, nuclei, segment
from phenoviews.measures.detection import score, totals


@pytest.mark.parametrize("diameter", [12, 20, 40, 90])
def test_nuclei_are_found_where_they_are_and_as_large_at_any_scale(diameter):
    shape = (8 * diameter + 3, 10 * diameter + 1)
    centres = apart(15, diameter, shape)
    found = nuclei(field(centres, diameter, shape), PARAMS | {"diameter": diameter})
    assert score(xy(found), centres, 0.04 * diameter + 0.5)["f1"] == 1
    np.testing.assert_allclose(found["area"], np.pi / 4 * diameter**2, rtol=0.2)
    assert found["y"].is_monotonic_increasing


@pytest.mark.parametrize("gap", [0.75, 0.9, 1.0])
def test_touching_nuclei_are_cut_apart(gap):
    centres = np.array([[100, 80], [100 + 40 * gap, 80], [250, 200], [250, 200 + 40 * gap]])
    assert score(xy(nuclei(field(centres), PARAMS)), centres, 5)["f1"] == 1


def test_lobes_of_one_nucleus_are_one():
    # One body with three small ones on its rim, as taxol leaves them.
    y, x = np.mgrid[:200, :200]
    image = np.hypot(x - 100, y - 100) < 14
    for angle in (0.3, 2.4, 4.5):
        image |= np.hypot(x - 100 - 17 * np.cos(angle), y - 100 - 17 * np.sin(angle)) < 8
    found = nuclei((600 + 4000 * gaussian_filter(image.astype(np.float32), 1)), PARAMS)
    assert len(found) == 1
    assert np.hypot(*(xy(found)[0] - 100)) < 5


def test_dim_nuclei_beside_bright_ones_and_on_a_slope_of_light():
    centres = apart(14, 40, (300, 400), seed=1)
    image = field(centres[:10], level=1500) + field(centres[10:], background=0, level=12000, seed=1)
    image += np.linspace(0, 500, 400, dtype=np.float32)
    assert score(xy(nuclei(image, PARAMS)), centres, 4)["f1"] == 1


@pytest.mark.parametrize("image", [np.zeros((200, 300)), np.full((200, 300), 700.0), field([])], ids=str)
def test_a_field_without_nuclei_has_none(image):
    found = nuclei(image, PARAMS)
    assert list(found.columns) == ["x", "y", "area"]
    assert len(found) == 0


@pytest.mark.parametrize("level", [500, 4000, 30000])
def test_one_nucleus_in_an_empty_field_is_found(level):
    centres = np.array([[200.0, 350.0]])
    image = field(centres, shape=(800, 800), level=level)
    assert score(xy(nuclei(image, PARAMS)), centres, 1.5)["f1"] == 1


def test_the_depth_of_the_camera_has_no_say():
    centres = apart(12, 40, (300, 400))
    image = field(centres)
    eight = np.rint(image / image.max() * 255).astype(np.uint8)
    assert score(xy(nuclei(eight, PARAMS)), xy(nuclei(image, PARAMS)), 1)["f1"] == 1


def test_measures_are_those_of_the_labels():
    labels = np.zeros((10, 12), np.int32)
    labels[6:8, 2:7] = 1
    labels[1:4, 8] = 2
    assert measured(labels).to_numpy().tolist() == [[8, 2, 3], [4, 6.5, 10]]


def test_labels_are_one_piece_each_and_counted_up():
    labels = segment(field(apart(12, 40, (301, 403)), shape=(301, 403)), PARAMS)
    assert labels.shape == (301, 403)
    assert np.unique(labels).tolist() == list(range(13))


# --- real fields ---


def test_nuclei_of_bbbc021s_size_in_dsb2018(shared_data):
    """A pair is at most half a diameter apart, matched by the Hungarian method; all true masks count, however small."""
    folder, scores = shared_data / "nuclei", []
    for row in pd.read_csv(folder / "counts.csv").query("600 <= median_area_px <= 2000").itertuples():
        image, labels = (np.array(Image.open(folder / name)) for name in (row.image, row.label))
        scores.append(score(xy(nuclei(image, PARAMS)), xy(measured(labels.astype(np.int32))), 20))
    assert len(scores) == 8
    assert totals(scores)["f1"] >= 0.90
    assert np.mean([one["f1"] for one in scores]) >= 0.90


def test_the_listed_centres_of_real_bbbc021_fields(shared_data):
    folder = shared_data / "bbbc021" / "mosaics"
    for name, listed in pd.read_csv(folder / "centres.csv").groupby("field"):
        image = np.load(folder / f"{name}.npz")["image"][..., 0]
        numbers = score(xy(nuclei(image, PARAMS)), xy(listed), 10)
        assert numbers["recall"] >= 0.95, (name, numbers)
        assert numbers["precision"] >= 0.90, (name, numbers)  # of a field in which nearly all nuclei are listed
