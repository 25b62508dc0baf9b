"""The archive of a simulated plate and the table of what was drawn in it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
from tqdm import tqdm

from phenoviews.cells.simulation import organelles
from phenoviews.cells.simulation.camera import BASE, Optics, photograph
from phenoviews.cells.simulation.layout import STAINS, generator, layout, resolve, write_checksum
from phenoviews.cells.simulation.phenotypes import draw_phenotypes
from phenoviews.cells.simulation.pictures import draw
from phenoviews.cells.simulation.shapes import extent, place
from phenoviews.files import atomic


def write_plate(simulation: Mapping[str, Any], plate: str, archive: str | Path, truth: str | Path) -> None:
    """Simulate one plate of the entry `simulation` of a screen.

    `archive` gets {plate}/{file name}.tif, 16-bit grey images of (height, width) under the names of `write_tables`;
    {archive}.sha256 its checksum. `truth` gets one row per nucleus that a field shows, if only in part: Metadata_Plate,
    _Well, _Site, _Field (the name of the DNA image without suffix), _Compound, _Concentration, _Phenotype, _Cell
    (nuclei of one cell share it); x, y (centroid in pixels, the centre of the upper left pixel is 0) and area (pixels)
    of the part that is shown. A nucleus in several pieces, of a micronucleated cell, is one row.
    The same seed gives the same bytes, in whatever order plates are made.
    """
    full = resolve(simulation)
    fields = layout(full, plate)
    optics = Optics.of(full, plate)
    tables = []
    with atomic(archive) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as pack:
        shown = tqdm(fields.itertuples(), f"simulate {plate}", len(fields), unit="field", mininterval=1)
        for field in shown:
            image, found = simulate_field(full, plate, field, optics)
            for stain, pixels in zip(full["stains"], image, strict=True):
                # A fixed time, so that the same plate has the same checksum.
                member = zipfile.ZipInfo(f"{plate}/{getattr(field, stain)}", (2007, 1, 1, 0, 0, 0))
                pack.writestr(member, _tiff(pixels))
            tables.append(found)
    with atomic(truth) as partial:
        pd.concat(tables, ignore_index=True).to_parquet(partial, index=False)
    write_checksum(archive)


def simulate_field(full: Mapping[str, Any], plate: str, field: Any, optics: Optics) -> tuple[np.ndarray, pd.DataFrame]:
    """One field: its images (stains, height, width) uint16 and its rows of the truth."""
    rng = generator(full["seed"], plate, field.well, field.site)
    expected = full["cells"] * optics.density * extent(full)
    names = draw_phenotypes(rng, expected, field.moa, field.response)
    cells = place(rng, names, full)
    light, nuclei = draw(rng, cells, full, optics.diffuse)
    if not {*full["stains"]} <= {*BASE}:
        # By numbers of their own, so that the same cells look the same in the other stains.
        own = generator(full["seed"], plate, field.well, field.site, "organelles")
        light = np.concatenate([light, organelles.draw(own, cells, full, light)], axis=1)
    light = light[:, [list(STAINS).index(stain) for stain in full["stains"]]]
    image = photograph(rng, light, optics, full)
    table = pd.DataFrame(nuclei, columns=["Metadata_Phenotype", "Metadata_Cell", "x", "y", "area"])
    place_of = {
        "Metadata_Plate": plate,
        "Metadata_Well": field.well,
        "Metadata_Site": field.site,
        "Metadata_Field": Path(field.DNA).stem,
        "Metadata_Compound": field.compound,
        "Metadata_Concentration": field.concentration,
    }
    for position, (column, value) in enumerate(place_of.items()):
        table.insert(position, column, value)
    return image, table


def _tiff(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, photometric="minisblack", metadata=None, software="")
    return stream.getvalue()
