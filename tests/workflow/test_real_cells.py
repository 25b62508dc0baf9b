"""Real BBBC021 fields through the rules: from a mirror's archives and official tables to crops."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from tests.cells.mosaics import SIDE, centres, pack, published, rebuilt

from phenoviews.cells.screen import fields
from phenoviews.study.document import shipped

# A data set has the controls and one compound. All fields at hand are untreated, so each plate gets a black one of a
# compound, with one cell in it; of the compounds, only the positive control is on all three plates.
DATASETS = {
    "mitomycin": {"compound": "mitomycin C", "plates": ["Week4_27801", "Week4_27861"]},
    "anisomycin": {"compound": "anisomycin", "plates": ["Week4_27481"]},
}


def serve(mirror: Path, folder: Path) -> None:
    """Lay the archives of the data sets' plates, the official tables and the listed centres into `mirror`."""
    screen = shipped()["screens"]["bbbc021"]
    official = {"images": folder / "BBBC021_v1_image.csv.gz", "moa": folder / "BBBC021_v1_moa.csv"}
    table, cells = fields(screen, official), centres(folder)

    plates = [plate for dataset in DATASETS.values() for plate in dataset["plates"]]
    compounds = [dataset["compound"] for dataset in DATASETS.values()]
    treated = table[table["Metadata_Plate"].isin(plates) & table["Metadata_Compound"].isin(compounds)]
    treated = treated.drop_duplicates("Metadata_Plate")
    packed = table[table["Metadata_Field"].isin({*cells["Metadata_Field"], *treated["Metadata_Field"]})]
    assert len(packed) == 8
    for plate, rows in packed.groupby("Metadata_Plate"):
        pack(mirror / screen["archive"].format(plate=plate), rows, list(screen["channels"]), folder)
    locations = pd.concat([cells, treated[["Metadata_Field"]].assign(x=640, y=512)])
    locations.to_csv(mirror / "locations.csv", index=False)

    # All 52 other plates' lines, and of these plates those of the fields that are packed: a missing one is an error.
    lines = pd.read_csv(official["images"], dtype=str, keep_default_na=False)
    names = lines["Image_FileName_DAPI"].str.removesuffix(".tif")
    lines = lines[~lines["Image_Metadata_Plate_DAPI"].isin(plates) | names.isin(packed["Metadata_Field"])]
    lines.to_csv(mirror / screen["files"]["images"]["name"], index=False)
    (mirror / screen["files"]["moa"]["name"]).write_bytes(official["moa"].read_bytes())


def test_crops_of_real_plates_are_those_that_were_published(project, tmp_path_factory, shared_data):
    folder, mirror = shared_data / "bbbc021", tmp_path_factory.mktemp("mirror")
    serve(mirror, folder)
    screen = {
        "mirrors": [mirror.as_uri()],
        "checksums": "checksums.sha256",
        "locations": str(mirror / "locations.csv"),
        "illumination": {"smoothing": 0},  # a function of ones: published crops have the camera's values
    }
    entry = {"kind": "cells", "screen": "bbbc021", "side": SIDE, "intensity": "raw", "val_fraction": 0}
    datasets = {name: {**entry, "test_fraction": 1, **dataset} for name, dataset in DATASETS.items()}
    options = project.lay_over({"screens": {"bbbc021": screen}, "datasets": datasets})
    finished = project.snakemake(*options, *(f"results/data/{name}/images.npy" for name in datasets))
    assert finished.returncode == 0, finished.stdout

    ours = {}
    for name in datasets:
        index = pd.read_parquet(project.folder / f"results/data/{name}/index.parquet")
        images = np.load(project.folder / f"results/data/{name}/images.npy")
        untreated = (index["class"] == "DMSO").to_numpy()
        ours |= dict(zip(index["source"].str.partition("/")[2][untreated], images[untreated], strict=True))

    # Every listed cell of the five fields is there, as it lies in its field ...
    cells, half = centres(folder), SIDE // 2
    assert len(ours) == len(cells) == 1238
    whole = {field: rebuilt(folder, field) for field in cells["Metadata_Field"].unique()}
    for field, x, y in cells[["Metadata_Field", "x", "y"]].itertuples(index=False):
        window = whole[field][y - half : y + half, x - half : x + half]
        np.testing.assert_array_equal(ours[f"{field} {x},{y}"], window)
    # ... and is the published crop where there is one, which is so in three of them.
    compared = Counter()
    for field, x, y, crop in published(folder):
        np.testing.assert_array_equal(ours[f"{field} {x},{y}"], crop)
        compared[field[:13]] += 1
    assert compared == {"B02_s1_w1B1A7": 205, "B02_s2_w125CF": 325, "B02_s2_w1862F": 281}
