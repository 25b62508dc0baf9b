"""Which well of a simulated plate gets which treatment, and the two CSVs that tell it in BBBC021's own form."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.cells.simulation.phenotypes import CONTROL, PROGRAMMES, response
from phenoviews.errors import UserError
from phenoviews.files import atomic, write_text

# The wells of BBBC021: doses fall from column 3 to 10; controls stand in columns 2 and 11.
ROWS = "BCDEFG"
TREATED = [f"{row}{column:02d}" for row, column in product(ROWS, range(10, 2, -1))]
CONTROLS = ["B02", "C02", "D02", "E11", "F11", "G11", "E02", "F02", "G02", "B11", "C11", "D11"]

# {stain: what the tables call it, how its files are marked}. The first three are BBBC021's; those of Cell Painting are
# DNA and the last four.
STAINS = {
    "DNA": ("DAPI", "w1"),
    "tubulin": ("Tubulin", "w2"),
    "actin": ("Actin", "w4"),
    "ER": ("ER", "w5"),
    "RNA": ("RNA", "w6"),
    "AGP": ("AGP", "w7"),
    "mitochondria": ("Mito", "w8"),
}

DEFAULTS: dict[str, Any] = {
    "seed": 0,
    "width": 1280,
    "height": 1024,
    "magnification": 1.0,  # 1 is BBBC021's: nuclei of about 31 × 40 pixels
    "cells": 170,  # expected in a field of untreated cells
    "clustering": 0.8,  # log standard deviation of the density within a field
    "stains": ["DNA", "tubulin", "actin"],  # of STAINS, DNA the first
    "sites": 4,
    "wells_per_dose": 1,
    "control_wells": 6,
    "positive_controls": None,  # {compound, concentration, wells}: taxol at 0.3 µM in BBBC021
    "vignetting": 0.35,  # share of the light that is lost in the corners
    "effects": {  # standard deviations of the logarithm, over weeks and over the plates of a week
        "week": {"gain": 0.2, "background": 0.15, "blur": 0.1, "density": 0.1, "diffuse": 0.2},
        "plate": {"gain": 0.07, "background": 0.05, "blur": 0.05, "density": 0.05, "diffuse": 0.05},
    },
    "plates": None,  # {Week1_22123: {replicate, compounds: those on it, all if not given}}
    "compounds": None,  # {nocodazole: {moa, doses (µM), ec50 and hill if wanted}}
}
COMPOUND = {"moa", "doses", "ec50", "hill"}
PLATE = {"replicate", "compounds"}


def resolve(simulation: Mapping[str, Any]) -> dict[str, Any]:
    """The entry `simulation` of a screen with all defaults. `UserError` for unknown or impossible settings."""
    _known("", simulation, DEFAULTS)
    full = copy.deepcopy(DEFAULTS) | {key: copy.deepcopy(value) for key, value in simulation.items()}
    for level, given in simulation.get("effects", {}).items():
        _known("effects.", {level: given}, DEFAULTS["effects"])
        _known(f"effects.{level}.", given, DEFAULTS["effects"][level])
    full["effects"] = {
        level: effects | simulation.get("effects", {}).get(level, {}) for level, effects in DEFAULTS["effects"].items()
    }
    if strangers := [stain for stain in full["stains"] if stain not in STAINS]:
        raise UserError(f"simulation: stains: {strangers[0]} is none of {', '.join(STAINS)}")
    if full["stains"][:1] != ["DNA"] or len(set(full["stains"])) < len(full["stains"]):
        raise UserError("simulation: stains: DNA, by which cells are found, comes first, and none comes twice")
    for key in ("plates", "compounds"):
        if not full[key]:
            raise UserError(f"simulation: `{key}` is empty; name at least one")
    for name, compound in full["compounds"].items():
        _known(f"compounds.{name}.", compound, COMPOUND)
        if compound.get("moa") not in PROGRAMMES or not compound.get("doses"):
            raise UserError(
                f"simulation: compounds.{name} needs `doses` and a `moa` of {', '.join(PROGRAMMES)}; "
                f"it has {compound.get('moa')}"
            )
        compound["doses"] = sorted(map(float, compound["doses"]))
        # Unless told otherwise, the four highest doses act and the others hardly do.
        compound.setdefault("ec50", 0.55 * compound["doses"][-4:][0])
        compound.setdefault("hill", 2.0)
    if (positive := full["positive_controls"]) and positive["compound"] not in full["compounds"]:
        raise UserError(f"simulation: positive_controls: {positive['compound']} is not among `compounds`")
    for name, plate in full["plates"].items():
        _known(f"plates.{name}.", plate, PLATE)
        if not re.fullmatch(r"Week\d+_\w+", name):
            raise UserError(f"simulation: the plate {name} is not named like Week1_22123, week and number")
        plate.setdefault("replicate", 1)
        plate.setdefault("compounds", list(full["compounds"]))
        if unknown := set(plate["compounds"]) - set(full["compounds"]):
            raise UserError(f"simulation: plates.{name}: {min(unknown)} is not among `compounds`")
    return full


def _known(where: str, given: Mapping[str, Any], known: Mapping[str, Any] | set[str]) -> None:
    if unknown := set(given) - set(known):
        raise UserError(f"simulation: unknown key {where}{min(unknown)}; known are {', '.join(sorted(known))}")


def layout(full: Mapping[str, Any], plate: str) -> pd.DataFrame:
    """The fields of one plate, by well and site: well, site, compound, concentration (µM), moa, response (the expected
    share of cells that respond), and the file names by stain. `full` is from `resolve`."""
    if plate not in full["plates"]:
        raise UserError(f"simulation: no plate {plate}; `plates` has {', '.join(full['plates'])}")
    compounds = full["compounds"]
    doses = [
        (name, dose, compounds[name]["moa"])
        for name in full["plates"][plate]["compounds"]
        for dose in compounds[name]["doses"]
        for _ in range(full["wells_per_dose"])
    ]
    controls = [(CONTROL, 0.0, CONTROL)] * full["control_wells"]
    if positive := full["positive_controls"]:
        name = positive["compound"]
        treatment = (name, float(positive["concentration"]), compounds[name]["moa"])
        controls += [treatment] * positive["wells"]
    if len(doses) > len(TREATED) or len(controls) > len(CONTROLS):
        raise UserError(
            f"simulation: plate {plate} has {len(TREATED)} wells for doses and {len(CONTROLS)} for controls; "
            f"{len(doses)} and {len(controls)} are asked for: use more plates, each with its `compounds`"
        )
    wells = sorted([*zip(TREATED, doses, strict=False), *zip(CONTROLS, controls, strict=False)])
    rows = [
        {
            "well": well,
            "site": site,
            "compound": name,
            "concentration": dose,
            "moa": moa,
            "response": response(dose, compounds[name]["ec50"], compounds[name]["hill"]) if dose else 0.0,
        }
        | {stain: _file(full["seed"], plate, well, site, STAINS[stain][1]) for stain in full["stains"]}
        for well, (name, dose, moa) in wells
        for site in range(1, full["sites"] + 1)
    ]
    return pd.DataFrame(rows)


def _file(seed: int, plate: str, well: str, site: int, tag: str) -> str:
    """BBBC021's file name; its last part is a number that is never given twice, in the letters of a GUID."""
    digits = hashlib.sha256(f"{seed} {plate} {well} {site} {tag}".encode()).hexdigest().upper()
    guid = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))
    return f"{well}_s{site}_{tag}{guid}.tif"


def generator(*key: Any) -> np.random.Generator:
    """Random numbers that depend on the key alone."""
    digest = hashlib.sha256(" ".join(map(str, key)).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))


def write_tables(simulation: Mapping[str, Any], images: str | Path, moa: str | Path) -> None:
    """Write the tables of all plates, without a pixel: BBBC021_v1_image.csv and BBBC021_v1_moa.csv in their own form,
    each with a file {name}.sha256 in sha256sum's format beside it.

    The mechanisms are given, as in BBBC021, for the treatments that act: half of the cells or more respond.
    """
    full = resolve(simulation)
    fields = pd.concat({plate: layout(full, plate) for plate in full["plates"]}, names=["plate"]).reset_index("plate")
    week = fields["plate"].str.partition("_")[0]
    table = pd.DataFrame(
        {
            "TableNumber": week.str.removeprefix("Week").astype(int),
            "ImageNumber": fields.groupby(week).cumcount() + 1,
        }
    )
    for stain in full["stains"]:
        name = STAINS[stain][0]
        table[f"Image_FileName_{name}"] = fields[stain]
        table[f"Image_PathName_{name}"] = week + "/" + fields["plate"]
    table["Image_Metadata_Plate_DAPI"] = fields["plate"]
    table["Image_Metadata_Well_DAPI"] = fields["well"]
    table["Replicate"] = [full["plates"][plate]["replicate"] for plate in fields["plate"]]
    table["Image_Metadata_Compound"] = fields["compound"]
    table["Image_Metadata_Concentration"] = [f"{dose:g}" for dose in fields["concentration"]]
    acting = fields[(fields["response"] >= 0.5) | (fields["compound"] == CONTROL)]
    acting = acting[["compound", "concentration", "moa"]].drop_duplicates()
    lines = [f'"{name}",{dose:f},"{mechanism}"\n' for name, dose, mechanism in acting.itertuples(index=False)]
    with atomic(images) as partial:
        table.to_csv(partial, index=False, lineterminator="\n")
    write_text(moa, '"compound",concentration,"moa"\n' + "".join(lines))
    for path in (images, moa):
        write_checksum(path)


def write_checksum(path: str | Path) -> None:
    """Write {path}.sha256 beside a file, as sha256sum does."""
    path = Path(path)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    write_text(f"{path}.sha256", f"{digest}  {path.name}\n")
