"""Real BBBC021 fields, as far as they are at hand, on the whole way from the plates' archives to crops."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pandas as pd
import tifffile

from phenoviews.cells import illumination, nuclei
from phenoviews.cells.crops import crops, inside
from phenoviews.cells.screen import fields
from phenoviews.cells.source import Source

CHANNELS = {"DNA": "DAPI", "tubulin": "Tubulin", "actin": "Actin"}
SCREEN = {"kind": "bbbc021", "channels": CHANNELS, "control": "DMSO", "name": "bbbc021"}
PARAMS = {"diameter": 40, "least_area": 0.08, "contrast": 1.3, "focus": 4}
SIZE = 1024, 1280


def pack(path, plate, rows, folder):
    """The archive of a plate: the rebuilt fields, at their place in a whole one, under their official names."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for _, row in rows.iterrows():
            whole = np.zeros((*SIZE, 3), np.uint16)
            image = np.load(folder / f"{row['Metadata_Field']}.npz")["image"]
            whole[: image.shape[0], : image.shape[1]] = image
            for number, channel in enumerate(CHANNELS):
                stream = io.BytesIO()
                tifffile.imwrite(stream, whole[..., number], photometric="minisblack")
                archive.writestr(f"{plate}/{row[f'Image_{channel}'].rsplit('/')[-1]}", stream.getvalue())


def test_crops_of_real_plates_are_those_that_were_published(tmp_path, shared_data):
    folder = shared_data / "bbbc021"
    centres = pd.read_csv(folder / "mosaics" / "centres.csv")
    centres.rename(columns={"field": "Metadata_Field"}).to_csv(tmp_path / "centres.csv", index=False)
    csv = {"images": folder / "BBBC021_v1_image.csv.gz", "moa": folder / "BBBC021_v1_moa.csv"}
    table = fields(SCREEN, csv)
    table = table[table["Metadata_Field"].isin(centres["field"])]
    assert len(table) == 5

    found, names = [], []
    for plate, rows in table.groupby("Metadata_Plate"):
        pack(archive := tmp_path / f"BBBC021_v1_images_{plate}.zip", plate, rows, folder / "mosaics")
        npy, files = tmp_path / f"{plate}.npy", {"nuclei": tmp_path / f"{plate}.parquet"}
        files |= {"qc": tmp_path / "qc.csv", "overlay": tmp_path / "qc.png", "intensities": tmp_path / "levels.json"}
        channels, even = list(CHANNELS), {"smoothing": 0, "even_fields": 0, "quantile": 0.02}
        with Source.open(archive) as source:
            illumination.write(source.fields(rows, channels), channels, even, npy, tmp_path / "light.png", plate)
            function, listed = np.load(npy), nuclei.provided(tmp_path / "centres.csv", table)
            percentiles = {"low": 0.1, "high": 99.9}
            shown = source.fields(rows, channels)
            nuclei.write(shown, function, PARAMS, percentiles, channels, files, plate, listed)
            cells = pd.read_parquet(files["nuclei"])
            cells = cells[inside(cells["x"], cells["y"], 68, cells["width"], cells["height"])]
            levels = json.loads(files["intensities"].read_text())
            for cut in crops(source.fields(rows, channels), cells, function, 68, "raw", levels):
                found += list(cut)
        names += list(zip(cells["Metadata_Field"], cells["x"], cells["y"], strict=True))

    # The published crops, by field and centre.
    listed = pd.read_csv(folder / "cells.csv").merge(centres, on=["field", "cell_number"])
    published = {name: np.load(folder / f"cells-{name}.npz")["images"] for name in listed["source"].unique()}
    ours, compared = dict(zip(names, found, strict=True)), 0
    for row in listed.itertuples():
        np.testing.assert_array_equal(ours[row.field, row.x, row.y], published[row.source][row.row])
        compared += 1
    assert compared == 811
