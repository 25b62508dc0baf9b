"""Acceptance B: screens of five channels and of one, from archives to profiles, scores and figures, at demo scale; the
same with weights as ImageNet's from a file, which fill the first convolution or see each channel by itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from tests.workflow.conftest import Project

from phenoviews.cells.simulation.layout import STAINS
from phenoviews.models import build

SIMULATION = {
    "width": 256,
    "height": 224,
    "magnification": 0.5,
    "cells": 30,
    "sites": 1,
    "control_wells": 3,
    "plates": {
        "Week1_00001": {"compounds": ["nocodazole", "emetine", "cytochalasin B"]},
        "Week2_00001": {"compounds": ["colchicine", "anisomycin", "latrunculin B"]},
    },
    "compounds": {
        "nocodazole": {"moa": "Microtubule destabilizers", "doses": [0.3, 1]},
        "colchicine": {"moa": "Microtubule destabilizers", "doses": [0.3, 1]},
        "emetine": {"moa": "Protein synthesis", "doses": [0.3, 1]},
        "anisomycin": {"moa": "Protein synthesis", "doses": [0.3, 1]},
        "cytochalasin B": {"moa": "Actin disruptors", "doses": [10, 30]},
        "latrunculin B": {"moa": "Actin disruptors", "doses": [1, 3]},
    },
}
PLATES = list(SIMULATION["plates"])
PAINTING = ["DNA", "ER", "RNA", "AGP", "mitochondria"]


def screen(stains: list[str]) -> dict:
    return {
        "kind": "bbbc021",
        "files": {"images": {"name": "BBBC021_v1_image.csv"}, "moa": {"name": "BBBC021_v1_moa.csv"}},
        "archive": "BBBC021_v1_images_{plate}.zip",
        "channels": {stain: STAINS[stain][0] for stain in stains},
        "control_columns": [2, 11],
        "nuclei": {"diameter": 20},
        "simulation": {**SIMULATION, "stains": stains},
    }


TREATMENTS = {"kind": "treatments", "plates": PLATES, "side": 48, "size": 48}
CELLS = {"kind": "cells", "plates": PLATES, "compound": "nocodazole", "side": 48, "size": 48, "cells": 40}
RGB = {"kind": "resnet18", "stem": "standard", "width": 0.125, "init": "rgb.pt"}
SHOWN = {"transform": "any_channels", "method": "simclr", "seeds": 1}
STUDY = {
    "resources": {"threads": 1},
    "screens": {"painting": screen(PAINTING), "nuclear": screen(["DNA"])},
    "datasets": {
        "painted": {**TREATMENTS, "screen": "painting"},
        "dna": {**TREATMENTS, "screen": "nuclear"},
        "painted_cells": {**CELLS, "screen": "painting"},
    },
    "backbones": {
        "small": {"kind": "resnet18", "stem": "standard", "width": 0.125},
        "filled": RGB,
        "each": {**RGB, "channels": "each"},
    },
    "recipes": {
        "treatments": {"training": {"epochs": 1, "batch_size": 64, "snapshot_epochs": 0}},
        "cells": {
            "training": {"epochs": 1, "batch_size": 16},
            "probe": {"epochs": 2, "milestones": [1]},
            "methods": {"moco": {"queue": 32}},
        },
    },
    "panels": {
        "lab": {
            "scores": {
                "title": "Scores",
                "runs": [
                    {**SHOWN, "dataset": ["painted", "dna"], "backbone": "small"},
                    {**SHOWN, "dataset": "painted", "backbone": ["filled", "each"]},
                    {**SHOWN, "dataset": "painted", "backbone": "each", "method": "untrained"},
                ],
                "where": {"postprocessing": ["none", "tvn"]},
                "metrics": ["nsc", "nscb"],
                "rows": ["dataset", "method", "backbone", "postprocessing"],
                "columns": ["metric"],
            },
            "map": {
                "title": "Treatments",
                "plot": "treatments",
                "runs": {**SHOWN, "dataset": ["painted", "dna"], "backbone": "small"},
                "where": {"postprocessing": ["none"]},
            },
            "painted": {
                "title": "Cells",
                "plot": "nearest",
                "runs": {**SHOWN, "method": "moco", "dataset": "painted_cells", "backbone": "small"},
                "clusters": 2,
                "images": 5,
                "metrics": ["ami", "top1"],
                "rows": ["metric"],
                "columns": ["dataset"],
            },
        }
    },
}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    made = Project(tmp_path_factory.mktemp("channels") / "project")
    entry = {**RGB, "batch_norm": True, "init": "random"}
    torch.manual_seed(0)
    torch.save(build(entry).state_dict(), made.folder / "rgb.pt")
    return made


def asked(project: Project, study: dict) -> list[str]:
    (project.folder / "lab.yaml").write_text(yaml.safe_dump(study, sort_keys=False))  # the first channel is DNA
    return ["--configfile", "lab.yaml", "--"]


def test_from_archives_to_profiles_scores_and_figures(project):
    pictures = [f"results/screens/{name}/illumination/{PLATES[0]}.png" for name in ("painting", "nuclear")]
    finished = project.snakemake(*asked(project, STUDY), "lab_scores", "lab_map", "lab_painted", *pictures)
    assert finished.returncode == 0, finished.stdout
    results = project.folder / "results"
    for name, channels in (("painted", 5), ("dna", 1)):
        images = np.load(results / f"data/{name}/images.npy", mmap_mode="r")
        assert images.shape[1:] == (48, 48, channels)
    folder = next((results).glob("*/panels/lab"))
    scores = pd.read_csv(folder / "scores.csv")
    assert len(scores) == 5 * 2 * 2
    assert scores["mean"].between(0, 100).all()
    assert (scores["of"] == 12).all()
    for figure in ("map", "painted"):
        assert (folder / f"{figure}.png").stat().st_size > 5_000
    numbers = pd.read_csv(folder / "painted.csv").set_index("metric")
    assert numbers["mean"].notna().all()
    for backbone, width in (("small", 64), ("filled", 64), ("each", 5 * 64)):
        (profiles,) = results.glob(f"*/runs/painted/any_channels/simclr/{backbone}/seed*/profiles/profiles.parquet")
        features = [name for name in pd.read_parquet(profiles) if not name.startswith("Metadata_")]
        assert len(features) == width
    for picture in pictures:
        assert (project.folder / picture).stat().st_size > 5_000


def test_a_transform_for_rgb_is_refused_before_anything_runs(project):
    table = {**STUDY["panels"]["lab"]["scores"]}
    table["runs"] = {"dataset": "painted", "transform": "single_cell", "method": "simclr", "backbone": "small"}
    study = {**STUDY, "panels": {"lab": {"rgb": table}}}
    finished = project.snakemake("--dry-run", *asked(project, study), "lab_rgb")
    assert finished.returncode != 0
    assert "color_jitter: saturation and hue of 5 channels has no meaning" in finished.stdout
    assert "any_channels" in finished.stdout


def test_means_of_another_number_of_channels_are_refused(project):
    study = {**STUDY, "datasets": {**STUDY["datasets"], "painted": {**TREATMENTS, "screen": "painting",
                                                                    "mean": [0.5] * 3, "std": [0.5] * 3}}}  # fmt: skip
    finished = project.snakemake("--dry-run", *asked(project, study), "lab_scores")
    assert finished.returncode != 0
    assert "3 numbers for 5 channels; give 5, one for all, or `own`" in finished.stdout
