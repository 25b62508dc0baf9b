"""The simulated screen: BBBC021's form, known truth, phenotypes by dose."""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy import ndimage

from phenoviews.cells import screen as screens
from phenoviews.cells.simulation import archive, camera, layout, resolve, write_plate, write_tables
from phenoviews.cells.simulation.phenotypes import PHENOTYPES, PROGRAMMES, UNTREATED
from phenoviews.cells.source import Source
from phenoviews.errors import UserError

PLATE = "Week1_22123"
DOSES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3]
SMALL = {
    "width": 256,
    "height": 192,
    "magnification": 0.5,
    "cells": 14,
    "sites": 1,
    "control_wells": 2,
    "plates": {PLATE: {"replicate": 2}, "Week2_24121": {"compounds": ["taxol"]}},
    "compounds": {
        "nocodazole": {"moa": "Microtubule destabilizers", "doses": [0.03, 3]},
        "taxol": {"moa": "Microtubule stabilizers", "doses": DOSES},
    },
}
SCREEN = {
    "kind": "bbbc021",
    "channels": {"DNA": "DAPI", "tubulin": "Tubulin", "actin": "Actin"},
    "control": "DMSO",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The tables and one plate of the small screen."""
    folder = tmp_path_factory.mktemp("simulated")
    write_tables(SMALL, folder / "images.csv", folder / "moa.csv")
    write_plate(SMALL, PLATE, folder / f"{PLATE}.zip", folder / f"{PLATE}.truth.parquet")
    return folder


def fields(folder: Path) -> pd.DataFrame:
    return screens.fields(SCREEN, {"images": folder / "images.csv", "moa": folder / "moa.csv"})


def pictures(settings: dict, treatment: dict, count: int) -> tuple[list[np.ndarray], pd.DataFrame]:
    """`count` fields of one treatment, all on one plate, and their truth."""
    full = resolve(SMALL | settings)
    optics = camera.Optics.of(full, PLATE)
    known = {"well": "B02", "DNA": "a.tif", "compound": "some", "concentration": 1.0, "response": 0.0} | treatment
    rows = pd.DataFrame([known | {"site": site} for site in range(count)])
    found = [archive.simulate_field(full, PLATE, row, optics) for row in rows.itertuples()]
    return [image for image, _ in found], pd.concat([truth for _, truth in found], keys=range(count))


# --- the form ---


def test_tables_have_the_official_columns_and_the_form_of_their_values(made, shared_data):
    with gzip.open(shared_data / "bbbc021" / "BBBC021_v1_image.csv.gz", "rt") as stream:
        official = next(csv.reader(stream))
    ours = pd.read_csv(made / "images.csv", dtype=str)
    assert list(ours) == official
    assert (
        ours["Image_FileName_DAPI"]
        .str.fullmatch(r"[B-G]\d\d_s\d_w1[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\.tif")
        .all()
    )
    assert ours.loc[0, "Image_PathName_Tubulin"] == f"Week1/{PLATE}"
    official = (shared_data / "bbbc021" / "BBBC021_v1_moa.csv").read_text().splitlines()
    lines = (made / "moa.csv").read_text().splitlines()
    assert lines[0] == official[0]
    assert '"DMSO",0.000000,"DMSO"' in lines
    assert '"nocodazole",3.000000,"Microtubule destabilizers"' in lines


def test_the_screen_reads_what_the_layout_says(made):
    table = fields(made)
    first = table[table["Metadata_Plate"] == PLATE]
    assert len(first) == 2 + 2 + 8
    assert first["Metadata_Replicate"].unique().tolist() == [2]
    assert table["Metadata_Batch"].unique().tolist() == ["Week1", "Week2"]
    assert set(table.loc[table["Metadata_Batch"] == "Week2", "Metadata_Compound"]) == {"taxol", "DMSO"}
    taxol = first[first["Metadata_Compound"] == "taxol"]
    assert sorted(taxol["Metadata_Concentration"]) == DOSES
    # Annotated are the doses that act: the four highest.
    assert sorted(taxol.loc[taxol["Metadata_MoA"] != "", "Metadata_Concentration"]) == DOSES[-4:]
    names = table[[name for name in table if name.startswith("Image_")]].to_numpy().ravel()
    assert len(set(names)) == len(names)


def test_a_plate_is_an_archive_of_16_bit_images_that_a_screen_reads(made):
    table = fields(made).query("Metadata_Plate == @PLATE")
    with zipfile.ZipFile(made / f"{PLATE}.zip") as pack:
        members = pack.namelist()
        assert len(members) == 3 * len(table)
        assert all(re.fullmatch(rf"{PLATE}/[A-Z]\d\d_s\d_w[124][0-9A-F-]+\.tif", name) for name in members)
        with pack.open(members[0]) as stream:
            image = tifffile.imread(stream)
    assert image.dtype == np.uint16
    assert image.shape == (192, 256)
    with Source.open(made / f"{PLATE}.zip") as source:
        stacks = np.stack([stack for _, stack in source.fields(table, ["DNA", "tubulin", "actin"])])
    # A camera's values: above its offset, multiples of 16 as BBBC021's, not saturated.
    assert stacks.min() > 100
    assert stacks.max() < 60000
    assert not (stacks % 16).any()


def test_checksums_are_those_of_the_files(made):
    for name in ("images.csv", "moa.csv", f"{PLATE}.zip"):
        digest = hashlib.sha256((made / name).read_bytes()).hexdigest()
        assert (made / f"{name}.sha256").read_text() == f"{digest}  {name}\n"


def test_the_seed_decides_everything_and_plates_do_not_depend_on_each_other(made, tmp_path):
    without = SMALL | {"plates": {PLATE: {"replicate": 2}}}
    write_plate(without, PLATE, tmp_path / "a.zip", tmp_path / "a.parquet")
    assert (tmp_path / "a.zip").read_bytes() == (made / f"{PLATE}.zip").read_bytes()
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "a.parquet"), pd.read_parquet(made / f"{PLATE}.truth.parquet")
    )
    write_tables(SMALL | {"seed": 1}, tmp_path / "b.csv", tmp_path / "c.csv")
    other, ours = (pd.read_csv(path)["Image_FileName_DAPI"] for path in (tmp_path / "b.csv", made / "images.csv"))
    assert not set(other) & set(ours)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"cell": 3}, "unknown key cell"),
        ({"effects": {"week": {"gian": 1}}}, r"unknown key effects\.week\.gian"),
        ({"plates": {"P1": {}}}, "not named like Week1_22123"),
        ({"compounds": {"x": {"moa": "Magic", "doses": [1]}}, "plates": {PLATE: {}}}, "needs `doses` and a `moa`"),
        ({"plates": {PLATE: {"compounds": ["aspirin"]}}}, "aspirin is not among"),
        ({"positive_controls": {"compound": "aspirin", "concentration": 1, "wells": 1}}, "aspirin is not among"),
        ({"wells_per_dose": 9}, "use more plates"),
        ({"compounds": {}}, "`compounds` is empty"),
    ],
)
def test_impossible_settings_are_named(changed, told, tmp_path):
    with pytest.raises(UserError, match=told):
        write_tables(SMALL | changed, tmp_path / "a.csv", tmp_path / "b.csv")


def test_positive_controls_stand_in_the_controls_columns(tmp_path):
    positive = {"compound": "taxol", "concentration": 0.3, "wells": 3}
    table = layout.layout(resolve(SMALL | {"positive_controls": positive}), "Week2_24121")
    taxol = table[(table["compound"] == "taxol") & table["well"].str[1:].isin(["02", "11"])]
    assert len(taxol) == 3
    assert set(taxol["concentration"]) == {0.3}
    assert table["well"].is_unique


# --- the truth ---


def test_true_centres_lie_in_bright_dna(made):
    truth = pd.read_parquet(made / f"{PLATE}.truth.parquet")
    table = fields(made).query("Metadata_Plate == @PLATE")
    assert set(truth["Metadata_Field"]) <= set(table["Metadata_Field"])
    bright = []
    with Source.open(made / f"{PLATE}.zip") as source:
        for row, (dna, *_) in source.fields(table, ["DNA", "tubulin", "actin"]):
            own = truth[truth["Metadata_Field"] == row["Metadata_Field"]]
            smooth = ndimage.gaussian_filter(dna.astype(float), 3)
            bright += list(smooth[own["y"].round().astype(int), own["x"].round().astype(int)] > np.median(dna) + 400)
    assert len(bright) > 60
    assert np.mean(bright) > 0.98


def test_untreated_nuclei_are_as_large_and_as_many_as_asked_for():
    _, truth = pictures({"magnification": 1.0, "width": 512, "height": 384, "cells": 25}, {"moa": "DMSO"}, 6)
    inside = truth.query("30 < x < 480 and 30 < y < 350 and Metadata_Phenotype == 'interphase'")
    assert 800 < inside["area"].median() < 1200  # 31 × 40 pixels, as BBBC021's
    assert truth.groupby(level=0).size().mean() == pytest.approx(25, rel=0.3)


def test_the_share_of_responding_cells_follows_the_dose_and_toxic_doses_lose_cells():
    full = resolve(SMALL)
    taxol = layout.layout(full, "Week2_24121").query("compound == 'taxol'").sort_values("concentration")
    assert taxol["response"].is_monotonic_increasing
    assert taxol["response"].iloc[0] < 0.01
    assert taxol["response"].iloc[-1] > 0.95
    shares, counts = [], []
    for response in (0.0, 0.5, 1.0):
        treatment = {"moa": "Microtubule stabilizers", "response": response}
        _, truth = pictures({"cells": 50, "width": 448, "height": 320}, treatment, 3)
        shares.append(truth["Metadata_Phenotype"].isin(["bundled", "asters", "multimicronucleated"]).mean())
        counts.append(len(truth))
    assert shares[0] == 0
    assert 0.15 < shares[1] < 0.7
    assert shares[2] > 0.75
    assert counts[2] < 0.8 * counts[0]


def test_mechanisms_are_the_twelve_of_bbbc021_and_their_phenotypes_are_known(shared_data):
    official = pd.read_csv(shared_data / "bbbc021" / "BBBC021_v1_moa.csv")["moa"]
    assert set(PROGRAMMES) == set(official) - {"DMSO"}
    for programme in (UNTREATED, *PROGRAMMES.values()):
        assert set(programme.phenotypes) <= set(PHENOTYPES)
        assert sum(programme.phenotypes.values()) == pytest.approx(1)
    of_compound = {moa: len(PROGRAMMES[moa].phenotypes) for moa in PROGRAMMES}
    # As many reactions as the paper counts of nocodazole, taxol and cytochalasin B.
    assert of_compound["Microtubule destabilizers"] == of_compound["Microtubule stabilizers"] == 4
    assert of_compound["Actin disruptors"] == 2


# --- the microscope ---


def test_vignetting_darkens_the_corners_of_every_channel():
    images, _ = pictures({"cells": 1, "vignetting": 0.4}, {"moa": "DMSO"}, 6)
    empty = np.median(images, axis=0)
    middle = np.median(empty[:, 80:112, 110:146], axis=(1, 2))
    corners = np.median(np.concatenate([empty[:, :12, :12], empty[:, -12:, -12:]]).reshape(2, 3, -1), axis=(0, 2))
    dark = camera.OFFSET
    assert (corners - dark < 0.9 * (middle - dark)).all()


def test_weeks_differ_more_than_the_plates_of_a_week():
    plates = {f"Week{week}_{number}": {} for week in range(1, 9) for number in range(4)}
    full = resolve(SMALL | {"plates": plates})
    gain = np.log([[camera.Optics.of(full, f"Week{week}_{n}").gain for n in range(4)] for week in range(1, 9)])
    assert gain.mean(axis=1).std(axis=0).mean() > 1.5 * gain.std(axis=1).mean()


def test_a_channel_tells_its_phenotype_by_structure_when_intensities_are_equal():
    """Filaments make fine structure in tubulin; without them it is smooth."""
    fine = {}
    for name, moa in (("untreated", "DMSO"), ("without", "Microtubule destabilizers")):
        images, truth = pictures({"magnification": 1.0, "cells": 10}, {"moa": moa, "response": float(moa != "DMSO")}, 8)
        values = []
        for number, image in enumerate(images):
            tubulin = image[1].astype(float)
            structure = ndimage.gaussian_filter(tubulin, 1) - ndimage.gaussian_filter(tubulin, 3)
            flat = truth.loc[[number]] if number in truth.index else truth.iloc[:0]
            for row in flat.query(
                "Metadata_Phenotype in ['interphase', 'depolymerised'] and 40 < x < 216"
            ).itertuples():
                around = np.s_[max(0, int(row.y) - 25) : int(row.y) + 25, int(row.x) - 25 : int(row.x) + 25]
                values.append(structure[around].std() / (tubulin[around].mean() - tubulin.min()))
        fine[name] = np.median(values)
    assert fine["untreated"] > 1.3 * fine["without"]


# --- the stains of Cell Painting ---

PAINTING = ["DNA", "ER", "RNA", "AGP", "mitochondria"]


def test_stains_show_the_same_cells_and_are_the_same_with_whichever_others(made, tmp_path):
    for name, stains in {"five": PAINTING, "one": ["DNA"], "some": ["DNA", "mitochondria", "actin"]}.items():
        write_plate({**SMALL, "stains": stains}, PLATE, tmp_path / f"{name}.zip", tmp_path / f"{name}.parquet")
        truths = [pd.read_parquet(path) for path in (tmp_path / f"{name}.parquet", made / f"{PLATE}.truth.parquet")]
        pd.testing.assert_frame_equal(*truths)
        with zipfile.ZipFile(tmp_path / f"{name}.zip") as pack:
            assert len(pack.namelist()) == 12 * len(stains)
            whole = np.stack([tifffile.imread(pack.open(member)) for member in pack.namelist()[: len(stains)]])
        assert whole.shape == (len(stains), 192, 256)
        assert whole.dtype == np.uint16
        assert (whole.std((1, 2)) > 20).all()


def test_a_screen_of_five_stains_is_read(tmp_path):
    write_tables({**SMALL, "stains": PAINTING}, tmp_path / "images.csv", tmp_path / "moa.csv")
    write_plate({**SMALL, "stains": PAINTING}, PLATE, tmp_path / f"{PLATE}.zip", tmp_path / "truth.parquet")
    channels = {stain: layout.STAINS[stain][0] for stain in PAINTING}
    entry = {**SCREEN, "channels": channels}
    table = screens.fields(entry, {"images": tmp_path / "images.csv", "moa": tmp_path / "moa.csv"})
    with Source.open(tmp_path / f"{PLATE}.zip") as source:
        first = next(iter(source.fields(table.query("Metadata_Plate == @PLATE"), list(channels))))[1]
    assert first.shape == (5, 192, 256)
    # No two stains are one: what they share is the cells.
    assert np.corrcoef(first.reshape(5, -1))[np.triu_indices(5, 1)].max() < 0.97


def test_stains_lie_where_they_belong():
    """In untreated cells: RNA in nucleoli, the reticulum and mitochondria outside the nucleus."""
    images, truth = pictures({"stains": PAINTING, "width": 512, "height": 384, "cells": 40}, {"moa": "DMSO"}, 2)
    for number, image in enumerate(images):
        at = truth.loc[number].query("Metadata_Phenotype == 'interphase' and area > 200")
        x, y = (at[axis].round().astype(int).clip(12, limit - 13) for axis, limit in (("x", 512), ("y", 384)))
        values = image.astype(float) - np.percentile(image, 5, axis=(1, 2), keepdims=True)
        centre = np.stack([values[:, b - 1 : b + 2, a - 1 : a + 2].mean((1, 2)) for a, b in zip(x, y, strict=True)])
        around = np.stack(
            [values[:, b - 12 : b + 13, a - 12 : a + 13][:, [0, -1]].mean((1, 2)) for a, b in zip(x, y, strict=True)]
        )
        share = dict(zip(PAINTING, np.median(centre, 0) / np.median(around, 0), strict=True))
        assert share["DNA"] > 3
        assert share["DNA"] > share["RNA"] > share["ER"]
        assert share["mitochondria"] < 1
        assert share["ER"] < 1


@pytest.mark.parametrize(
    ("stains", "said"), [(["DNA", "lipid"], "lipid is none of"), (["ER", "DNA"], "DNA"), (["DNA", "DNA"], "twice")]
)
def test_stains_that_cannot_be(stains, said):
    with pytest.raises(UserError, match=f"simulation: stains: .*{said}"):
        resolve({**SMALL, "stains": stains})
