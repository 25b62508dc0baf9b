"""The scripts of a plate's rules, each in a process of its own, as Snakemake runs them."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from tests.cells.drawn import CHANNELS, INTENSITY, PARAMS, apart, field, plate
from tests.conftest import ROOT

SCRIPTS = ROOT / "workflow" / "scripts"
SCREEN = {
    "name": "lab",
    "unreadable_fraction": 0,
    "channels": {channel: channel for channel in CHANNELS},
    "illumination": {"smoothing": 0.4, "even_fields": 10, "quantile": 0.02},
    "nuclei": PARAMS,
    "intensity": INTENSITY,
}
DRAWING = {"matplotlib", "phenoviews.panels", "phenoviews.pictures"}
CHILD = """
import json, runpy, sys
from types import SimpleNamespace

class Files(list):
    def __init__(self, named):
        super().__init__(named.values())
        vars(self).update(named, items=named.items)

job = json.loads(sys.argv[2])
files = {key: Files(job[key]) for key in ("input", "output")}
job = {"params": SimpleNamespace(**job["params"]), "wildcards": SimpleNamespace(plate="P1"), "log": job["log"], **files}
runpy.run_path(sys.argv[1], {"snakemake": SimpleNamespace(**job)})
print(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run the script of this name on a plate in a folder: (the modules that it had loaded, the plate's folder)."""
    folder = tmp_path_factory.mktemp("plate")
    fields = list(plate([field(apart(count, 40, seed=count), seed=count) for count in (6, 9, 7)]))
    for row, image in fields:
        for channel, pixels in zip(CHANNELS, image, strict=True):
            tifffile.imwrite(folder / row[f"Image_{channel}"], pixels)
    other = fields[0][0].replace("P1", "P2").replace("f0", "of another plate")
    pd.DataFrame([*(row for row, _ in fields), other]).to_parquet(folder / "fields.parquet")

    def run(script: str, inputs: dict[str, str], outputs: dict[str, str]) -> set[str]:
        inputs = {"fields": "fields.parquet", "pictures": ".", **inputs}
        job = {
            "input": {key: value if isinstance(value, list) else str(folder / value) for key, value in inputs.items()},
            "output": {key: str(folder / value) for key, value in outputs.items()},
            "params": {"screen": SCREEN},
            "log": [str(folder / "log")],
        }
        child = [sys.executable, "-c", CHILD, str(SCRIPTS / script), json.dumps(job)]
        done = subprocess.run(child, env={"PYTHONPATH": str(SCRIPTS)}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return set(json.loads(done.stdout))

    return run, folder


def test_measuring_knows_no_drawing_and_the_pictures_are_drawn_afterwards(run):
    run, folder = run
    light, nuclei = {"illumination": "light.npy"}, {"nuclei": "nuclei.parquet"}
    loaded = run("illumination.py", {}, light)
    assert "phenoviews.cells.illumination" in loaded
    assert not loaded & DRAWING
    loaded = run("nuclei.py", {**light, "locations": []}, {**nuclei, "qc": "qc.csv", "intensities": "levels.json"})
    assert "phenoviews.cells.nuclei" in loaded
    assert not loaded & DRAWING
    assert np.load(folder / "light.npy").shape == (2, 300, 400)
    assert len(pd.read_parquet(folder / "nuclei.parquet")) == 6 + 9 + 7

    loaded = run("qc.py", {**light, **nuclei, "quality": "qc.csv"}, {"light": "light.png", "overlay": "overlay.png"})
    assert loaded >= DRAWING
    for drawn in ("light.png", "overlay.png"):
        assert Image.open(folder / drawn).size[0] == 2100
