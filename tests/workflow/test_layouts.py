"""One plate as four microscopes write it, as stacks, under a moved table, with a map of another form: by configuration
alone it leads to the same cells. And with damaged fields, to the same cells but theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from tests.cells.drawn import apart, field
from tests.cells.test_brought import MICROSCOPES, NAMES
from tests.workflow.conftest import Project

CHANNELS = ["DNA", "ER", "mitochondria"]
WELLS = [f"{row}{column:02d}" for row in "BCDE" for column in range(2, 7)]
SITES = range(1, 6)
SHAPE = 120, 140
# Of the hundred fields.
DAMAGED = [("B02", 1, "empty"), ("C04", 3, "truncated"), ("E06", 5, "lacking")]
Fields = dict[tuple[str, int], np.ndarray]


@pytest.fixture(scope="module")
def fields() -> Fields:
    """Of a hundred fields the channels: (3, H, W) uint16."""
    made = {}
    for seed, (well, site) in enumerate((well, site) for well in WELLS for site in SITES):
        dna = field(apart(4, 22, SHAPE, seed), 22, SHAPE, seed=seed)
        made[well, site] = np.rint(np.stack([dna, 900 + dna / 2, 5000 - dna / 2])).astype(np.uint16)
    return made


def each(fields: Fields) -> Iterator[tuple[str, int, int, np.ndarray]]:
    for (well, site), channels in fields.items():
        for number, image in enumerate(channels):
            yield well, site, number, image


def tiff(path: Path, image: np.ndarray, **how: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, image, **how)


def plain(folder: Path, fields: Fields) -> dict:
    for well, site, number, image in each(fields):
        tiff(folder / "P1" / f"{well}_f{site}_{CHANNELS[number]}.tif", image)
    return {"pattern": "{plate}/{well}_f{site}_{channel}.tif", "channels": {name: name for name in CHANNELS}}


def damaged(folder: Path, fields: Fields) -> dict:
    said = plain(folder, fields)
    for well, site, how in DAMAGED:
        path = folder / "P1" / f"{well}_f{site}_ER.tif"
        if how == "lacking":
            path.unlink()
        else:
            path.write_bytes(b"" if how == "empty" else path.read_bytes()[:2000])
    return {**said, "unreadable_fraction": 0.05}


def by(microscope: str, folder: Path, fields: Fields) -> dict:
    """Named as a microscope's software does; where there are planes, one of them is empty."""
    template, names = NAMES[microscope]
    for well, site, number, image in each(fields):
        planes = (np.full_like(image, image.min()), image) if "{plane" in template else (image,)
        for plane, seen in enumerate(planes, 1):
            place = {"plate": "P1", "well": well, "letter": well[0], "row": "ABCDE".index(well[0]) + 1}
            place |= {"col": int(well[1:]), "site": site, "plane": plane, "channel": names[number]}
            tiff(folder / template.format(**place), seen)
    return MICROSCOPES[microscope]


def stack(folder: Path, fields: Fields) -> dict:
    for (well, site), channels in fields.items():
        tiff(folder / "P1" / f"{well}_{site}.ome.tif", channels, metadata={"axes": "CYX"}, ome=True)
    return {"pattern": "{plate}/{well}_{site}.ome.tif", "channels": {name: at for at, name in enumerate(CHANNELS)}}


def moved_table(folder: Path, fields: Fields) -> dict:
    """A table of another machine: its disk has a letter, its wells rows and columns."""
    rows = []
    for (well, site), channels in fields.items():
        row = {"Metadata_Plate": "P1", "Metadata_Row": "ABCDE".index(well[0]) + 1, "Metadata_Col": int(well[1:])}
        row["Metadata_FieldID"] = site
        for name, image in zip(CHANNELS, channels, strict=True):
            file = f"{well}-{site}-{name}.tif"
            tiff(folder / "P1" / file, image)
            row |= {f"FileName_{name}": file, f"PathName_{name}": "D:\\Screens\\lab\\P1"}
        rows.append(row)
    pd.DataFrame(rows).to_csv(folder / "load_data.csv", index=False)
    return {
        "kind": "loaddata",
        "path": str(folder / "load_data.csv"),
        "channels": {name: name for name in CHANNELS},
        "replace": {"D:\\Screens\\lab": str(folder)},
    }


def another_map(folder: Path, fields: Fields) -> dict:
    """A map that is a workbook, in nM, with two controls that are one."""
    said = plain(folder, fields)
    table = wells().rename(columns={"well": "Well ", "compound": "Drug", "concentration": "Concentration (nM)"})
    table["Concentration (nM)"] *= 1000
    table.loc[table.index[table["Drug"] == "DMSO"][::2], "Drug"] = "water"
    table.to_excel(folder / "map.xlsx", index=False)
    return {**said, "platemap": str(folder / "map.xlsx"), "control": ["DMSO", "water"], "columns": {"compound": "Drug"}}


LAYOUTS: dict[str, Callable[[Path, Fields], dict]] = {
    "plain": plain,
    **{name: partial(by, name) for name in MICROSCOPES},
    "stack": stack,
    "moved_table": moved_table,
    "another_map": another_map,
    "damaged": damaged,
}


def wells() -> pd.DataFrame:
    compounds = ["DMSO"] * 8 + ["drug"] * 12
    return pd.DataFrame({"well": WELLS, "compound": compounds, "concentration": [0.0] * 8 + [0.3, 1.0, 3.0] * 4})


@pytest.fixture(scope="module")
def made(tmp_path_factory, fields) -> tuple[Path, dict[str, tuple[np.ndarray, pd.DataFrame]]]:
    """(the project's folder, {layout: its cells, and the table of them})"""
    folder = tmp_path_factory.mktemp("layouts")
    project = Project(folder / "project")
    wells().to_csv(folder / "map.csv", index=False)
    everywhere = {"kind": "pattern", "platemap": str(folder / "map.csv"), "control": "DMSO"}
    document: dict[str, dict] = {"seeds": [5], "screens": {}, "datasets": {}}
    for name, lay in LAYOUTS.items():
        said = {**everywhere, "path": str(folder / name), **lay(folder / name, fields), "nuclei": {"diameter": 22}}
        document["screens"][name] = said
        document["datasets"][f"cells_{name}"] = {
            **{"kind": "cells", "screen": name, "plates": ["P1"], "compound": "drug"},
            **{"side": 32, "size": 32},
        }
    (project.folder / "layouts.yaml").write_text(yaml.safe_dump(document))
    data = {name: f"results/data/cells_{name}" for name in LAYOUTS}
    done = project.snakemake("--configfile", "layouts.yaml", "--", *(f"{path}/images.npy" for path in data.values()))
    assert done.returncode == 0, done.stdout[-6000:]
    return project.folder, {
        name: (np.load(project.folder / path / "images.npy"), pd.read_parquet(project.folder / path / "index.parquet"))
        for name, path in data.items()
    }


# Of a cell, what does not come from the names of files.
WHERE = ["split", "class", *(f"Metadata_{name}" for name in ("Plate", "Well", "Site", "Compound", "Concentration"))]


@pytest.mark.parametrize("layout", sorted(LAYOUTS.keys() - {"plain", "damaged"}))
def test_the_same_plate_leads_to_the_same_cells(made, layout):
    _, read = made
    (expected, known), (images, index) = read["plain"], read[layout]
    np.testing.assert_array_equal(images, expected)
    pd.testing.assert_frame_equal(index[WHERE], known[WHERE], check_dtype=False)


def test_the_plate_is_what_was_drawn(made):
    """Its 400 nuclei, in 20 wells, at the doses of the map."""
    _, read = made
    images, index = read["plain"]
    assert len(images) == len(index) == 400
    assert index.groupby(["Metadata_Well", "Metadata_Concentration"]).ngroups == 20


def test_damaged_fields_are_left_out_and_named(made):
    folder, read = made
    (_, known), (_, index) = read["plain"], read["damaged"]
    site = ["Metadata_Well", "Metadata_Site"]
    lost = {(well, number) for well, number, _ in DAMAGED}

    def sites(table: pd.DataFrame) -> set[tuple]:
        return set(map(tuple, table[site].to_numpy()))

    assert sites(known) - sites(index) == lost
    quality = pd.read_csv(folder / "results/screens/damaged/qc/P1.csv")
    assert sites(quality[quality["left_out"].notna()]) == lost
