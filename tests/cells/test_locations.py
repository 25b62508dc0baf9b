from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.cells.drawn import plate

from phenoviews.cells.locations import in_field, provided
from phenoviews.errors import UserError


@pytest.fixture
def screen():
    return pd.DataFrame([row for row, _ in plate([np.zeros((2, 2))] * 3)])


@pytest.mark.parametrize("prefix", ["", "Metadata_"])
def test_centres_are_placed_by_plate_well_and_site(tmp_path, screen, prefix):
    path = tmp_path / "centres.csv"
    names = ",".join(prefix + (name.capitalize() if prefix else name) for name in ("plate", "well", "site"))
    path.write_text(f"{names},x,y\nP1,B02,3,1,2\nP1,B02,1,3,4\n")
    assert provided(path, screen).to_numpy().tolist() == [["f2", 1, 2], ["f0", 3, 4]]


@pytest.mark.parametrize(
    "text",
    [
        "Plate;Well;Site;X;Y\nP1;b2;03;1.5;2\n",
        "metadata_plate\tmetadata_well\tmetadata_site\tx\ty\nP1\tB-02\t3.0\t1.5\t2\n",
        "sep=,\r\nplate,well,site,x,y\r\nP1,B2,3,1.5,2\r\n",
    ],
)
def test_centres_are_read_as_plate_maps_are(tmp_path, screen, text):
    path = tmp_path / "centres.csv"
    path.write_text(text)
    assert provided(path, screen).to_numpy().tolist() == [["f2", 1.5, 2]]


def test_fields_keep_their_names(tmp_path):
    """ "NA" and "007" are names here, and positions need not be wells."""
    places = {"Metadata_Plate": "NA", "Metadata_Well": ["B2", "007"], "Metadata_Site": 1, "Metadata_Field": ["a", "b"]}
    path = tmp_path / "centres.csv"
    path.write_text("plate,well,site,x,y\nNA,007,1,1,2\nNA,B2,1,3,4\n")
    assert provided(path, pd.DataFrame(places)).to_numpy().tolist() == [["b", 1, 2], ["a", 3, 4]]


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


def test_centres_of_a_field_reach_to_its_pixels_borders():
    table = pd.DataFrame({"Metadata_Field": ["f0", "f1", "f0"], "x": [-0.5, 7.0, 399.5], "y": [299.5, 8.0, -0.5]})
    found = in_field(table, "f0", 400, 300)
    assert found[["x", "y"]].to_numpy().tolist() == [[-0.5, 299.5], [399.5, -0.5]]
    assert found["area"].isna().all()
    assert in_field(table, "f2", 400, 300).empty
    with pytest.raises(UserError, match=r"\(400, 5\) lies outside the field f0 of 400 x 300"):
        in_field(table.assign(x=400.0, y=5.0), "f0", 400, 300)
