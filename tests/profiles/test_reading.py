"""Tables as other tools and people write them: what they mean does not depend on how they are written."""

from __future__ import annotations

import csv
import unicodedata

import numpy as np
import pandas as pd
import pytest
from tests.profiles.conftest import screen

from phenoviews.errors import UserError
from phenoviews.profiles.reading import read
from phenoviews.profiles.score import score

FEATURES = [f"f{i}" for i in range(6)]


@pytest.fixture
def table():
    meta, x = screen(d=6, batch_effect=1.0)
    meta["Metadata_Well"] = [
        f"{'ABCD'[int(well[1:]) // 8]}{int(well[1:]) % 8 + 1:02d}" for well in meta["Metadata_Well"]
    ]
    return meta.drop(columns="Metadata_Control").assign(**dict(zip(FEATURES, x.T, strict=True)))


def save(table, path, **options):
    if path.suffix == ".parquet":
        table.to_parquet(path, **options)
    else:
        table.to_csv(path, **{"index": False, **options})
    return path


def same(found, expected):
    """Both are scored alike: the same rows with the same names, and the same features."""
    assert found.names == expected.names
    for column in expected.meta:
        assert found.meta[column].tolist() == expected.meta[column].tolist(), column
    np.testing.assert_array_equal(found.x, expected.x)


NUMBERS = {
    "an index without a name": lambda t: t.reset_index().rename(columns={"index": ""}),
    "an index as pandas reads it": lambda t: t.reset_index().rename(columns={"index": "Unnamed: 0"}),
    "R's": lambda t: t.assign(**{"...1": np.arange(1, len(t) + 1)}),
    "a frame that was filtered": lambda t: t.assign(row_in_study=np.arange(len(t)) * 3 + 17),
    "counted down": lambda t: t.assign(left=np.arange(len(t))[::-1]),
    "counted in every well": lambda t: t.assign(nth=np.arange(len(t)) % 12 + 1),
    "CellProfiler's numbers": lambda t: t.assign(ImageNumber=7.0, Cells_Number_Object_Number=np.arange(len(t)) % 5),
    "CellProfiler's places": lambda t: t.assign(Nuclei_Location_Center_X=3.25, Cells_Parent_Nuclei=1.5),
    "lower case": lambda t: t.assign(metadata_site=np.arange(len(t)) % 9 * 1000),
    "metadata with a point": lambda t: t.assign(**{"Metadata.Site": np.arange(len(t)) % 9}),
    "no prefix": lambda t: t.assign(site=1.0, Replicate=2.0, CellID=3.0, x=0.5, y=0.25, plate_number=4.0),
    "which of the replicates": lambda t: t.assign(
        bio_rep=np.arange(len(t)) // 3 % 2, Tech_Replicate=np.arange(len(t)) // 5 % 3, biological_replicate_number=2.0
    ),
    "where it was": lambda t: t.assign(Assay_Plate_Number=4.0, source_well_index=np.arange(len(t)) // 5 % 7),
    "CellProfiler's metadata": lambda t: t.assign(Image_Metadata_Site=np.arange(len(t)) // 5 % 7),
    "a plate's covariate": lambda t: t.assign(passage_of_cells=t["Metadata_Plate"].factorize()[0] * 1.5),
    "a class as a number": lambda t: t.assign(answer=t["Metadata_MoA"].factorize()[0] * 2.0),
}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_of_rows_are_no_features(table, tmp_path, case, kind):
    expected = read(save(table, tmp_path / "plain.csv"))
    changed = NUMBERS[case](table)
    found = read(save(changed, tmp_path / f"more.{kind}"))
    same(found, expected)
    added = [name for name in changed.columns if name not in table.columns and not name.lower().startswith("metadata")]
    told = " ".join(found.notes)
    assert all((repr(name) if name else "without a name") in told for name in added)
    if all(added):  # named in full, each is taken
        assert set(read(tmp_path / f"more.{kind}", features=["f*", *added]).names) == {*FEATURES, *added}


def test_truth_values_are_no_features(table, tmp_path):
    flagged = table.assign(at_the_edge=np.arange(len(table)) % 7 == 0)
    same(read(save(flagged, tmp_path / "p.parquet")), read(save(table, tmp_path / "p.csv")))
    with pytest.raises(UserError, match="feature column 'at_the_edge' is not numeric"):
        read(save(flagged, tmp_path / "q.csv"))


def test_an_index_of_pandas_is_what_its_name_says(table, tmp_path):
    expected = read(save(table, tmp_path / "plain.parquet"))
    assert expected.notes == []
    filtered = table[table["f0"] > table["f0"].median()]
    save(filtered, tmp_path / "filtered.parquet")
    save(filtered.reset_index(drop=True), tmp_path / "clean.parquet")
    same(read(tmp_path / "filtered.parquet"), read(tmp_path / "clean.parquet"))
    numbered = table.set_index(pd.Index(np.random.default_rng(0).permutation(len(table)), name="cell"))
    same(read(save(numbered, tmp_path / "named.parquet")), expected)
    same(read(save(table.set_index("Metadata_Well"), tmp_path / "well.parquet")), expected)


def test_features_are_measurements_whatever_their_values(table, tmp_path):
    rng = np.random.default_rng(0)
    measured = table.assign(
        count=rng.poisson(40, len(table)),
        rare=(np.arange(len(table)) == 5) * 1.0,
        dead=0.0,
        sorted=np.sort(table["f1"]),
        rep_0=rng.normal(size=len(table)),
        plate_like_texture=rng.normal(size=len(table)),
    )
    assert read(save(measured, tmp_path / "p.csv")).names == [*FEATURES, *measured.columns[len(table.columns) :]]
    # Replicates that are copies make every feature the same within treatments, and none of them metadata.
    groups = table.groupby(["Metadata_Compound", "Metadata_Concentration"])
    copies = table.assign(**{name: groups[name].transform("mean") for name in FEATURES})
    assert read(save(copies, tmp_path / "q.csv")).names == FEATURES
    assert read(save(table.assign(**dict.fromkeys(FEATURES, 1.0)), tmp_path / "r.csv")).names == FEATURES


def upper(column):
    return lambda t, second: t.assign(
        **{column: t[column].where(~second | (t[column] == "DMSO"), t[column].str.upper())}
    )


def composed(t, second):
    accented = ("\u00e9" + t["Metadata_Compound"]).where(t["Metadata_Compound"] != "DMSO", "DMSO")
    forms = ["NFD" if one else "NFC" for one in second]
    return t.assign(Metadata_Compound=[unicodedata.normalize(*two) for two in zip(forms, accented, strict=True)])


def replaced(column, old, new):
    return lambda t, second: t.assign(
        **{column: t[column].where(~second, t[column].astype(str).str.replace(old, new, regex=False))}
    )


SPELLINGS = {
    "compounds by case": upper("Metadata_Compound"),
    "MoAs by case": upper("Metadata_MoA"),
    "accents": composed,
    "blanks": replaced("Metadata_Compound", "compound", "compound "),
    "hyphens": replaced("Metadata_MoA", "moa", "mo\u2011a"),
    "batches": replaced("Metadata_Batch", "B", "b "),
    "the control": replaced("Metadata_Compound", "DMSO", "dmso"),
}


@pytest.mark.parametrize("case", SPELLINGS)
def test_two_spellings_of_a_name_are_one_and_told(table, tmp_path, case):
    second = table["Metadata_Plate"].str.endswith("1")
    if case in ("batches", "the control"):
        second = table.index % 3 == 0
    spoilt = SPELLINGS[case](table, second)
    expected, found = read(save(table, tmp_path / "a.csv")), read(save(spoilt, tmp_path / "b.csv"))
    counts = [score(one.meta, one.x)[0]["counts"] for one in (expected, found)]
    assert counts[0] == counts[1]
    assert any("another spelling" in note for note in found.notes)
    assert not any("another spelling" in note for note in expected.notes)
    if case in ("the control", "batches"):
        return
    apart = read(tmp_path / "b.csv", as_spelled=True) if "MoA" not in case and case != "hyphens" else None
    if apart:
        assert score(apart.meta, apart.x)[0]["counts"]["treatments"] == 2 * counts[0]["treatments"]


def test_wells_of_sites_under_two_spellings_are_one(table, tmp_path):
    sites = pd.concat([table, table.assign(Metadata_Well=table["Metadata_Well"].str.replace("0", "").str.lower())])
    found = read(save(sites, tmp_path / "p.csv"))
    assert found.meta["Metadata_Well"].nunique() == table["Metadata_Well"].nunique()
    assert (
        found.meta.iloc[: len(table)]["Metadata_Well"].tolist()
        == found.meta.iloc[len(table) :]["Metadata_Well"].tolist()
    )


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("text", ["NA", "nan", "None", "null", "N/A"])
def test_names_that_programs_write_for_nothing(table, tmp_path, text, kind):
    compound, moa = (table[f"Metadata_{name}"] for name in ("Compound", "MoA"))
    path = tmp_path / f"p.{kind}"
    found = read(save(table.assign(Metadata_Compound=compound.replace("compound1", text)), path))
    assert text in set(found.meta["Metadata_Compound"])
    assert any(f"{text!r} in 4 rows is taken as a name" in note for note in found.notes)
    found = read(save(table.assign(Metadata_Compound=compound.replace("DMSO", text)), path), control=text)
    assert found.meta["Metadata_Control"].sum() == 48
    found = read(save(table.assign(Metadata_MoA=moa.replace("", text)), path))
    assert (found.meta["Metadata_MoA"] == "").sum() == 48
    assert any(f"{text!r} in 48 rows is taken as no MoA" in note for note in found.notes)
    doses = table["Metadata_Concentration"].astype(str).where(table.index != 26, text)
    with pytest.raises(UserError, match="Metadata_Concentration is empty in row 26"):
        read(save(table.assign(Metadata_Concentration=doses), path))


DOSES = {
    "noise": [0.3, 0.1 * 3],
    "digits": ["1.5", "1.500000"],
    "letters": ["0.3 \u00b5M", "0.3 \u03bcM"],
    "units": ["300 nM", "0.3uM"],
    "decimal commas": ["0,3", "0.30"],
    "words": ["High", "high "],
}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("case", DOSES)
def test_one_dose_written_twice_is_one(table, tmp_path, case, kind):
    first, second = DOSES[case]
    dose = pd.Series(np.where(table["Metadata_Plate"].str.endswith("1"), first, second))
    meta = read(save(table.assign(Metadata_Concentration=dose), tmp_path / f"p.{kind}")).meta
    assert meta.loc[~meta["Metadata_Control"], "Metadata_Concentration"].nunique() == 1


def test_doses_in_two_units_are_refused_and_a_missing_column_is_said(table, tmp_path):
    for second in ("0.3 mg/ml", "0.3"):
        dose = np.where(table["Metadata_Plate"].str.endswith("1"), "0.3 \u00b5M", second)
        with pytest.raises(UserError, match="different units or without one"):
            read(save(table.assign(Metadata_Concentration=dose), tmp_path / "p.csv"))
    found = read(save(table.drop(columns="Metadata_Concentration"), tmp_path / "p.csv"))
    assert any("all doses of a compound are one treatment" in note for note in found.notes)


def test_plates_that_are_numbers_are_the_same_in_every_format(table, tmp_path):
    numbered = table.assign(Metadata_Plate=table["Metadata_Plate"].factorize()[0].astype(float))
    files = [save(numbered, tmp_path / name) for name in ("p.csv", "p.parquet")]
    assert [sorted(set(read(file).meta["Metadata_Plate"])) for file in files] == [list("012345")] * 2


BRACKETS = ["emb[0]", "Intensity [DNA]", "a.b+c", "f(x)^2", "what?", "star*", "back\\slash", "{curly}"]


def test_names_of_features_are_taken_literally(table, tmp_path):
    table = table.drop(columns=FEATURES).assign(**{name: np.random.default_rng(i).normal(size=len(table))
                                                   for i, name in enumerate(BRACKETS)})  # fmt: skip
    path = save(table, tmp_path / "p.csv")
    for name in BRACKETS:
        assert read(path, features=[name]).names == [name]
    assert read(path).names == BRACKETS
    assert read(path, features=["emb[*", "Intensity [D*"]).names == ["emb[0]", "Intensity [DNA]"]
    assert read(path, features=["[ew]*"]).names == ["emb[0]", "what?"]  # no column has these brackets: a set of signs


def test_every_pattern_has_to_match(table, tmp_path):
    path = save(table.assign(Cells_Area=table["f0"], Metadata_Site=1.0), tmp_path / "p.csv")
    with pytest.raises(UserError, match=r"no feature columns match cells_\*; .*did you mean 'Cells_Area'"):
        read(path, features=["f*", "cells_*"])
    assert read(path, features=["*"]).names == [*FEATURES, "Cells_Area"]
    with pytest.raises(UserError, match=r"no feature columns match Metadata_Sit\?"):
        read(path, features=["Metadata_Sit?"])


def test_a_control_that_is_not_there_is_named_with_what_is(table, tmp_path):
    path = save(table, tmp_path / "p.csv")
    with pytest.raises(UserError, match=r"no row is of the control 'DSMO'.*--no-control.*did you mean 'DMSO'"):
        read(path, control="DSMO")
    assert not read(path, control=None).meta["Metadata_Control"].any()
    two = table.assign(Metadata_Compound=table["Metadata_Compound"].where(table.index % 5 > 0, "DMSO"))
    two["Metadata_Compound"] = two["Metadata_Compound"].where(two["Metadata_Well"] != "A01", "water")
    meta = read(save(two, tmp_path / "q.csv"), control=["DMSO", "water"]).meta
    assert set(meta.loc[meta["Metadata_Control"], "Metadata_Compound"]) == {"DMSO", "water"}


def test_features_that_cannot_be_squared_are_refused_by_name(table, tmp_path):
    with pytest.raises(UserError, match="feature f2 is 1e\\+200 in row 7, too large"):
        read(save(table.assign(f2=table["f2"].where(table.index != 7, 1e200)), tmp_path / "p.csv"))
    found = read(save(table.assign(f2=table["f2"] * 1e60), tmp_path / "p.csv"))
    result, _ = score(found.meta, found.x)
    assert all(result["postprocessing"][name]["nsc"]["of"] == 24 for name in ("none", "whitening", "tvn"))


def test_columns_that_are_there_twice_are_refused(table, tmp_path):
    text = table.to_csv(index=False).replace(",f5\n", ",f0\n", 1)
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(UserError, match="1 names stand for several columns \\('f0'\\)"):
        read(tmp_path / "p.csv")


def test_separators_and_byte_order_marks(table, tmp_path):
    expected = read(save(table, tmp_path / "p.csv"))
    for name, options in {"a.csv": {"sep": ";"}, "b.tsv": {"sep": "\t"}, "c.csv": {"encoding": "utf-8-sig"}}.items():
        same(read(save(table, tmp_path / name, **options)), expected)
    quoted = table.assign(Metadata_Batch=table["Metadata_Batch"] + ', "June"\nof 2026')
    assert set(read(save(quoted, tmp_path / "q.csv")).meta["Metadata_Batch"]) == {
        f'B{i}, "June"\nof 2026' for i in range(3)
    }


def test_a_feature_with_text_is_named(table, tmp_path):
    spoilt = table.assign(f3=table["f3"].astype(str).where(table.index != 4, "1.2.3"))
    for name in ("p.csv", "p.parquet"):
        with pytest.raises(UserError, match="feature column 'f3' is not numeric"):
            read(save(spoilt, tmp_path / name))


# --- several files, and a plate map ---


def test_the_rows_of_several_files_are_one_table(table, tmp_path):
    expected = read(save(table, tmp_path / "whole.csv"))
    files = [save(part, tmp_path / f"{plate}.{kind}") for (plate, part), kind in
             zip(table.groupby("Metadata_Plate"), ["csv", "parquet"] * 3, strict=True)]  # fmt: skip
    same(read(files), expected)
    save(table.assign(f6=1.0), tmp_path / "other.csv")
    with pytest.raises(UserError, match=r"other.csv: has other columns than .*in one of them only: 'f6'"):
        read([files[0], tmp_path / "other.csv"])


def test_a_file_that_is_given_twice_is_refused(table, tmp_path):
    halves = [table[table["Metadata_Batch"] == "B0"], table[table["Metadata_Batch"] != "B0"]]
    one, other = (save(half, tmp_path / f"{number}.csv") for number, half in enumerate(halves))
    again = tmp_path / "copy.csv"
    again.write_bytes(one.read_bytes())
    for files in ([one, other, again], [one, one], [one, tmp_path / "." / "0.csv"]):
        with pytest.raises(UserError, match=r"\.csv: is the same as .*0\.csv, and its rows would count twice"):
            read(files)
    assert len(read([one, other]).meta) == len(table)


def test_decimal_commas_between_semicolons(table, tmp_path):
    same(read(save(table, tmp_path / "comma.csv", sep=";", decimal=",")), read(save(table, tmp_path / "point.csv")))
    same(read(save(table, tmp_path / "both.csv", sep=";")), read(save(table, tmp_path / "point.csv")))
    wrong = save(table.assign(f1="high"), tmp_path / "wrong.csv", sep=";")
    with pytest.raises(UserError, match=r"feature column 'f1' is not numeric \(invalid value 'high'\)"):
        read(wrong)


def test_a_plate_that_a_plate_map_does_not_know_is_refused(table, tmp_path):
    profiles = save(table.drop(columns=["Metadata_MoA"]), tmp_path / "p.csv")
    sheet = table[["Metadata_Plate", "Metadata_Well", "Metadata_MoA"]].replace({"B0_P0": "B0_PO"})
    with pytest.raises(UserError, match=r"lists no well of the plate 'B0_P0', of which .*did you mean 'B0_PO'"):
        read(profiles, platemap=save(sheet, tmp_path / "m.csv"))


def test_a_plate_map_says_what_the_wells_are(table, tmp_path):
    expected = read(save(table, tmp_path / "whole.csv"))
    keys = ["Metadata_Plate", "Metadata_Well"]
    treated = ["Metadata_Compound", "Metadata_Concentration", "Metadata_MoA"]
    profiles = save(table.drop(columns=treated), tmp_path / "profiles.parquet")
    sheet = table[[*keys, *treated]].rename(columns=lambda name: name.removeprefix("Metadata_").lower())
    sheet["well"] = sheet["well"].str.replace("0", "")
    sheet["plate"] = sheet["plate"].str.lower()
    sheet = save(sheet.sample(frac=1, random_state=0), tmp_path / "map.csv", sep=";")
    same(read(profiles, platemap=sheet), expected)
    nanomolar = table[[*keys, *treated]].rename(columns={"Metadata_Concentration": "conc (nM)"})
    nanomolar["conc (nM)"] = [f"{1000 * dose:g}" for dose in nanomolar["conc (nM)"]]
    same(read(profiles, platemap=save(nanomolar, tmp_path / "nm.tsv", sep="\t", encoding="cp1252")), expected)
    one = table[table["Metadata_Plate"] == "B0_P0"]
    by_well = save(one[["Metadata_Well", *treated]], tmp_path / "wells.csv")
    part = save(one.drop(columns=treated), tmp_path / "one.csv")
    same(read(part, platemap=by_well), read(save(one, tmp_path / "one_whole.csv")))


def test_what_a_plate_map_lacks_or_contradicts(table, tmp_path):
    profiles = save(table.drop(columns=["Metadata_MoA"]), tmp_path / "p.csv")
    keys = ["Metadata_Plate", "Metadata_Well"]
    sheet = table[[*keys, "Metadata_MoA"]]
    found = read(profiles, platemap=save(sheet.iloc[3:], tmp_path / "m.csv"))
    assert len(found.meta) == len(found.x) == len(table) - 3
    assert any(
        note.startswith("3 rows of 3 wells that the plate map lacks are left out: B0_P0 A01") for note in found.notes
    )
    wrong = sheet.assign(Metadata_Compound="other")
    with pytest.raises(UserError, match=r"has 'other' for Metadata_Compound where .* has 'DMSO' \(row 0\)"):
        read(profiles, platemap=save(wrong, tmp_path / "m.csv"))
    twice = pd.concat([sheet, sheet.iloc[[0]].assign(Metadata_MoA="x")])
    with pytest.raises(UserError, match="the well B0_P0 A01 is listed twice"):
        read(profiles, platemap=save(twice, tmp_path / "m.csv"))
    with pytest.raises(UserError, match="lists none of the wells"):
        read(profiles, platemap=save(sheet.assign(Metadata_Plate="X"), tmp_path / "m.csv"))


def test_columns_that_could_be_meant_are_named(table, tmp_path):
    two = table.assign(metadata_moa="other")
    found = read(save(two, tmp_path / "p.csv"))
    assert found.meta["Metadata_MoA"].tolist() == table["Metadata_MoA"].tolist()
    assert found.notes == ["'Metadata_MoA' is read for the moa, and 'metadata_moa' is not"]
    found = read(save(table.drop(columns="Metadata_Well"), tmp_path / "q.csv"))
    assert found.notes[0].startswith("there is a column for the plate and none for the well: every row is a profile")
    quoted = save(table, tmp_path / "r.csv", quoting=csv.QUOTE_ALL)
    same(read(quoted), read(save(table, tmp_path / "s.csv")))
