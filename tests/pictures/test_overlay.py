from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from tests.cells.drawn import CHANNELS, INTENSITY, PARAMS, SHAPE, field, plate

from phenoviews.cells.nuclei import examine
from phenoviews.pictures.overlay import MARK, chosen, picture, plate_map, views

ONES = np.ones((2, *SHAPE), np.float32)


def quality(count, focus=None):
    names = [f"f{number}" for number in range(len(count))]
    return pd.DataFrame(
        {"Metadata_Field": names, "count": count, "focus": focus or [-4.0] * len(count), "left_out": ""}
    )


def test_extreme_fields_are_shown_and_some_over_the_plate():
    table = quality([5, 9, 5, 2, 7, 7, 7, 9, 7], [-4, -4, -4, -4, np.nan, -6, -4, -4, -3])
    assert chosen(table) == {
        "f2": "field 3",
        "f4": "field 5",
        "f6": "field 7",
        "f3": "fewest nuclei",
        "f1": "most nuclei",
        "f5": "least focus",
    }


def test_a_field_with_several_reasons_is_shown_once():
    assert chosen(quality([4], [np.nan])) == {"f0": "field 1, fewest nuclei, most nuclei"}
    assert list(chosen(quality([0, 3], [np.nan, -4]))) == ["f0", "f1"]


@pytest.fixture(scope="module")
def fields():
    return [field(centres := [[100, 150], [300, 150]]), field([[200, 100], *centres]), field([])]


def shown(fields, locations=None):
    """The views of all of a plate's fields, by their names."""
    nuclei, *_ = examine(plate(fields), ONES, PARAMS, INTENSITY, CHANNELS, locations)
    dna = ((row, image[:1]) for row, image in plate(fields))
    why = {f"f{number}": f"because of {number}" for number in range(len(fields))}
    return views(dna, why, ONES[:1], nuclei, PARAMS)


def marked(image):
    return (image == MARK).all(axis=2)


def test_titles_say_where_how_many_and_why(fields):
    assert list(shown(fields)) == [
        "B02 site 1: 2 nuclei (because of 0)",
        "B02 site 2: 3 nuclei (because of 1)",
        "B02 site 3: 0 nuclei (because of 2)",
    ]


def test_outlines_are_rings_around_the_nuclei(fields):
    first, second, empty = shown(fields).values()
    assert first.dtype == np.uint8
    assert first.shape == (*SHAPE, 3)
    y, x = np.nonzero(marked(first))
    from_centres = np.minimum(*(np.hypot(x - column, y - 150) for column in (100, 300)))
    assert 15 < from_centres.min() < from_centres.max() < 25
    assert marked(second)[75:125, 175:225].any()
    assert not marked(empty).any()


def test_what_is_not_marked_is_grey_and_dim_nuclei_show(fields):
    image = next(iter(shown(fields).values()))
    grey = image[~marked(image)]
    assert (grey == grey[:, :1]).all()
    assert image[150, 100, 0] > 3 * image[20, 20, 0]


def test_provided_centres_are_dots_also_at_the_border(fields):
    centres = pd.DataFrame({"Metadata_Field": "f0", "x": [399.5, 50.0], "y": [-0.5, 60.0]})
    first, second, _ = shown(fields, centres).values()
    mark = marked(first)
    assert mark[0, 399]
    assert mark[60, 50]
    assert not mark[120:180, 70:130].any()
    assert not marked(second).any(), "its nuclei were not asked for"


def test_the_picture_has_every_view_and_sums_the_plate_up(fields):
    nuclei, table, _ = examine(plate(fields), ONES, PARAMS, INTENSITY, CHANNELS)
    figure = picture(shown(fields), table, "P1")
    above, below = figure.subfigs
    assert above.get_suptitle().startswith(f"P1: 3 fields, {len(nuclei)} nuclei, median area")
    assert above.get_suptitle().endswith("1 fields empty, 0 out of focus")
    assert [ax.get_title(loc="left") for ax in below.axes if ax.images] == list(shown(fields))


def test_the_plate_map_has_rows_beyond_z():
    table = pd.DataFrame({"Metadata_Well": ["Z48", "B02", "AA02", "AA02"], "count": [1, 2, 3, 5], "left_out": ""})
    figure = Figure()
    plate_map(figure, ax := figure.subplots(), table)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["B", "Z", "AA"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2", "48"]
    np.testing.assert_array_equal(ax.images[0].get_array().filled(0), [[2, 0], [0, 1], [4, 0]])


def test_positions_that_are_no_wells_stand_in_a_row():
    table = pd.DataFrame({"Metadata_Well": ["slide 2", "B02", "slide 2"], "count": [1, 2, 3], "left_out": ""})
    figure = Figure()
    plate_map(figure, ax := figure.subplots(), table)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["B02", "slide 2"]
    np.testing.assert_array_equal(ax.images[0].get_array(), [[2, 2]])


def test_fields_that_cannot_be_read_are_counted_and_not_shown():
    table = quality([0, 5, 7]).assign(left_out=["truncated", "", ""], empty=False, out_of_focus=False)
    table = table.assign(Metadata_Well="B02", median_area=900.0)
    assert "f0" not in chosen(table)
    drawn = picture({"f1": np.zeros((40, 50, 3), np.uint8)}, table, "P1")
    texts = [text.get_text() for figure in drawn.subfigs for text in figure.texts]
    assert any("3 fields, 12 nuclei" in text and "1 cannot be read" in text for text in texts)
    wells = drawn.subfigs[0].axes[0].images[0].get_array()
    np.testing.assert_array_equal(wells, [[6]])
