"""Paths that were written on another machine."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from phenoviews.cells.paths import moved
from phenoviews.errors import UserError

TABLE = Path("lab/tables/load.csv")


def here(texts, replace=None):
    (found,) = moved(TABLE, {"DNA": pd.Series(texts)}, replace or {})
    return found.tolist()


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        (r"D:\Screens\P1\a b.tif", r"D:\Screens"),
        (r"d:\screens\P1\a b.tif", "D:/Screens/"),
        ("D:/Screens/P1/a b.tif", r"D:\Screens"),
        (r"\\server\share\P1\a b.tif", r"\\server\share"),
        ("/home/jane/P1/a b.tif", "/home/jane"),
        ("file:///home/jane/P1/a%20b.tif", "/home/jane"),
        ("file:///D:/Screens/P1/a%20b.tif", r"D:\Screens"),
        ("s3://bucket/images/P1/a b.tif", "s3://bucket/images"),
    ],
)
def test_a_beginning_is_replaced(text, beginning, tmp_path):
    assert here([text], {beginning: "lab/data"}) == ["../data/P1/a b.tif"]
    (tmp_path / "P1").mkdir()
    (tmp_path / "P1" / "a b.tif").touch()
    assert here([text], {beginning: str(tmp_path)}) == [f"{tmp_path}/P1/a b.tif"]


def test_the_longest_beginning_counts_and_it_ends_where_a_name_does():
    texts = ["/a/b/x.tif", "/a/bc/x.tif", "/a/b/c/x.tif"]
    assert here(texts, {"/a": "lab/A", "/a/b": "lab/B"}) == ["../B/x.tif", "../A/bc/x.tif", "../B/c/x.tif"]


def test_relative_paths_stay_and_backslashes_turn():
    assert here([r"P1\x.tif", "P1/y.tif", "z.tif", ""]) == ["P1/x.tif", "P1/y.tif", "z.tif", ""]


@pytest.mark.parametrize(
    ("text", "replace", "said"),
    [
        (r"D:\Screens\P1\x.tif", {}, r"is a path of another machine; .*`replace: \{'D:/Screens/P1': ../images\}`"),
        (r"\\server\P1\x.tif", {}, "is a path of another machine"),
        ("s3://cellpainting-gallery/P1/x.tif", {}, r"are addresses, .*'s3://cellpainting-gallery/P1': ../images"),
        ("https://host/x.tif", {}, "are addresses, such as https://host/x.tif; download them"),
        ("/nowhere/at/all/x.tif", {}, r"there is no /nowhere/at/all/x.tif; .*'/nowhere/at/all': ../images"),
        ("P1/x.tif", {"/home": "/data"}, "replace: no image's path begins with '/home'; the first is P1/x.tif"),
        ("/homes/x.tif", {"/home": "/data"}, "no image's path begins with '/home'"),
    ],
)
def test_what_cannot_be_reached_is_refused_with_the_cure(text, replace, said):
    with pytest.raises(UserError, match=f"load.csv: .*{said}" if "replace: no" not in said else said):
        here([text], replace)
