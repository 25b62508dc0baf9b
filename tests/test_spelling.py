from __future__ import annotations

import pytest

from phenoviews.errors import UserError
from phenoviews.spelling import folded, found, quantity, significant, told, unified, unit, unknown, well

ONE = [
    ("taxol", "TAXOL", " Taxol "),
    ("caf\u00e9ine", "cafe\u0301ine", "CAFEINE"),
    ("5 \u00b5M drug", "5\u03bcm-drug"),
    ("PP-2", "PP2", "pp 2", "PP\u20112", "PP_2", "pp\u20132"),
    ("P1-10", "p1 10", "P1_10", "P1\u201310"),
    ("Eg5 inhibitors", "eg5-inhibitors", "EG5\u00a0inhibitors"),
    ("week 1, June", "Week 1,June"),
]
SEVERAL = [
    ("P1-10", "P11-0", "P110"),
    ("compound 1", "compound 11", "compound 10"),
    ("alpha-tubulin", "\u03b1-tubulin", "\u03b2-tubulin"),
    ("day -1", "day 1", "day +1"),
    ("(+)-JQ1", "(-)-JQ1", "JQ1"),
    ("1.5", "15"),
    ("\u306f", "\u3070"),  # two syllables; the sign that tells them apart is no accent
]


@pytest.mark.parametrize("names", ONE)
def test_spellings_of_one_name(names):
    assert len(set(map(folded, names))) == 1


@pytest.mark.parametrize("names", SEVERAL)
def test_names_that_are_not_one(names):
    assert len(set(map(folded, names))) == len(names)
    assert unified(names) == {}


def test_the_most_frequent_spelling_is_taken_unless_one_is_asked_for():
    names = ["Taxol", "taxol", "taxol", "DMSO", "dmso", "dmso"]
    assert unified(names) == {"Taxol": "taxol", "DMSO": "dmso"}
    assert unified(names, first=["DMSO", "absent"]) == {"Taxol": "taxol", "dmso": "DMSO"}
    assert unified(["b", "B"]) == {"b": "B"}  # as often: in order, whatever the rows' order
    assert unified(["B", "b"]) == {"b": "B"}
    # All in a spelling other than the one that is asked for: that one is taken still.
    assert unified(["dmso", "x"], first=["DMSO"]) == {"dmso": "DMSO"}


def test_what_was_merged_is_told():
    assert told("compound", {}) == ""
    assert told("compound", {"TAXOL": "taxol"}, {"TAXOL": 12}) == (
        "compound: 'TAXOL' (12 rows) for 'taxol' taken as another spelling of one name"
    )
    assert "and 2 more" in told("plate", {f"P{i}": f"p{i}" for i in range(5)})


def test_no_value():
    for text in ("", " ", "nan", "NaN", "NA", "None", "null", "N/A", "<NA>", "#N/A"):
        assert unknown(text)
    for text in ("0", "Nan-1", "nanodrug", "unknown"):
        assert not unknown(text)


def test_a_name_that_is_not_there_gets_what_is():
    assert found("DSMO", ["taxol", "DMSO", "x"]) == "there are DMSO, taxol, x; did you mean 'DMSO'?"
    assert found("DMSO", map(str, range(20))) == "there are 0, 1, 2, 3, 4, 5, 6, 7 and 12 more"
    assert found("a", []) == "there are none"


def test_wells():
    for text in ("B2", "b02", "B002", "B-02", " b 2", "B_2"):
        assert well(text) == "B02"
    assert [well(text) for text in ("AA1", "af48", "P24")] == ["AA01", "AF48", "P24"]
    assert [well(text) for text in ("B00", "2B", "ABC1", "B100", "", "empty")] == [None] * 6


def test_doses():
    assert significant(0.1 * 3) == significant(0.3) == 0.3
    assert significant(1234567.0) == 1234570.0
    for text in ("300 nM", "0.3uM", "0,3 \u00b5M", "0.3 \u03bcM", "3e-7 M", "0.0003 mM", "300nmol/l", "300 (nM)"):
        assert quantity(text) == (0.3, "\u00b5M")
    assert quantity("2 mg/ml") == quantity("2 g/L") == (2000, "\u00b5g/ml")
    assert quantity("0.5 %") == (0.5, "%")
    assert quantity(".5") == (0.5, "")
    assert quantity("1,5") == (1.5, "")
    assert quantity("0,125") == (0.125, "")
    assert unit("[nM]") == ("\u00b5M", 1e-3)
    for text in ("high", "", "1,000", "3 bananas", "5-10 \u00b5M"):
        with pytest.raises(UserError):
            quantity(text)
