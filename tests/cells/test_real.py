"""Real BBBC021 fields, as far as they are at hand, on the whole way from the plates' archives to crops."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from tests.cells.mosaics import SIDE, centres, pack, published

from phenoviews.cells import illumination, nuclei
from phenoviews.cells.crops import crops, inside
from phenoviews.cells.locations import provided
from phenoviews.cells.screen import fields
from phenoviews.cells.source import Source

CHANNELS = {"DNA": "DAPI", "tubulin": "Tubulin", "actin": "Actin"}
SCREEN = {"kind": "bbbc021", "channels": CHANNELS, "control": "DMSO", "name": "bbbc021"}
PARAMS = {"diameter": 40, "least_area": 0.08, "contrast": 1.3, "focus": 4}


def test_crops_of_real_plates_are_those_that_were_published(tmp_path, shared_data):
    folder, channels = shared_data / "bbbc021", list(CHANNELS)
    centres(folder).to_csv(tmp_path / "centres.csv", index=False)
    csv = {"images": folder / "BBBC021_v1_image.csv.gz", "moa": folder / "BBBC021_v1_moa.csv"}
    table = fields(SCREEN, csv)
    table = table[table["Metadata_Field"].isin(centres(folder)["Metadata_Field"])]
    assert len(table) == 5

    found, names = [], []
    for plate, rows in table.groupby("Metadata_Plate"):
        pack(archive := tmp_path / f"BBBC021_v1_images_{plate}.zip", rows, channels, folder)
        npy, files = tmp_path / f"{plate}.npy", {"nuclei": tmp_path / f"{plate}.parquet"}
        files |= {"qc": tmp_path / "qc.csv", "intensities": tmp_path / "levels.json"}
        even = {"smoothing": 0, "even_fields": 0, "quantile": 0.02}
        with Source.open(archive) as source:
            illumination.write(source.fields(rows, channels), even, npy, plate)
            function, listed = np.load(npy), provided(tmp_path / "centres.csv", table)
            percentiles = {"low": 0.1, "high": 99.9}
            shown = source.fields(rows, channels)
            nuclei.write(shown, function, PARAMS, percentiles, channels, files, plate, listed)
            cells = pd.read_parquet(files["nuclei"])
            cells = cells[inside(cells["x"], cells["y"], SIDE, cells["width"], cells["height"])]
            levels = json.loads(files["intensities"].read_text())
            for cut in crops(source.fields(rows, channels), cells, function, SIDE, "raw", levels):
                found += list(cut)
        names += list(zip(cells["Metadata_Field"], cells["x"], cells["y"], strict=True))

    ours, compared = dict(zip(names, found, strict=True)), 0
    for field, x, y, crop in published(folder):
        np.testing.assert_array_equal(ours[field, x, y], crop)
        compared += 1
    assert compared == 811
