"""A lab's own screen by config alone, as docs/screens.md tells it, and what is said where its files are bad."""

from __future__ import annotations

import csv
import io
import re
import shutil
import zipfile

import pandas as pd
import pytest
import tifffile
import yaml
from tests.documents import example, examples
from tests.workflow.conftest import Project

from phenoviews.cells.simulation import write_plate, write_tables
from phenoviews.study import merge

SIMULATION = {
    "width": 256,
    "height": 224,
    "magnification": 0.5,
    "cells": 24,
    "sites": 2,
    "control_wells": 4,
    "plates": {"Week1_00001": {}},
    "compounds": {
        "drug A": {"moa": "Microtubule destabilizers", "doses": [1, 3]},
        "drug B": {"moa": "Actin disruptors", "doses": [1, 3]},
    },
}
CHANNELS = {"DAPI": "Hoechst", "Tubulin": "FITC", "Actin": "Phalloidin"}
# As small as a configuration makes it.
QUICK = {
    "resources": {"threads": 1},
    "backbones": {"vgg13": {"width": 0.125}, "resnet18": {"width": 0.125}},
    "recipes": {
        "cells": {"training": {"batch_size": 8}, "methods": {"moco": {"queue": 16}}},
        "treatments": {"training": {"epochs": 2, "snapshot_epochs": 0}},
    },
}


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """A folder of a lab's own naming scheme, with its plate map."""
    folder = tmp_path_factory.mktemp("screen")
    made = folder / "made"
    made.mkdir()
    images, moa, archive = made / "images.csv", made / "moa.csv", made / "plate.zip"
    write_tables(SIMULATION, images, moa)
    write_plate(SIMULATION, "Week1_00001", archive, made / "truth.parquet")
    table = pd.read_csv(images)
    lab = folder / "lab-screen"
    (lab / "plateA").mkdir(parents=True)
    with zipfile.ZipFile(archive) as pack:
        for row in table.to_dict("records"):
            well, site = row["Image_Metadata_Well_DAPI"], re.search(r"_s(\d)_", row["Image_FileName_DAPI"])[1]
            for channel, own in CHANNELS.items():
                content = pack.read(f"Week1_00001/{row[f'Image_FileName_{channel}']}")
                (lab / "plateA" / f"{well}_f{site}_{own}.tif").write_bytes(content)
    wells = table.drop_duplicates("Image_Metadata_Well_DAPI")
    pd.DataFrame(
        {
            "well": wells["Image_Metadata_Well_DAPI"],
            "compound": wells["Image_Metadata_Compound"].replace("DMSO", "vehicle"),
            "concentration": wells["Image_Metadata_Concentration"],
        }
    ).to_csv(lab / "platemap.csv", index=False)
    return lab


@pytest.fixture
def lab(screen, tmp_path):
    """(project, its screen's folder, options)"""
    project = Project(tmp_path / "project")
    shutil.copytree(screen, tmp_path / "lab-screen")
    return project, tmp_path / "lab-screen", configured(project, example("lab"))


def configured(project: Project, config: dict) -> list[str]:
    (project.folder / "lab.yaml").write_text(yaml.safe_dump(merge(config, QUICK)))
    return ["--configfile", "lab.yaml", "--"]


def test_the_documents_configuration_gives_a_table_of_ones_own(lab):
    assert len(examples()["lab"].splitlines()) < 30
    project, _, options = lab
    finished = project.snakemake(*options, "lab")
    assert finished.returncode == 0, finished.stdout
    with (project.folder / "results/own/panels/lab/table2.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert {(line["dataset"], line["transform"]) for line in lines} == {
        (drug, transform) for drug in ("drug_a", "drug_b") for transform in ("cell_first", "cell_second", "dual")
    }
    assert all(-1 <= float(line["mean"]) <= 1 for line in lines)
    for picture in ("qc/plateA.png", "illumination/plateA.png"):
        assert (project.folder / "results/screens/lab" / picture).stat().st_size > 10_000
    index = pd.read_parquet(project.folder / "results/data/drug_a/index.parquet")
    assert set(index["class"]) == {"vehicle", "drug A"}

    # Another way of drawing gives another picture, and that changes no table.
    module = project.folder / "workflow/scripts/phenoviews/pictures/overlay.py"
    module.write_text(module.read_text().replace("SPREAD_FIELDS = 3", "SPREAD_FIELDS = 2"))
    assert project.planned(*options, "lab") == {"qc": 1, "lab": 1}
    again = project.snakemake(*options, "lab")
    assert again.returncode == 0, again.stdout
    assert project.planned(*options, "lab") == {}


def test_pictures_come_with_all_panels_and_nothing_waits_for_them(lab):
    project, _, options = lab
    for target in ("lab", "all"):
        assert project.planned(*options, target)["qc"] >= 1
    for target in ("lab_table2", "results/data/drug_a/images.npy"):
        planned = project.planned(*options, target)
        assert planned["nuclei"] == 1
        assert "qc" not in planned


def test_treatments_of_ones_own_are_scored(lab):
    """Two compounds with mechanisms of their own on one plate: neither can be found by NSC, and NSCB has no meaning."""
    project, folder, _ = lab
    wells = pd.read_csv(folder / "platemap.csv")
    mechanisms = {"drug A": "Microtubule destabilizers", "drug B": "Actin disruptors"}
    wells.assign(moa=wells["compound"].map(mechanisms)).to_csv(folder / "platemap.csv", index=False)
    table = {
        "title": "Our treatments",
        "runs": {"dataset": "ours", "transform": "single_cell", "method": "simclr", "backbone": "resnet18"},
        "where": {"postprocessing": ["none", "tvn"]},
        "metrics": ["nsc", "nscb"],
        "rows": ["postprocessing"],
        "columns": ["metric"],
    }
    config = {
        "screens": example("lab")["screens"],
        "datasets": {"ours": {"kind": "treatments", "screen": "lab", "plates": ["plateA"], "side": 48, "size": 48}},
        "seeds": [5],
        "recipes": {"treatments": {"training": {"batch_size": 16}}},
        "panels": {"lab": {"scores": table}},
    }
    finished = project.snakemake(*configured(project, config), "lab_scores")
    assert finished.returncode == 0, finished.stdout
    found = pd.read_csv(project.folder / "results/own/panels/lab/scores.csv").set_index(["postprocessing", "metric"])
    assert (found.loc[("none", "nsc"), ["correct", "of"]] == [0, 4]).all()
    assert pd.isna(found.loc[("tvn", "nscb"), "mean"])
    assert "one batch" in found.loc[("tvn", "nscb"), "reason"]


def refused(lab, options, *said: str, target: str = "results/data/drug_a/images.npy") -> None:
    """The target fails with one line that says so, and leaves nothing half-written."""
    project, *_ = lab
    finished = project.snakemake(*options, target)
    assert finished.returncode != 0
    lines = [line for line in finished.stdout.splitlines() if "error: " in line and "phenoviews" in line]
    assert len(set(lines)) == 1, finished.stdout
    for words in said:
        assert words in lines[0]
    assert not (project.folder / target).exists()
    assert not list(project.folder.rglob("*.part*"))


def one(folder, plate="plateA"):
    """An image of the plate's tubulin."""
    return sorted((folder / plate).glob("*_FITC.tif"))[0]


def test_a_truncated_image_is_named(lab):
    _, folder, options = lab
    image = one(folder)
    image.write_bytes(image.read_bytes()[:5000])
    refused(lab, options, image.name)


def test_a_missing_channel_is_named(lab):
    _, folder, options = lab
    image = one(folder)
    image.unlink()
    refused(lab, options, "tubulin", image.name.split("_")[0])


def test_an_image_of_another_size_is_named(lab):
    _, folder, options = lab
    image = one(folder)
    stream = io.BytesIO()
    tifffile.imwrite(stream, tifffile.imread(image)[:-8])
    image.write_bytes(stream.getvalue())
    refused(lab, options, image.name, "256x216")


def test_other_plates_keep_their_work(lab):
    """A bad image on one plate costs the other plate nothing."""
    project, folder, _ = lab
    shutil.copytree(folder / "plateA", folder / "plateB")
    bad = one(folder, "plateB")
    bad.write_bytes(b"")
    config = example("lab")
    config["datasets"]["drug_a"]["plates"] = ["plateA", "plateB"]
    options = ["--keep-going", *configured(project, config)]
    refused(lab, options, bad.name)
    assert (project.folder / "results/screens/lab/nuclei/plateA.parquet").exists()
    assert not (project.folder / "results/screens/lab/nuclei/plateB.parquet").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"compound": "drug C"}, "no cells of compound 'drug C' on plateA"),
        ({"cells": 100_000}, "50000 cells of drug A"),
    ],
)
def test_a_subset_that_cannot_be_is_said(lab, change, said):
    project, *_ = lab
    config = example("lab")
    config["datasets"]["drug_a"] |= change
    refused(lab, configured(project, config), said)


def test_a_plate_without_controls_is_named(lab):
    """The other plate has some, so the screen is one; this plate's treated cells have nothing to be compared with."""
    project, folder, _ = lab
    shutil.copytree(folder / "plateA", folder / "plateB")
    plate_map = pd.read_csv(folder / "platemap.csv")
    whole = pd.concat([plate_map.assign(plate="plateA"), plate_map.assign(plate="plateB")])
    bare = (whole["plate"] == "plateB") & (whole["compound"] == "vehicle")
    for well in whole.loc[bare, "well"]:
        for image in (folder / "plateB").glob(f"{well}_*"):
            image.unlink()
    whole[~bare].to_csv(folder / "platemap.csv", index=False)
    config = example("lab")
    config["datasets"]["drug_a"]["plates"] = ["plateA", "plateB"]
    refused(lab, configured(project, config), "plate plateB has no untreated cells")


@pytest.fixture
def mirrored(tmp_path):
    """(project, its file:// mirror's folder, options): BBBC021's own form, with the tables and without the archive."""
    project, mirror = Project(tmp_path / "project"), tmp_path / "mirror"
    mirror.mkdir()
    write_tables(SIMULATION, mirror / "BBBC021_v1_image.csv", mirror / "BBBC021_v1_moa.csv")
    dataset = {"kind": "cells", "screen": "bbbc021", "plates": ["Week1_00001"], "compound": "drug A", "side": 96}
    config = {
        "screens": {"bbbc021": {"mirrors": [mirror.as_uri()], "checksums": "checksums.sha256"}},
        "datasets": {"drug_a": dataset},
    }
    return project, mirror, configured(project, config)


def test_an_archive_with_a_path_outside_its_folder_is_refused(mirrored, tmp_path):
    _, mirror, options = mirrored
    with zipfile.ZipFile(mirror / "BBBC021_v1_images_Week1_00001.zip", "w") as pack:
        pack.writestr("../outside.tif", b"x")
    refused(mirrored, options, "'../outside.tif' lies outside its folder")
    assert not list(tmp_path.rglob("outside.tif"))


def test_a_server_that_has_not_the_plate_is_said(mirrored):
    _, _, options = mirrored
    refused(mirrored, options, "BBBC021_v1_images_Week1_00001.zip: no mirror gave it")
