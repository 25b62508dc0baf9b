"""Tables as people and programs save them."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

from phenoviews.errors import UserError
from phenoviews.sheets import column, numbers, read

ROWS = [["well", "compound", "µM"], ["B02", "DMSO, pure", "0"], ["B03", "Größe", "0.3"], ["NA", "1.0", ""]]
FRAME = pd.DataFrame(ROWS[1:], columns=ROWS[0])


def written(separator: str) -> str:
    return "\n".join(separator.join(f'"{value}"' if separator in value else value for value in row) for row in ROWS)


@pytest.mark.parametrize("separator", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_separators_and_encodings(tmp_path, separator, encoding):
    file = tmp_path / "map.txt"
    file.write_bytes(written(separator).encode(encoding))
    pd.testing.assert_frame_equal(read(file), FRAME)


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\r\n" + written(";").replace("\n", "\r\n"),
        written(",").replace("\n", "\r"),
        "\n\n" + written(",") + "\n,,\n\n",
        written(",").replace("well,", " well ,").replace("B02,", "  B02 , "),
        "\n".join(line + ",," for line in written(",").split("\n")),
    ],
    ids=["Excel's own first line", "a Mac's line ends", "empty lines", "blanks", "empty columns at the end"],
)
def test_what_surrounds_the_values_does_not_count(tmp_path, text):
    file = tmp_path / "map.csv"
    file.write_bytes(text.encode())
    pd.testing.assert_frame_equal(read(file)[ROWS[0]], FRAME)


def test_compressed(tmp_path):
    with gzip.open(tmp_path / "map.csv.gz", "wt", encoding="utf-8") as stream:
        stream.write(written(","))
    pd.testing.assert_frame_equal(read(tmp_path / "map.csv.gz"), FRAME)


def test_parquet_with_an_index_numbers_and_nothing(tmp_path):
    table = pd.DataFrame({"well": ["B02", "B03"], " dose": [1.0, np.nan], "n": [1, 2], "x": [0.1, 2.0]})
    table.set_index("well").to_parquet(tmp_path / "map.parquet")
    found = read(tmp_path / "map.parquet")
    assert found.to_dict("list") == {"well": ["B02", "B03"], "dose": ["1", ""], "n": ["1", "2"], "x": ["0.1", "2"]}
    table[table["n"] == 2].to_parquet(tmp_path / "part.parquet")
    assert read(tmp_path / "part.parquet")["well"].tolist() == ["B03"]


def test_values_beyond_the_header_are_refused(tmp_path):
    (tmp_path / "map.csv").write_text("well,compound\nB02,DMSO\nB03,1,2-dichloroethane\n")
    with pytest.raises(UserError, match=r"map\.csv: row 3 has 3 values and the header 2 columns"):
        read(tmp_path / "map.csv")


def excel(file, **sheets):
    with pd.ExcelWriter(file) as writer:
        for name, rows in sheets.items():
            pd.DataFrame(rows).to_excel(writer, sheet_name=name, index=False, header=False)


def test_excel(tmp_path):
    rows = [["well", "compound", "dose"], ["B02", "DMSO", 0], ["B03", "taxol", 0.3], ["B04", "NA", 10.0], ["", "", ""]]
    excel(tmp_path / "map.xlsx", Tabelle1=rows)
    assert read(tmp_path / "map.xlsx").to_dict("list") == {
        "well": ["B02", "B03", "B04"],
        "compound": ["DMSO", "taxol", "NA"],
        "dose": ["0", "0.3", "10"],
    }


def test_excel_with_a_title_and_other_sheets(tmp_path):
    rows = [["Our plate", "", ""], ["", "", ""], ["Well", "Compound", "Dose"], ["B02", "DMSO", 0]]
    excel(tmp_path / "map.xlsx", notes=[["a", "b"], [1, 2]], wells=rows, empty=[[""]])
    assert read(tmp_path / "map.xlsx").to_dict("list") == {"Well": ["B02"], "Compound": ["DMSO"], "Dose": ["0"]}


def test_excel_with_two_sheets_of_wells_is_refused(tmp_path):
    rows = [["well", "compound"], ["B02", "DMSO"]]
    excel(tmp_path / "map.xlsx", one=rows, two=rows)
    with pytest.raises(UserError, match=r"of its sheets one, two, 2 have the column well; leave one"):
        read(tmp_path / "map.xlsx")


def test_a_broken_excel_file_is_named(tmp_path):
    (tmp_path / "map.xlsx").write_bytes(b"no zip")
    with pytest.raises(UserError, match=r"map\.xlsx: cannot be read as a table"):
        read(tmp_path / "map.xlsx")


def test_columns_under_other_spellings(tmp_path):
    table = pd.DataFrame({"Well ID": ["a"], "x": ["b"], "X": ["c"]})
    assert column(tmp_path, table, "well_id").tolist() == ["a"]
    assert column(tmp_path, table, "X").tolist() == ["c"]
    with pytest.raises(UserError, match="lacks the column y; it has Well ID, x, X"):
        column(tmp_path, table, "y")
    with pytest.raises(UserError, match="has the column name twice"):
        column(tmp_path, pd.DataFrame([["a", "b"]], columns=["Name", "NAME"]), "name")


def test_numbers(tmp_path):
    assert numbers(tmp_path, "n", pd.Series(["1", "0,300", "1.5", ""]), float).tolist()[:3] == [1, 0.3, 1.5]
    assert numbers(tmp_path, "n", pd.Series(["1", "02", "3.0"]), int).tolist() == [1, 2, 3]
    for text, kind, said in (("1,000", float, "Write 1000 or 1.000"), ("a", float, "not a number"), ("", int, "whole")):
        with pytest.raises(UserError, match=said):
            numbers(tmp_path, "n", pd.Series([text]), kind)
