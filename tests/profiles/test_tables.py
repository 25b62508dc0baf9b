from __future__ import annotations

import gzip

import numpy as np
import pytest
from tests.profiles.conftest import screen

from phenoviews.errors import UserError
from phenoviews.profiles.reading import read
from phenoviews.profiles.tables import treatments, wells


@pytest.fixture
def table():
    """Well profiles as a table, features f0 … f5."""
    meta, x = screen(d=6)
    return meta.drop(columns="Metadata_Control").assign(**{f"f{i}": x[:, i] for i in range(6)})


def save(table, path):
    table.to_parquet(path) if path.suffix == ".parquet" else table.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["p.csv", "p.csv.gz", "p.parquet"])
def test_a_table_is_read_in_every_format(table, tmp_path, name):
    meta, x, names, _ = read(save(table, tmp_path / name))
    assert names == [f"f{i}" for i in range(6)]
    np.testing.assert_array_equal(x, table[names].to_numpy())
    for column in ("Plate", "Well", "Compound", "MoA", "Batch", "Concentration"):
        assert meta[f"Metadata_{column}"].tolist() == table[f"Metadata_{column}"].tolist()
    assert (meta["Metadata_Control"] == (table["Metadata_Compound"] == "DMSO")).all()


def test_columns_have_other_names_cases_and_company(table, tmp_path):
    table = table.rename(
        columns={"Metadata_MoA": "Metadata_moa", "Metadata_Batch": "week", "Metadata_Compound": "drug"}
    )
    table = table.assign(Image_FileName="a.tif", Cells_1=1.0, Cells_2=2.0, Nuclei_1=3.0)
    table["Metadata_Plate"] = table["Metadata_Plate"].factorize()[0]
    path = save(table, tmp_path / "p.csv")
    meta, x, names, _ = read(path, {"batch": "WEEK", "compound": "drug"}, features=["Cells_*", "Nuclei_?"])
    assert names == ["Cells_1", "Cells_2", "Nuclei_1"]
    assert (x == [1, 2, 3]).all()
    assert meta["Metadata_Batch"].tolist() == table["week"].tolist()
    assert set(meta["Metadata_Plate"]) == set("012345")


def test_names_of_plates_are_text_as_written(table, tmp_path):
    table["Metadata_Plate"] = [f"00{code}" for code in table["Metadata_Plate"].factorize()[0]]
    meta = read(save(table, tmp_path / "p.csv"))[0]
    assert meta["Metadata_Plate"].tolist() == table["Metadata_Plate"].tolist()


def test_concentrations_are_numbers_where_they_can_be(table, tmp_path):
    blank = table.assign(Metadata_Concentration=table["Metadata_Concentration"].where(table["Metadata_Batch"] == "B0"))
    blank.loc[table["Metadata_Compound"] != "DMSO", "Metadata_Concentration"] = 0.3
    meta = read(save(blank, tmp_path / "p.csv"))[0]
    assert meta["Metadata_Concentration"].tolist() == [0.0 if c else 0.3 for c in meta["Metadata_Control"]]
    meta = read(save(table.assign(Metadata_Concentration="high"), tmp_path / "q.csv"))[0]
    assert (meta.loc[~meta["Metadata_Control"], "Metadata_Concentration"] == "high").all()
    without = table.drop(columns="Metadata_Concentration")
    assert (read(save(without, tmp_path / "r.csv"))[0]["Metadata_Concentration"] == 0).all()


def test_cells_become_well_means_and_wells_treatment_medians():
    rng = np.random.default_rng(0)
    meta, _ = screen(d=3)
    cells = meta.loc[rng.permutation(np.repeat(meta.index, rng.integers(1, 9, len(meta))))]
    x = rng.normal(size=(len(cells), 3)).astype(np.float32)
    table, means = wells(cells, x)
    keyed = cells.assign(**{f"f{i}": x[:, i].astype(float) for i in range(3)})
    expected = keyed.groupby(["Metadata_Plate", "Metadata_Well"])[["f0", "f1", "f2"]].mean()
    np.testing.assert_allclose(means, expected.to_numpy(), rtol=1e-12)
    assert list(zip(table["Metadata_Plate"], table["Metadata_Well"], strict=True)) == list(expected.index)
    assert table["Metadata_Count"].sum() == len(cells)

    treated, medians = treatments(table, means)
    keyed = table.assign(**{f"f{i}": means[:, i] for i in range(3)})[~table["Metadata_Control"]]
    expected = keyed.groupby(["Metadata_Compound", "Metadata_Concentration"])[["f0", "f1", "f2"]].median()
    np.testing.assert_allclose(medians, expected.to_numpy(), rtol=1e-12)
    assert list(zip(treated["Metadata_Compound"], treated["Metadata_Concentration"], strict=True)) == list(
        expected.index
    )
    assert (treated["Metadata_Count"] == 2).all()


def test_the_switches_of_both_steps():
    meta, _ = screen(d=1, moas=1, compounds=1, doses=1, batches=1, replicates=3, controls=2)
    cells = meta.loc[np.repeat(meta.index, 3)]
    x = np.tile([0.0, 1.0, 5.0], len(meta))[:, None] + np.repeat(np.arange(len(meta)) ** 2, 3)[:, None]
    table, means = wells(cells, x)
    assert means.ravel() == pytest.approx(np.arange(9) ** 2 + 2)
    assert wells(cells, x, "median")[1].ravel() == pytest.approx(np.arange(9) ** 2 + 1)
    of_drug = np.array([2, 5, 8]) ** 2 + 2  # the third well of each plate
    assert treatments(table, means)[1].item() == np.median(of_drug)
    assert treatments(table, means, "mean")[1].item() == pytest.approx(np.mean(of_drug))


def test_cells_are_averaged_from_a_memory_map(tmp_path):
    meta, _ = screen(d=1)
    cells = meta.loc[np.repeat(meta.index, 5)]
    x = np.random.default_rng(0).normal(size=(len(cells), 16)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r", allow_pickle=False)
    np.testing.assert_array_equal(wells(cells, mapped)[1], wells(cells, x)[1])


def test_a_treatment_in_two_weeks_has_both():
    meta, x = screen(d=2, moas=1, compounds=1, doses=1, batches=1, replicates=2)
    meta["Metadata_Batch"] = np.where(meta["Metadata_Plate"] == "B0_P1", "Week10", "Week2")
    assert treatments(meta, x)[0]["Metadata_Batch"].tolist() == ["Week10, Week2"]


BAD = {
    "no batch column": (lambda t: t.drop(columns="Metadata_Batch"), "no column 'Metadata_Batch' .* or give --no-batch"),
    "no MoA column": (lambda t: t.drop(columns="Metadata_MoA"), "no column 'Metadata_MoA' for the moa"),
    "NaN": (lambda t: t.assign(f3=t["f3"].where(t.index != 5)), r"1 feature value\(s\) in 1 of .* row 5, feature f3"),
    "infinity": (lambda t: t.assign(f0=np.inf), "NaN or infinite"),
    "two MoAs": (
        lambda t: t.assign(Metadata_MoA=t["Metadata_MoA"].where(t.index != t.index[-1], "other")),
        r"compound 'compound12' has 2 MoAs \(moa4, other\)",
    ),
    "two treatments in a well": (
        lambda t: t.assign(Metadata_Well=t["Metadata_Well"].replace("W09", "W08")),
        "well W08 of plate B0_P0 has 2 values of Metadata_Concentration",
    ),
    "no MoA of any": (lambda t: t.assign(Metadata_MoA=""), "no treatment has a MoA"),
    "an empty batch": (lambda t: t.assign(Metadata_Batch=t["Metadata_Batch"].where(t.index != 3)), "empty in row 3"),
    "text among the features": (lambda t: t.assign(note="x"), "feature column 'note' is not numeric"),
    "no features": (lambda t: t.filter(like="Metadata"), "no feature columns"),
    "no rows": (lambda t: t.iloc[:0], "has no rows"),
    "two columns of one name": (lambda t: t.assign(metadata_moa="x", Metadata_moa="y").drop(columns="Metadata_MoA"),
                                "2 columns 'Metadata_MoA'"),
    "a dose missing": (
        lambda t: t.assign(Metadata_Concentration=t["Metadata_Concentration"].where(t.index != 9)), "empty in row 9"
    ),
    "no control": (
        lambda t: t.assign(Metadata_Compound=t["Metadata_Compound"].replace("DMSO", "D-SMO")),
        "no row is of the control 'DMSO'; .* Of compounds there are D-SMO, .*; did you mean 'D-SMO'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_get_one_clear_line(table, tmp_path, case):
    spoil, message = BAD[case]
    path = save(spoil(table), tmp_path / "bad.csv")
    with pytest.raises(UserError, match=message) as error:
        treatments(*wells(*read(path)[:2]))
    assert "\n" not in str(error.value)


def test_files_that_are_no_tables(table, tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read(tmp_path / "none.csv")
    (tmp_path / "p.xlsx").write_bytes(b"x")
    with pytest.raises(UserError, match=r"neither .csv, .csv.gz nor .parquet"):
        read(tmp_path / "p.xlsx")
    whole = save(table, tmp_path / "p.parquet").read_bytes()
    (tmp_path / "half.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "half.csv.gz").write_bytes(gzip.compress(table.to_csv(index=False).encode())[:900])
    (tmp_path / "empty.csv").write_bytes(b"")
    for name in ("half.parquet", "half.csv.gz", "empty.csv"):
        with pytest.raises(UserError, match=f"{name}: cannot be read"):
            read(tmp_path / name)
    with pytest.raises(UserError, match="no column 'week' for the batch"):
        read(tmp_path / "p.parquet", {"batch": "week"})
    with pytest.raises(UserError, match=r"no feature columns match Cells_\*"):
        read(tmp_path / "p.parquet", features=["Cells_*"])
