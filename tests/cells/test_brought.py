"""Screens as labs bring them: four microscopes, plate maps as people keep them, moved tables, exclusions."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.conftest import ROOT

from phenoviews.cells import screen
from phenoviews.cells.source import PLANES
from phenoviews.errors import UserError

MICROSCOPES = yaml.safe_load(
    re.search(r"```yaml\n# microscopes\n(.*?)```", (ROOT / "docs/screens.md").read_text(), re.S)[1]
)
# How each names its files, as its vendor's software writes them: {name: (template, names of three channels)}
NAMES = {
    "opera_phenix": (
        "{plate}__2024-03-01T10_22_33-Measurement 1/Images/"
        "r{row:02}c{col:02}f{site:02}p{plane:02}-ch{channel}sk1fk1fl1.tiff",
        ("1", "2", "15"),
    ),
    "imagexpress": (
        "{plate}/2024-03-01/412/TimePoint_1/day1_{well}_s{site}_w{channel}4E8B0A4C-88A9-4D8E-A3A4-6DB1D0F5C1B7.tif",
        ("1", "2", "3"),
    ),
    "yokogawa": (
        "{plate}/AssayPlate_Greiner_{well}_T0001F{site:03}L01A01Z{plane:02}C{channel}.tif",
        ("01", "02", "04"),
    ),
    "in_cell": (
        "{plate}/{letter} - {col:02}(fld {site} wv {channel}).tif",
        ("DAPI - DAPI", "FITC - FITC", "TexasRed - TexasRed"),
    ),
}
WELLS = {"B02": ("B", 2), "B03": ("B", 3), "P24": ("P", 24)}


def lay(root: Path, template: str, channels, plates=("P 1", "P_2"), planes=(1,)) -> None:
    keys = ("plate", "well", "site", "plane", "channel")
    for values in itertools.product(plates, WELLS, (1, 2), planes, channels):
        named = dict(zip(keys, values, strict=True))
        letter, col = WELLS[named["well"]]
        path = root / template.format(**named, letter=letter, col=col, row=ord(letter) - ord("A") + 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize("name", NAMES)
def test_microscopes_of_the_documentation(name, tmp_path, capsys):
    assert set(MICROSCOPES) == set(NAMES)
    entry, (template, channels) = MICROSCOPES[name], NAMES[name]
    planes = (1, 2, 3) if "project" in entry else (1,)
    lay(tmp_path / "images", template, channels, planes=planes)
    thumb = next((tmp_path / "images").rglob("*.tif*"))
    thumb.with_name(re.sub(r"_w1", "_w1_thumb", thumb.name)).touch()
    (tmp_path / "map.csv").write_text("well,compound,concentration\nB02,DMSO,0\nB03,taxol,1\nP24,taxol,2\n")
    paths = {"path": str(tmp_path / "images"), "platemap": str(tmp_path / "map.csv")}
    found = screen.fields({"kind": "pattern", "control": "DMSO", **entry, **paths}, {})
    assert len(found) == 12
    assert set(found["Metadata_Plate"]) == {"P 1", "P_2"}
    assert found["Metadata_Well"].unique().tolist() == ["B02", "B03", "P24"]
    assert found["Metadata_Site"].tolist() == [1, 2] * 6
    assert len(entry["channels"]) == 3
    for channel in entry["channels"]:
        images = found[f"Image_{channel}"].str.split(PLANES)
        assert set(images.str.len()) == {len(planes)}
        assert images.explode().is_unique
    assert capsys.readouterr().err == ""


# --- plate maps ---


PATTERN = {"kind": "pattern", "pattern": "{plate}/{well}_s{site}_{channel}.tif", "control": "DMSO"}
PATTERN["channels"] = {"DNA": "w1", "tubulin": "w2"}


def lab(tmp_path: Path, platemap: str | bytes, wells=("B02", "B03", "B04"), plates=("P1",), name="map.csv", **more):
    for plate in plates:
        for well in wells:
            for channel in ("w1", "w2"):
                path = tmp_path / "images" / plate / f"{well}_s1_{channel}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    (tmp_path / name).write_bytes(platemap if isinstance(platemap, bytes) else platemap.encode())
    paths = {"path": str(tmp_path / "images"), "platemap": str(tmp_path / name)}
    return screen.fields(PATTERN | paths | more, {})


def treatments(found: pd.DataFrame) -> list[tuple[str, str, float]]:
    return list(
        found[["Metadata_Well", "Metadata_Compound", "Metadata_Concentration"]].itertuples(index=False, name=None)
    )


EXPECTED = [("B02", "DMSO", 0.0), ("B03", "Größe", 0.3), ("B04", "taxol", 0.05)]


@pytest.mark.parametrize(
    "platemap",
    [
        "Well;Compound;Concentration (nM)\nB2;DMSO;\nB3;Größe;300\nb04;taxol;50\n".encode("cp1252"),
        "well\tcompound\tdose_uM\nB02\tDMSO\t0\nB03\tGröße\t0,3\nB04\ttaxol\t0,05\n".encode("utf-16"),
        "Metadata_Well , Metadata_Compound,conc\nB-02,DMSO,NA\nB 3, Größe ,300 nM\nB04.a1,taxol,0.05 µM\n",
        "well,compound,concentration,concentration unit\nB02,DMSO,,\nB03,Größe,300,nM\nB04,taxol,5e-5,mM\n",
    ],
    ids=["of a German Excel", "Excel's Unicode text", "blanks and units beside the numbers", "a column of units"],
)
def test_plate_maps_as_people_keep_them(tmp_path, platemap):
    assert treatments(lab(tmp_path, platemap)) == EXPECTED


def test_an_excel_plate_map_in_nanomolar_with_two_controls(tmp_path):
    rows = [["Well", "Drug", "Dose (nM)"], ["B2", "DMSO", None], ["B3", "water", 0], ["B4", "taxol", 50]]
    pd.DataFrame(rows).to_excel(tmp_path / "made.xlsx", index=False, header=False)
    content = (tmp_path / "made.xlsx").read_bytes()
    found = lab(tmp_path, content, name="map.xlsx", columns={"compound": "Drug"}, control=["DMSO", "water"])
    assert treatments(found) == [("B02", "DMSO", 0), ("B03", "DMSO", 0), ("B04", "taxol", 0.05)]
    assert found["Metadata_Control"].tolist() == [True, True, False]


def test_columns_under_names_of_ones_own(tmp_path):
    text = "barcode,Position,pert,final,day\nP1,B02,DMSO,0,d1\nP1,B03,Größe,300,d1\nP1,B04,taxol,50,d2\n"
    columns = {"plate": "barcode", "well": "position", "compound": "pert", "concentration": "final", "batch": "day"}
    found = lab(tmp_path, text, columns=columns, unit="nM")
    assert treatments(found) == EXPECTED
    assert found["Metadata_Batch"].tolist() == ["d1", "d1", "d2"]
    with pytest.raises(UserError, match=r"map\.csv: lacks the column nay; it has barcode, Position"):
        lab(tmp_path, text, columns=columns | {"moa": "nay"}, unit="nM")


def test_rnai_has_no_doses(tmp_path, capsys):
    found = lab(tmp_path, "well,compound\nB02,siControl\nB03,PLK1\nB04,KIF11\n", control="siControl")
    assert found["Metadata_Concentration"].tolist() == [0, 0, 0]
    assert "map.csv: has no concentrations; all are taken to be 0" in capsys.readouterr().err


def test_masses_want_a_unit_of_their_kind(tmp_path):
    text = "well,compound,concentration (mg/ml)\nB02,DMSO,0\nB03,serum,2\nB04,serum,0.5\n"
    assert lab(tmp_path, text, unit="mg/ml")["Metadata_Concentration"].tolist() == [0, 2000, 500]
    with pytest.raises(UserError, match=r"is in µg/ml where the screen's `unit` is µM; set `unit: µg/ml`"):
        lab(tmp_path, text)


@pytest.mark.parametrize("row", ["", "B04,,\n", "C01,taxol,1\n"], ids=["absent", "empty", "another well"])
def test_wells_without_a_treatment_are_left_out_and_told(tmp_path, capsys, row):
    found = lab(tmp_path, "well,compound,concentration\nB02,DMSO,0\nB03,taxol,1\n" + row)
    assert found["Metadata_Well"].tolist() == ["B02", "B03"]
    assert "no compound for 1 wells that have images: P1 B04; their 1 fields are left out" in capsys.readouterr().err


def test_a_misspelt_plate_of_the_map_is_refused_with_those_there_are(tmp_path):
    text = "plate,well,compound,concentration\n" + "".join(
        f"{p},{w},DMSO,0\n" for p in ("P1", "P_2") for w in ("B02", "B03")
    )
    with pytest.raises(UserError, match=r"map\.csv: has no well of the plate 'P2', .* it has the plates 'P1', 'P_2'"):
        lab(tmp_path, text, wells=("B02", "B03"), plates=("P1", "P2"))
    found = lab(tmp_path, text, wells=("B02",), plates=("P1", "P2"), exclude=["P2"])
    assert found["Metadata_Plate"].tolist() == ["P1"] * 2


def test_spellings_of_one_compound_are_one_and_told(tmp_path, capsys):
    found = lab(tmp_path, "well,compound,concentration\nB02,dmso,0\nB03,Taxol,1\nB04,taxol ,1\n")
    assert found["Metadata_Compound"].tolist() == ["DMSO", "Taxol", "Taxol"]
    assert found["Metadata_Control"].tolist() == [True, False, False]
    assert "'taxol' for 'Taxol'" in capsys.readouterr().err


def test_a_misspelt_second_control_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no field is of the control 'watr'; .*did you mean 'water'"):
        lab(tmp_path, "well,compound,concentration\nB02,DMSO,0\nB03,water,0\nB04,taxol,1\n", control=["DMSO", "watr"])


# --- positions and exclusions ---


MAP = "well,compound,concentration\nB02,DMSO,0\nB03,taxol,1\nB04,taxol,2\n"


def test_exclusions(tmp_path):
    for exclude, left in (
        (["P1"], ["P2 B02", "P2 B03", "P2 B04"]),
        (["P1/B02", "P2/b3"], ["P1 B03", "P1 B04", "P2 B02", "P2 B04"]),
        (["*/B04", "P1/B03/1"], ["P1 B02", "P2 B02", "P2 B03"]),
    ):
        found = lab(tmp_path, MAP, plates=("P1", "P2"), exclude=exclude)
        assert (found["Metadata_Plate"] + " " + found["Metadata_Well"]).tolist() == left


@pytest.mark.parametrize(
    ("exclude", "said"),
    [
        ("P3", "exclude: 'P3' names no plate: there are P1"),
        ("P1/C05", "names no field"),
        ("P1/B02/7", "names no field"),
    ],
)
def test_an_exclusion_of_nothing_is_refused(tmp_path, exclude, said):
    with pytest.raises(UserError, match=said):
        lab(tmp_path, MAP, exclude=[exclude])


def test_places_that_no_plate_has_are_told_and_left_out(tmp_path, capsys):
    found = lab(tmp_path, MAP, wells=("B02", "B03", "A00", "Z99"))
    assert found["Metadata_Well"].tolist() == ["B02", "B03"]
    assert "4 images do not fit, such as P1/A00_s1_w1.tif" in capsys.readouterr().err


def test_positions_that_are_no_wells(tmp_path):
    platemap = "well,compound,concentration\nslide 2,DMSO,0\nleft_3,taxol,1\n"
    found = lab(tmp_path, platemap, wells=("slide 2", "left_3"), positions="names")
    assert found["Metadata_Well"].tolist() == ["left_3", "slide 2"]
    with pytest.raises(UserError, match="none of its 4 image files"):
        lab(tmp_path, platemap, wells=("slide 2", "left_3"))


# --- patterns that do not fit ---


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"channels": {"DNA": "W1", "tubulin": "W2"}}, "all but {channel} fits, and that finds 'w1', 'w2'"),
        (
            {"pattern": "{plate}/{well}_f{site}_{channel}.tif"},
            "{plate} finds 'P1', {well} finds 'B02'; then '_f' is wanted and '_s1_w1.tif' is there",
        ),
        (
            {"pattern": "{plate}/{well}_s{site}_{channel}.tiff"},
            "{channel} finds 'w1'; then '.tiff' is wanted and '.tif' is there",
        ),
        ({"pattern": "x/{well}_s{site}_{channel}.tif"}, "'x/' finds nothing at its beginning"),
    ],
)
def test_none_fits_says_which_part_found_what(tmp_path, more, said):
    with pytest.raises(UserError) as caught:
        lab(tmp_path, MAP, **more)
    assert said in str(caught.value)


def test_planes_need_a_way_to_become_one(tmp_path):
    lay(tmp_path / "images", "{plate}/{well}_s{site}_z{plane}_w{channel}.tif", "12", planes=(1, 2))
    (tmp_path / "map.csv").write_text("well,compound,concentration\nB02,DMSO,0\nB03,a,1\nP24,b,1\n")
    entry = PATTERN | {"pattern": "{plate}/{well}_s{site}_z{plane}_w{channel}.tif", "channels": {"DNA": 1, "ER": 2}}
    entry |= {"path": str(tmp_path / "images"), "platemap": str(tmp_path / "map.csv")}
    with pytest.raises(UserError, match=r"2 planes of one image, such as .*`project: max` or `project: focus`"):
        screen.fields(entry, {})
    found = screen.fields(entry | {"project": "focus"}, {})
    assert found["Image_ER"].iloc[0] == f"P 1/B02_s1_z1_w2.tif{PLANES}P 1/B02_s1_z2_w2.tif"


def test_stacks_have_their_channels_by_number(tmp_path):
    lay(tmp_path / "images", "{plate}/{well}_{site}.ome.tif", "x")
    (tmp_path / "map.csv").write_text("well,compound,concentration\nB02,DMSO,0\nB03,a,1\nP24,b,1\n")
    entry = PATTERN | {"pattern": "{plate}/{well}_{site}.ome.tif", "channels": {"DNA": 2, "ER": 0}}
    entry |= {"path": str(tmp_path / "images"), "platemap": str(tmp_path / "map.csv")}
    found = screen.fields(entry, {})
    assert (found["Image_DNA"] == found["Image_ER"]).all()
    assert (found["Index_DNA"].eq(2) & found["Index_ER"].eq(0)).all()
    with pytest.raises(UserError, match=r"needs \{channel\}, or `channels` that are numbers"):
        screen.fields(entry | {"channels": {"DNA": "w1", "ER": "w2"}}, {})


# --- LoadData of another machine ---


LOADDATA = {"kind": "loaddata", "channels": {"DNA": "OrigDNA", "ER": "OrigER"}, "control": "DMSO"}


def harmony(folder: str = r"D:\Screens") -> pd.DataFrame:
    """As pe2loaddata writes it, with numbers of rows, columns and fields."""
    rows = [
        {
            "Metadata_Plate": "P1",
            "Metadata_Row": row,
            "Metadata_Col": col,
            "Metadata_FieldID": field,
            **{f"FileName_{name}": f"r{row:02}c{col:02}f{field:02}-{name}.tiff" for name in ("OrigDNA", "OrigER")},
            **{f"PathName_{name}": rf"{folder}\P1\Images" for name in ("OrigDNA", "OrigER")},
        }
        for row, col in ((2, 2), (2, 3), (27, 1))
        for field in (1, 2)
    ]
    return pd.DataFrame(rows)


def loaded(tmp_path, table, **more):
    if more.pop("parquet", False):
        table.to_parquet(path := tmp_path / "load.parquet")
    else:
        table.to_csv(path := tmp_path / "load.csv", index=False)
    (tmp_path / "map.csv").write_text("well,compound,concentration\nB02,DMSO,0\nB03,taxol,1\nAA01,taxol,2\n")
    return screen.fields(LOADDATA | {"path": str(path), "platemap": str(tmp_path / "map.csv")} | more, {})


@pytest.mark.parametrize("parquet", [False, True], ids=["CSV", "Parquet"])
def test_a_moved_table_of_rows_and_columns(tmp_path, parquet):
    table = harmony()
    for name in table[["FileName_OrigDNA", "FileName_OrigER"]].to_numpy().ravel():
        path = tmp_path / "data" / "P1" / "Images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = loaded(tmp_path, table, replace={r"D:\Screens": str(tmp_path / "data")}, parquet=parquet)
    assert found["Metadata_Well"].tolist() == ["AA01", "AA01", "B02", "B02", "B03", "B03"]
    assert found["Metadata_Site"].tolist() == [1, 2] * 3
    assert found["Image_ER"].iloc[2] == str(tmp_path / "data/P1/Images/r02c02f01-OrigER.tiff")
    with pytest.raises(UserError, match=r"D:/Screens/P1/Images/.* is a path of another machine"):
        loaded(tmp_path, table, parquet=parquet)


def test_jumps_addresses_are_refused_with_the_cure(tmp_path):
    table = harmony().drop(columns=["PathName_OrigDNA", "PathName_OrigER", "FileName_OrigDNA", "FileName_OrigER"])
    start = "s3://cellpainting-gallery/cpg0016-jump/source_4/images"
    for name in ("OrigDNA", "OrigER"):
        table[f"URL_{name}"] = [f"{start}/P1/{row}-{name}.tiff" for row in range(len(table))]
    with pytest.raises(UserError, match=rf"are addresses, such as {start}/P1/.*download them"):
        loaded(tmp_path, table)
    found = loaded(tmp_path, table, replace={start: "images"})
    assert found["Image_DNA"].str.endswith("images/P1/0-OrigDNA.tiff").any()


def test_columns_of_the_table_and_of_the_map(tmp_path):
    table = harmony("x").rename(columns={"Metadata_Plate": "Barcode", "Metadata_FieldID": "view"})
    found = loaded(tmp_path, table, columns={"plate": "Barcode", "site": "view", "compound": "compound"})
    assert len(found) == 6
    with pytest.raises(UserError, match="lacks the column nothing"):
        loaded(tmp_path, table, columns={"plate": "Barcode", "site": "view", "moa": "nothing"})


def test_rows_of_one_field_are_its_planes_where_they_are_projected(tmp_path):
    table = harmony("x")
    second = table.assign(**{f"FileName_{name}": table[f"FileName_{name}"] + "f" for name in ("OrigDNA", "OrigER")})
    both = pd.concat([table, second])
    with pytest.raises(UserError, match="6 fields listed twice"):
        loaded(tmp_path, both)
    found = loaded(tmp_path, both, project="max")
    assert len(found) == 6
    assert found["Image_DNA"].str.count(PLANES).eq(1).all()


def test_frames_of_a_file_are_its_channels(tmp_path):
    table = harmony("x").assign(FileName_OrigER=lambda rows: rows["FileName_OrigDNA"], Frame_OrigDNA=0, Frame_OrigER=3)
    found = loaded(tmp_path, table)
    assert (found["Image_DNA"] == found["Image_ER"]).all()
    np.testing.assert_array_equal(found[["Index_DNA", "Index_ER"]], [[0, 3]] * 6)
