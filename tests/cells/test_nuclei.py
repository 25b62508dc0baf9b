from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from scipy.ndimage import gaussian_filter

from phenoviews.cells.nuclei import _plate_map, examine, focus, measured, nuclei, provided, qc, segment, write
from phenoviews.errors import UserError
from phenoviews.measures.detection import score, totals

PARAMS = {"diameter": 40, "least_area": 0.08, "contrast": 1.3, "focus": 4}
CHANNELS = ["DNA", "actin"]
INTENSITY = {"low": 1, "high": 99}


def field(centres, diameter=40, shape=(300, 400), background=600.0, level=4000.0, seed=0):
    """Discs with soft edges and shot noise on an even background: (H, W) float32."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape)
    for column, row in centres:
        image = np.maximum(image, np.hypot(x - column, y - row) <= diameter / 2)
    image = background + level * gaussian_filter(image, diameter / 25)
    return np.random.default_rng(seed).normal(image, 0.5 * np.sqrt(image)).astype(np.float32)


def apart(count, diameter, shape, seed=0):
    """Centres that are at least 1.2 diameters apart and whole."""
    rng = np.random.default_rng(seed)
    kept = []
    while len(kept) < count:
        point = rng.uniform(diameter, np.array(shape[::-1]) - diameter)
        if all(np.hypot(*(point - other)) > 1.2 * diameter for other in kept):
            kept.append(point)
    return np.array(kept)


def xy(table):
    return table[["x", "y"]].to_numpy()


# --- one field ---


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


def test_focus_falls_with_blur_whatever_the_brightness():
    image = field(apart(20, 40, (400, 500), seed=2), shape=(400, 500))
    blurred = [focus(gaussian_filter(image, sigma), 40) for sigma in (0, 1, 2, 3, 4)]
    assert (np.diff(blurred) < 0).all()
    assert blurred[3] < blurred[0] - 1
    assert focus(3 * image + 100, 40) == pytest.approx(blurred[0], abs=1e-3)
    assert np.isnan(focus(np.full((100, 100), 5.0), 40))


# --- one plate ---


def plate(fields, well="B02", channels=2):
    for number, dna in enumerate(fields):
        row = {
            "Metadata_Plate": "P1",
            "Metadata_Well": well,
            "Metadata_Site": number + 1,
            "Metadata_Field": f"f{number}",
            "Image_DNA": "unused.tif",
        }
        yield pd.Series(row), np.rint(np.stack([dna, *[1000 + 2 * dna] * (channels - 1)])).astype(np.uint16)


@pytest.fixture(scope="module")
def images():
    sharp = [field(apart(count, 40, (300, 400), seed), seed=seed) for seed, count in enumerate((8, 12, 10, 9, 11))]
    blurred = gaussian_filter(sharp[1], 4) + np.random.default_rng(0).normal(0, 20, (300, 400))
    return [*sharp, blurred.astype(np.float32), field([], seed=9)]


@pytest.fixture(scope="module")
def examined(images):
    ones = np.ones((2, 300, 400), np.float32)
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


def test_empty_and_blurred_fields_are_flagged(examined):
    quality = examined[1]
    assert quality["count"].tolist() == [8, 12, 10, 9, 11, 12, 0]
    assert quality["empty"].tolist() == [False] * 6 + [True]
    assert quality["out_of_focus"].tolist() == [False] * 5 + [True, False]
    assert quality["median_area"][0] == examined[0].query("Metadata_Field == 'f0'")["area"].median()
    assert np.isnan(quality["focus"][6])


def test_alike_fields_have_no_outlier_in_focus():
    table = pd.DataFrame({"count": 5, "focus": [-4.0, -4.01, -4.0, -4.02, -4.3]})
    assert not qc(table, 4)["out_of_focus"].any()
    assert qc(table.assign(focus=[-4.0, -4.01, -4.0, -4.02, -5.3]), 4)["out_of_focus"].tolist() == [False] * 4 + [True]


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


def test_the_rule_writes_four_files(tmp_path, images):
    files = {
        "nuclei": tmp_path / "nuclei" / "P1.parquet",
        "qc": tmp_path / "qc" / "P1.csv",
        "overlay": tmp_path / "qc" / "P1.png",
        "intensities": tmp_path / "P1.json",
    }
    ones = np.ones((2, 300, 400), np.float32)
    table = write(plate(images), ones, PARAMS, INTENSITY, CHANNELS, files, "P1", total=len(images))
    pd.testing.assert_frame_equal(pd.read_parquet(files["nuclei"]), table)
    assert pd.read_csv(files["qc"])["count"].sum() == len(table)
    assert list(json.loads(files["intensities"].read_text())) == CHANNELS
    assert Image.open(files["overlay"]).size[0] == 2100


def test_the_plate_map_has_rows_beyond_z():
    quality = pd.DataFrame({"Metadata_Well": ["Z48", "B02", "AA02", "AA02"], "count": [1, 2, 3, 5]})
    figure = Figure()
    _plate_map(figure, ax := figure.subplots(), quality)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["B", "Z", "AA"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2", "48"]
    np.testing.assert_array_equal(ax.images[0].get_array().filled(0), [[2, 0], [0, 1], [4, 0]])


def test_a_field_that_does_not_fit_its_plate_is_named(images):
    with pytest.raises(UserError, match=r"f0: .*\(2, 300, 400\).*\(2, 300, 200\)"):
        examine(plate(images), np.ones((2, 300, 200)), PARAMS, INTENSITY, CHANNELS)
    with pytest.raises(UserError, match="no fields"):
        examine(iter([]), np.ones((2, 300, 200)), PARAMS, INTENSITY, CHANNELS)


# --- centres that the user brings ---


@pytest.fixture
def screen():
    return pd.DataFrame([row for row, _ in plate([np.zeros((2, 2))] * 3)])


def test_provided_centres_take_the_place_of_detection(tmp_path, images, screen):
    path = tmp_path / "centres.csv"
    path.write_text("x,y,Metadata_Field\n10.5,20,f1\n300,5,f0\n30,40,f1\n")
    ones = np.ones((2, 300, 400), np.float32)
    table, quality, _, _ = examine(plate(images[:3]), ones, PARAMS, INTENSITY, CHANNELS, provided(path, screen))
    assert xy(table).tolist() == [[300, 5], [10.5, 20], [30, 40]]
    assert table["Metadata_Site"].tolist() == [1, 2, 2]
    assert table["area"].isna().all()
    assert quality["count"].tolist() == [1, 2, 0]
    assert quality["empty"].tolist() == [False, False, True]


@pytest.mark.parametrize("prefix", ["", "Metadata_"])
def test_centres_are_placed_by_plate_well_and_site(tmp_path, screen, prefix):
    path = tmp_path / "centres.csv"
    names = ",".join(prefix + (name.capitalize() if prefix else name) for name in ("plate", "well", "site"))
    path.write_text(f"{names},x,y\nP1,B02,3,1,2\nP1,B02,1,3,4\n")
    assert provided(path, screen).to_numpy().tolist() == [["f2", 1, 2], ["f0", 3, 4]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Metadata_Field,x\nf0,1\n", "lacks the column y"),
        ("well,x,y\nB02,1,2\n", "lacks the column Metadata_Plate"),
        ("Metadata_Field,x,y\nf0,1,2\nf9,1,2\n", "row 3"),
        ("Metadata_Field,x,y\nf0,left,2\n", "row 2"),
        ("plate,well,site,x,y\nP1,B02,7,1,2\n", "row 2"),
        ("", "cannot be read"),
    ],
)
def test_centres_that_belong_nowhere_are_named(tmp_path, screen, text, message):
    path = tmp_path / "centres.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        provided(path, screen)
    assert "centres.csv" in str(caught.value)


def test_a_centre_outside_its_field_is_named(images):
    centres = pd.DataFrame({"Metadata_Field": ["f0"], "x": [400.0], "y": [5.0]})
    with pytest.raises(UserError, match=r"\(400, 5\) lies outside the field f0 of 400 x 300"):
        examine(plate(images[:1]), np.ones((2, 300, 400)), PARAMS, INTENSITY, CHANNELS, centres)


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
