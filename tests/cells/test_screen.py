"""Screens as tables: BBBC021's official CSVs, a lab's LoadData CSV, a folder with a file-name pattern, plate maps."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phenoviews.cells import screen
from phenoviews.cells.source import Source
from phenoviews.errors import UserError

BBBC021 = {"kind": "bbbc021", "channels": {"DNA": "DAPI", "tubulin": "Tubulin", "actin": "Actin"}, "control": "DMSO"}
COLUMNS = [
    *("Metadata_Plate", "Metadata_Well", "Metadata_Site", "Metadata_Replicate", "Metadata_Compound"),
    *("Metadata_Concentration", "Metadata_Control", "Metadata_Batch", "Metadata_MoA", "Metadata_Field"),
]
WEEK1 = ["Week1_22123", "Week1_22141", "Week1_22161"]


# --- BBBC021, the real one ---


@pytest.fixture(scope="module")
def bbbc021(shared_data):
    folder = shared_data / "bbbc021"
    return screen.fields(BBBC021, {"images": folder / "BBBC021_v1_image.csv.gz", "moa": folder / "BBBC021_v1_moa.csv"})


def test_bbbc021_is_complete(bbbc021):
    assert list(bbbc021) == [*COLUMNS, "Image_DNA", "Image_tubulin", "Image_actin"]
    assert len(bbbc021) == 13_200
    assert bbbc021["Metadata_Plate"].nunique() == 55
    assert set(bbbc021.groupby("Metadata_Plate").size()) == {240}
    assert set(bbbc021.groupby(["Metadata_Plate", "Metadata_Well"]).size()) == {4}
    assert set(bbbc021["Metadata_Site"]) == {1, 2, 3, 4}
    assert set(bbbc021["Metadata_Batch"]) == {f"Week{number}" for number in range(1, 11)}
    assert bbbc021["Metadata_Field"].is_unique
    # 113 with the control, in eight doses each but for two: AG-1478 in sixteen, monastrol in nine.
    assert bbbc021["Metadata_Compound"].nunique() == 113
    doses = bbbc021[~bbbc021["Metadata_Control"]].groupby("Metadata_Compound")["Metadata_Concentration"].nunique()
    assert (doses == 8).sum() == 110
    assert bbbc021.loc[bbbc021["Metadata_Control"], "Metadata_Compound"].unique().tolist() == ["DMSO"]
    assert (bbbc021.loc[bbbc021["Metadata_Control"], "Metadata_Concentration"] == 0).all()
    assert bbbc021["Metadata_Control"].sum() == 1320
    assert bbbc021.equals(bbbc021.sort_values(COLUMNS[:3], ignore_index=True))


def test_bbbc021_subset_of_the_paper(bbbc021):
    """The specification's counts: three plates, the four highest doses of nocodazole, DMSO in 18 wells."""
    plates = bbbc021[bbbc021["Metadata_Plate"].isin(WEEK1)]
    nocodazole = plates[plates["Metadata_Compound"] == "nocodazole"]
    highest = sorted(nocodazole["Metadata_Concentration"].unique())[-4:]
    assert nocodazole["Metadata_Concentration"].isin(highest).sum() == 48
    control = plates[plates["Metadata_Control"]]
    assert len(control) == 72
    assert len(control[COLUMNS[:2]].drop_duplicates()) == 18


def test_bbbc021_annotations(bbbc021):
    """Only 2 of the 4 highest doses of nocodazole are annotated; 103 treatments and DMSO are in all."""
    annotated = bbbc021[bbbc021["Metadata_MoA"] != ""]
    assert len(annotated[["Metadata_Compound", "Metadata_Concentration"]].drop_duplicates()) == 104
    nocodazole = annotated[annotated["Metadata_Compound"] == "nocodazole"]
    assert set(nocodazole["Metadata_MoA"]) == {"Microtubule destabilizers"}
    assert set(nocodazole["Metadata_Concentration"]) == {1.0, 3.0}
    assert annotated["Metadata_MoA"].nunique() == 13  # twelve and DMSO


def test_bbbc021_images_and_their_metadata(bbbc021, shared_data):
    """Against the known rows of real files and crops."""
    known = pd.read_csv(shared_data / "bbbc021" / "fields" / "fields.csv").dropna(subset="plate")
    for row in known.itertuples():
        column = {"DAPI": "Image_DNA", "Tubulin": "Image_tubulin"}[row.channel]
        (found,) = bbbc021[bbbc021[column] == f"{row.plate}/{row.file}"].to_dict("records")
        assert (found["Metadata_Well"], found["Metadata_Site"]) == (row.well, row.site)
        assert (found["Metadata_Compound"], found["Metadata_Concentration"]) == (row.compound, row.concentration)
        assert found["Metadata_Replicate"] == row.replicate


def test_bbbc021_quoted_as_databases_export_it(shared_data, tmp_path, bbbc021):
    """Quoted text and six decimals, Windows line ends and a byte-order mark: the same table."""
    with gzip.open(shared_data / "bbbc021" / "BBBC021_v1_image.csv.gz", "rt") as stream:
        rows = list(csv.reader(stream))
    rows[1:] = [[*row[:-1], f"{float(row[-1]):.6f}"] for row in rows[1:]]
    with (tmp_path / "images.csv").open("w", newline="", encoding="utf-8-sig") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    files = {"images": tmp_path / "images.csv", "moa": shared_data / "bbbc021" / "BBBC021_v1_moa.csv"}
    pd.testing.assert_frame_equal(screen.fields(BBBC021, files), bbbc021)


# --- BBBC021's manner, small ---


def official(wells: dict[tuple[str, str], tuple[str, str]], sites: int = 2) -> pd.DataFrame:
    """Rows as the official CSV has them, for {(plate, well): (compound, concentration)}."""
    rows = []
    for (plate, well), (compound, concentration) in wells.items():
        for site in range(1, sites + 1):
            row = {"TableNumber": "1", "ImageNumber": "1"}
            for number, channel in ((1, "DAPI"), (2, "Tubulin"), (4, "Actin")):
                row[f"Image_FileName_{channel}"] = f"{plate}_{well}_s{site}_w{number}ABC.tif"
                row[f"Image_PathName_{channel}"] = f"Week1/{plate}"
            row |= {"Image_Metadata_Plate_DAPI": plate, "Image_Metadata_Well_DAPI": well, "Replicate": "1"}
            rows.append(row | {"Image_Metadata_Compound": compound, "Image_Metadata_Concentration": concentration})
    return pd.DataFrame(rows)


WELLS = {
    ("Week1_1", "B02"): ("DMSO", "0"),
    ("Week1_1", "B03"): ("taxol", "0.3"),
    ("Week2_2", "B02"): ("DMSO", "0"),
    ("Week2_2", "C11"): ("NA", "3e-4"),
}


def read(tmp_path: Path, table: pd.DataFrame, entry: dict = BBBC021, **files: Path) -> pd.DataFrame:
    table.to_csv(tmp_path / "images.csv", index=False)
    return screen.fields(entry, {"images": tmp_path / "images.csv", **files})


def test_small_official_table(tmp_path):
    (tmp_path / "moa.csv").write_text('"compound",concentration,"moa"\n"taxol",0.300000,"Stabilizer"\n')
    found = read(tmp_path, official(WELLS).sample(frac=1, random_state=0), moa=tmp_path / "moa.csv")
    assert found["Metadata_Well"].tolist() == ["B02", "B02", "B03", "B03", "B02", "B02", "C11", "C11"]
    assert found["Metadata_MoA"].tolist() == ["", "", "Stabilizer", "Stabilizer", "", "", "", ""]
    assert found["Metadata_Batch"].tolist() == ["Week1"] * 4 + ["Week2"] * 4
    assert found["Metadata_Compound"].iloc[-1] == "NA"  # a name, not a missing value
    assert found["Metadata_Concentration"].iloc[-1] == 3e-4
    first = found.iloc[0]
    assert first["Image_actin"] == "Week1_1/Week1_1_B02_s1_w4ABC.tif"
    assert first["Metadata_Field"] == "Week1_1_B02_s1_w1ABC"
    kinds = {name: found[name].dtype for name in COLUMNS[2:7]}
    assert [kinds[f"Metadata_{name}"] for name in ("Site", "Replicate", "Concentration", "Control")] == [
        *(np.int64, np.int64, np.float64, np.bool_)
    ]


def test_channels_in_the_order_of_the_config(tmp_path):
    entry = BBBC021 | {"channels": {"actin": "Actin", "DNA": "DAPI"}}
    found = read(tmp_path, official(WELLS), entry)
    assert list(found)[len(COLUMNS) :] == ["Image_actin", "Image_DNA"]
    assert found["Metadata_Field"].iloc[0] == "Week1_1_B02_s1_w4ABC"


def test_the_table_survives_parquet(tmp_path):
    found = read(tmp_path, official(WELLS))
    found.to_parquet(tmp_path / "fields.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "fields.parquet"), found)


COMPOUND, CONCENTRATION = "Image_Metadata_Compound", "Image_Metadata_Concentration"


@pytest.mark.parametrize(
    ("column", "row", "value", "said"),
    [
        ("Image_FileName_Actin", ..., "", "no field has an image of the channel actin; check the screen's `channels`"),
        ("Replicate", ..., "one", "Replicate is 'one', not a whole number"),
        (CONCENTRATION, ..., "some", "Concentration is 'some', not a number"),
        (CONCENTRATION, ..., "1 mg/ml", "Concentration is in µg/ml where the screen's `unit` is µM; set `unit: µg/ml`"),
        ("Image_Metadata_Well_DAPI", ..., "well 3", "'well 3' is not a well such as B02"),
        ("Image_Metadata_Plate_DAPI", ..., "a/b", "'a/b' cannot be a folder's name"),
        ("Image_Metadata_Plate_DAPI", ..., "..", "'..' cannot be a folder's name"),
        ("Image_FileName_DAPI", 1, "B02_w1.tif", "Week1_1/B02_w1.tif does not tell its site"),
        (COMPOUND, ..., "taxol", "check the screen's `control` (compounds: taxol"),
        (COMPOUND, 2, " ", "1 field of an unknown compound (Week1_1 B03 site 1): name their compounds"),
        (COMPOUND, 3, "nocodazole", "2 fields with several treatments (Week1_1 B03 site 1; Week1_1 B03 site 2)"),
        (CONCENTRATION, 2, "1.0", "2 fields with several treatments (Week1_1 B03 site 1; Week1_1 B03 site 2)"),
        (CONCENTRATION, 2, "", "1 field without a concentration (Week1_1 B03 site 1)"),
        (CONCENTRATION, 2, "-1", "1 field without a concentration"),
        (CONCENTRATION, 2, "inf", "Concentration is 'inf', not a number"),
        ("Image_FileName_DAPI", 3, "Week1_1_B03_s1_w1ABC.tif", "1 field listed twice (Week1_1 B03 site 1): keep one"),
        ("Image_FileName_Actin", 2, "Week1_1_B02_s1_w4ABC.tif", "Week1_1/Week1_1_B02_s1_w4ABC.tif stands for several"),
    ],
)
def test_bad_tables_are_named(tmp_path, column, row, value, said):
    table = official(WELLS)
    table.loc[slice(None) if row is ... else row, column] = value
    with pytest.raises(UserError) as caught:
        read(tmp_path, table)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "images.csv"))
    assert said in message


def test_missing_column_is_named_with_those_there_are(tmp_path):
    with pytest.raises(UserError, match=r"images\.csv: lacks the column Image_FileName_Actin; it has TableNumber, "):
        read(tmp_path, official(WELLS).drop(columns="Image_FileName_Actin"))


def test_no_fields(tmp_path):
    with pytest.raises(UserError, match=r"images\.csv: has no rows"):
        read(tmp_path, official(WELLS)[:0])
    with pytest.raises(UserError, match="it has no fields"):
        screen.validate(read(tmp_path, official(WELLS))[:0], ["DNA"])


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b'a,b\n"1,2\n', None])
def test_table_that_cannot_be_read(tmp_path, data):
    path = tmp_path / "images.csv"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UserError, match=r"images\.csv: (cannot be read as a table|lacks the column)"):
        screen.fields(BBBC021, {"images": path})


# --- a lab's own: LoadData ---


LOADDATA = {"kind": "loaddata", "channels": {"DNA": "OrigDNA", "actin": "OrigActin"}, "control": "vehicle"}


def loaddata(prefix: str = "") -> pd.DataFrame:
    rows = []
    for plate in ("P1", "P2"):
        for well, compound, dose in (("A01", "vehicle", "0.1"), ("a2", "drug", "5")):
            row = {"Metadata_Plate": plate, "Metadata_Well": well, "Metadata_Site": "1"}
            row |= {"Metadata_Compound": compound, "Metadata_Concentration": dose}
            for channel in ("OrigDNA", "OrigActin"):
                row[f"{prefix}FileName_{channel}"] = f"{well}-{channel}.tif"
                row[f"{prefix}PathName_{channel}"] = f"raw/{plate}"
            rows.append(row)
    return pd.DataFrame(rows)


def own(tmp_path: Path, table: pd.DataFrame, **more: object) -> pd.DataFrame:
    table.to_csv(tmp_path / "load_data.csv", index=False)
    return screen.fields(LOADDATA | {"path": str(tmp_path / "load_data.csv")} | more, {})


@pytest.mark.parametrize("prefix", ["", "Image_"])
def test_loaddata(tmp_path, prefix):
    found = own(tmp_path, loaddata(prefix))
    assert list(found) == [*COLUMNS, "Image_DNA", "Image_actin"]
    assert found["Metadata_Well"].tolist() == ["A01", "A02", "A01", "A02"]
    assert found["Metadata_Control"].tolist() == [True, False, True, False]
    assert found["Metadata_Concentration"].tolist() == [0, 5, 0, 5]  # a control has none
    assert found["Metadata_Batch"].tolist() == ["P1", "P1", "P2", "P2"]
    assert found["Image_DNA"].tolist()[:2] == ["raw/P1/A01-OrigDNA.tif", "raw/P1/a2-OrigDNA.tif"]
    # The plates' files have the same names, so a field is named by its place.
    assert found["Metadata_Field"].tolist() == ["P1_A01_s1", "P1_A02_s1", "P2_A01_s1", "P2_A02_s1"]


def test_loaddata_images_are_found_from_its_folder(tmp_path):
    """Relative paths start at the CSV; absolute ones, which CellProfiler likes, stay."""
    import tifffile

    table = loaddata()
    table.loc[2:, "PathName_OrigDNA"] = str(tmp_path / "elsewhere")
    own(tmp_path, table)
    entry = LOADDATA | {"path": str(tmp_path / "load_data.csv")}
    found = screen.fields(entry, {})
    for number, name in enumerate(found["Image_DNA"]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, np.full((4, 5), number, np.uint16))
    with Source.open(screen.folder(entry)) as source:
        images = [image for _, image in source.fields(found, ["DNA"])]
    assert [image[0, 0, 0] for image in images] == [0, 1, 2, 3]


def test_loaddata_with_columns_of_its_own(tmp_path):
    table = loaddata().rename(columns={"Metadata_Compound": "Metadata_pert_iname", "Metadata_Plate": "Barcode"})
    table["day"], table["rep"], table["mechanism"] = "monday", "2", "kills"
    columns = {"compound": "Metadata_pert_iname", "plate": "Barcode"}
    found = own(tmp_path, table, columns=columns | {"batch": "day", "replicate": "rep", "moa": "mechanism"})
    assert set(found["Metadata_Plate"]) == {"P1", "P2"}
    assert set(found["Metadata_Batch"]) == {"monday"}
    assert set(found["Metadata_Replicate"]) == {2}
    assert set(found["Metadata_MoA"]) == {"kills"}
    with pytest.raises(UserError, match=r"load_data\.csv: lacks the column typo; it has .*check the screen's"):
        own(tmp_path, table, columns=columns | {"batch": "typo"})


def test_single_missing_image_is_left_to_its_plate(tmp_path):
    table = loaddata()
    table.loc[3, "FileName_OrigActin"] = ""
    found = own(tmp_path, table)
    assert found["Image_actin"].tolist()[-1] == ""
    assert (found["Image_actin"] != "").sum() == 3


def test_loaddata_of_another_channel(tmp_path):
    with pytest.raises(UserError, match=r"lacks the column FileName_Hoechst; it has .*FileName_OrigDNA"):
        own(tmp_path, loaddata(), channels={"DNA": "Hoechst"})


# --- a lab's own: a folder with a file-name pattern ---


PATTERN = {"kind": "pattern", "pattern": "{plate}/{well}_s{site}_{channel}.tif", "control": "DMSO"}
PATTERN["channels"] = {"DNA": "w1", "tubulin": "w2"}
PLATEMAP = "Well,Compound,Concentration\nB02,DMSO,\nB3,taxol,1.5\n"


def folder(tmp_path: Path, names: list[str], platemap: str = PLATEMAP, **more: object) -> pd.DataFrame:
    for name in names:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "platemap.csv").write_text(platemap)
    paths = {"path": str(tmp_path / "images"), "platemap": str(tmp_path / "platemap.csv")}
    return screen.fields(PATTERN | paths | more, {})


def named(template: str, plates=("P1", "P2"), wells=("B02", "B03"), sites=(1, 2), channels=("w1", "w2")) -> list[str]:
    return [
        template.format(plate=plate, well=well, site=site, channel=channel, row="BC".find(well[0]) + 2, col=well[1:])
        for plate in plates
        for well in wells
        for site in sites
        for channel in channels
    ]


def test_pattern(tmp_path, capsys):
    found = folder(tmp_path, named("{plate}/{well}_s{site}_{channel}.tif"))
    assert list(found) == [*COLUMNS, "Image_DNA", "Image_tubulin"]
    assert len(found) == 8
    assert found["Metadata_Compound"].tolist() == ["DMSO", "DMSO", "taxol", "taxol"] * 2
    assert found["Metadata_Concentration"].tolist() == [0, 0, 1.5, 1.5] * 2
    assert found["Metadata_Batch"].tolist() == ["P1"] * 4 + ["P2"] * 4
    assert found["Image_tubulin"].iloc[5] == "P2/B02_s2_w2.tif"
    assert screen.folder(PATTERN | {"path": str(tmp_path / "images")}) == tmp_path / "images"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("template", "pattern", "channels"),
    [
        ("{plate}_{well}_s{site}_{channel}_A7F-19.TIF", "{plate}_{well}_s{site}_{channel}*.TIF", ("w1", "w2")),
        ("{plate}/Images/r{row:02}c{col}f{site:02}p01-ch{channel}sk1.tiff", None, ("1", "15")),
        ("{channel}/{plate}/{plate}-{well}-{site}.png", "{channel}/{plate}/{plate}-{well}-{site}.png", ("a(b)", "a")),
        ("day 1/{plate}/T0_{well}_{site}_{channel}.tif", "day 1/{plate}/*_{well}_{site}_{channel}.tif", ("w1", "w10")),
    ],
    ids=["MetaXpress", "Harmony", "folder of a channel", "anything"],
)
def test_naming_schemes(tmp_path, template, pattern, channels):
    pattern = pattern or "{plate}/Images/r{row}c{column}f{site}p01-ch{channel}sk1.tiff"
    found = folder(
        tmp_path,
        named(template, channels=channels),
        pattern=pattern,
        channels=dict(zip(("DNA", "tubulin"), channels, strict=True)),
    )
    assert len(found) == 8
    assert set(found["Metadata_Plate"]) == {"P1", "P2"}
    assert set(found["Metadata_Well"]) == {"B02", "B03"}
    assert set(found["Metadata_Site"]) == {1, 2}
    expected = named(template, ["P2"], ["B03"], [2], channels)
    assert found.iloc[-1][["Image_DNA", "Image_tubulin"]].tolist() == expected


def test_one_plate_and_one_site_need_no_placeholder(tmp_path):
    found = folder(tmp_path, named("{well}{channel}.tif", ["x"], sites=[1]), pattern="{well}{channel}.tif")
    assert set(found["Metadata_Plate"]) == {"images"}
    assert set(found["Metadata_Site"]) == {1}


def test_other_files_are_told_and_left_out(tmp_path, capsys):
    names = named("{plate}/{well}_s{site}_{channel}.tif")
    others = ["P1/B02_s1_w3.tif", "P1/thumb.png", "P1/notes.txt", ".hidden/B02_s1_w1.tif"]
    assert len(folder(tmp_path, [*names, *others])) == 8
    assert "images: 2 images do not fit, such as P1/B02_s1_w3.tif" in capsys.readouterr().err


def test_missing_channel_of_one_field_is_left_to_its_plate(tmp_path):
    names = named("{plate}/{well}_s{site}_{channel}.tif")
    names.remove("P2/B02_s1_w1.tif")
    found = folder(tmp_path, names)
    (lacking,) = found[found["Image_DNA"] == ""].to_dict("records")
    assert (lacking["Metadata_Plate"], lacking["Metadata_Field"]) == ("P2", "P2_B02_s1")


def test_plate_map_by_plate(tmp_path):
    platemap = (
        "plate,well,compound,concentration,replicate,batch,moa\n"
        "P1,B02,DMSO,0,1,may,\nP1,B03,taxol,1,1,may,Stabilizer\nP2,B02,taxol,2,2,june,Stabilizer\nP2,B03,DMSO,0,2,june,\n"
    )
    found = folder(tmp_path, named("{plate}/{well}_s{site}_{channel}.tif", sites=[1]), platemap)
    assert found["Metadata_Compound"].tolist() == ["DMSO", "taxol", "taxol", "DMSO"]
    assert found["Metadata_Batch"].tolist() == ["may", "may", "june", "june"]
    assert found["Metadata_Replicate"].tolist() == [1, 1, 2, 2]
    assert found["Metadata_MoA"].tolist() == ["", "Stabilizer", "Stabilizer", ""]


@pytest.mark.parametrize(
    ("platemap", "said"),
    [
        ("well,compound,concentration\nC02,DMSO,0\n", "has a compound for none of the 4 wells that have images"),
        (PLATEMAP + "B03,taxol,3\n", "the well B03 is listed twice with different treatments"),
        (PLATEMAP + "B03,nocodazole,1.5\n", "the well B03 is listed twice with different treatments"),
        ("well,gene\nB02,DMSO\n", "platemap.csv: lacks the column compound; it has well, gene"),
        ("well,compound,final conc.\nB02,DMSO,0\n", "has no column concentration; is it final conc.?"),
        ("well,compound,concentration\nB02,DMSO,0\nB03,taxol,\n", "4 fields without a concentration"),
        ("well,compound,concentration\nB02,DNSO,0\nB03,taxol,1\n", "no field is of the control compound"),
        ("well,compound,concentration\nB02,DMSO,0\n3,taxol,1\n", "platemap.csv: '3' is not a well such as B02"),
    ],
)
def test_bad_plate_maps(tmp_path, platemap, said):
    with pytest.raises(UserError) as caught:
        folder(tmp_path, named("{plate}/{well}_s{site}_{channel}.tif"), platemap)
    assert said in str(caught.value)


def test_plate_map_may_repeat_itself_and_have_more_wells(tmp_path):
    platemap = PLATEMAP + "B03,taxol,1.5\nH12,empty,0\n"
    assert len(folder(tmp_path, named("{plate}/{well}_s{site}_{channel}.tif"), platemap)) == 8


@pytest.mark.parametrize(
    ("names", "more", "said"),
    [
        (["P1/B02.tif"], {}, "none of its 1 image files, such as P1/B02.tif, fits the screen's `pattern`"),
        ([], {}, "no such folder"),
        (["P1/B02_s1_w1.tif"], {}, "no field has an image of the channel tubulin"),
        (["P1/B02_s1_w1.tif", "P1/B02_s01_w1.tif"], {}, "keep one of them"),
        (["P1/B02_s1_w1.tif", "P1/B2_s1_w1.tif"], {}, "P1/B02_s1_w1.tif and P1/B2_s1_w1.tif are both"),
        (["x.tif"], {"pattern": "{plate}/{well}_{colour}.tif"}, "{colour} is not one of {plate}, {well}"),
        (["x.tif"], {"pattern": "{plate}_{channel}.tif"}, "needs {channel} and {well}, or {row} and {column}"),
    ],
)
def test_bad_folders(tmp_path, names, more, said):
    with pytest.raises(UserError) as caught:
        folder(tmp_path, names, **more)
    assert said in str(caught.value)


def test_pattern_without_a_plate_map(tmp_path):
    with pytest.raises(UserError, match="needs a `platemap`"):
        screen.fields(PATTERN | {"path": str(tmp_path)}, {})
