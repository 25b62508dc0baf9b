"""The real BBBC021 fields that are at hand, as a screen has them: partly rebuilt ones, and published crops of their
cells."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

SIDE = 68  # of the published crops
SHAPE = 1024, 1280, 3  # of a field


def centres(folder: Path) -> pd.DataFrame:
    """Metadata_Field, cell_number, x, y of the listed cells of the rebuilt fields."""
    return pd.read_csv(folder / "mosaics" / "centres.csv").rename(columns={"field": "Metadata_Field"})


def published(folder: Path) -> Iterator[tuple[str, int, int, np.ndarray]]:
    """Field, x, y and crop (68, 68, 3) of every published crop of those cells; of one cell there are two."""
    images = {path.stem.removeprefix("cells-"): np.load(path)["images"] for path in folder.glob("cells-*.npz")}
    table = pd.read_csv(folder / "cells.csv").rename(columns={"field": "Metadata_Field"})
    for row in table.merge(centres(folder), on=["Metadata_Field", "cell_number"]).itertuples():
        yield row.Metadata_Field, row.x, row.y, images[row.source][row.row]


def rebuilt(folder: Path, field: str) -> np.ndarray:
    """A field (H, W, 3), black where it is not at hand."""
    whole = np.zeros(SHAPE, np.uint16)
    if (path := folder / "mosaics" / f"{field}.npz").exists():
        image = np.load(path)["image"]
        whole[: image.shape[0], : image.shape[1]] = image
    return whole


def pack(archive: Path, fields: pd.DataFrame, channels: list[str], folder: Path) -> None:
    """The archive of a plate with these rows of the screen's table: its fields, under their official names."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as pack:
        for _, row in fields.iterrows():
            for channel, image in zip(channels, np.moveaxis(rebuilt(folder, row["Metadata_Field"]), 2, 0), strict=True):
                stream = io.BytesIO()
                tifffile.imwrite(stream, image, photometric="minisblack")
                pack.writestr(row[f"Image_{channel}"], stream.getvalue())
