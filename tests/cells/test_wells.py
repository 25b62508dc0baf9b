"""Wells under the names that microscopes and people give them."""

from __future__ import annotations

import pandas as pd
import pytest

from phenoviews.cells.wells import in_columns, letters, well


@pytest.mark.parametrize("text", ["A1", "a1", "A01", "A001", "A-1", "A - 01", "A 1", "A01.a1", "a1.B12"])
def test_spellings_of_one_well(text):
    assert well(text) == "A01"


@pytest.mark.parametrize(("text", "name"), [("AA01", "AA01"), ("aa1", "AA01"), ("AF48", "AF48"), ("P24", "P24")])
def test_large_plates(text, name):
    assert well(text) == name


@pytest.mark.parametrize("text", ["", "A0", "A00", "A49", "AG01", "ZZ1", "well 3", "Pos001", "3", "A1B", "A1.", "A-B1"])
def test_what_no_plate_has(text):
    assert well(text) is None


def test_rows_of_large_plates():
    assert [letters(row) for row in ("1", "16", "26", "27", "32", "B")] == ["A", "P", "Z", "AA", "AF", "B"]


def test_columns_of_wells_and_of_positions_that_are_none():
    table = pd.DataFrame({"Metadata_Well": ["B02", "C11", "AA02", "slide 2", "left", "Pos2"]})
    assert in_columns(table, [2, 11]).tolist() == [True, True, True, False, False, False]
