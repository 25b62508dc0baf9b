"""An encoder at hand on the plates of a second screen, which it never saw: from pictures to scores, and no training."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
import yaml
from tests.workflow.conftest import Project

from phenoviews.data.images import Images
from phenoviews.models import build
from phenoviews.study.document import shipped
from phenoviews.views import Transform

SIMULATED = shipped()["screens"]["simulated"]
SMALL = {"width": 256, "height": 224, "cells": 30}
PLATES = ["Week2_00001", "Week3_00001"]


def config() -> dict:
    """A first screen that is trained on, and a second one with other cells of other plates."""
    second = {**SIMULATED, "simulation": {**SIMULATED["simulation"], **SMALL, "seed": 7}}
    cells = {"kind": "treatments", "plates": PLATES, "side": 48, "size": 48, "val_fraction": 0}
    return {
        "seeds": [5],
        "resources": {"threads": 1},
        "screens": {
            "first": {**SIMULATED, "simulation": {**SIMULATED["simulation"], **SMALL}},
            "second": second,
        },
        "datasets": {
            "old": {**cells, "screen": "first", "split_by": "plate", "test_fraction": 0.5},
            "new": {**cells, "screen": "second"},
        },
        "backbones": {"resnet18": {"width": 0.125}},
        "recipes": {"treatments": {"training": {"epochs": 1, "batch_size": 32, "snapshot_epochs": 0}}},
        "panels": {"lab": {"trained": panel("old", "simclr", "resnet18")}},
    }


def panel(dataset: str, method: str, *backbones: str) -> dict:
    return {
        "title": "New plates",
        "runs": {"dataset": dataset, "transform": "single_cell", "method": method, "backbone": list(backbones)},
        "metrics": ["nsc", "nscb"],
        "rows": ["backbone", "postprocessing"],
        "columns": ["metric"],
    }


def options(project: Project, document: dict, name: str) -> list[str]:
    (project.folder / name).write_text(yaml.safe_dump(document))
    return ["--configfile", name, "--"]


def test_from_pictures_to_scores_without_training(project):
    document = config()
    trained = project.snakemake(*options(project, document, "old.yaml"), "lab_trained")
    assert trained.returncode == 0, trained.stdout
    (folder,) = (project.folder / "results/own/runs/old").glob("*/simclr/resnet18/seed5")
    # The scores are of the plate that was held out alone.
    profiles = pd.read_parquet(folder / "profiles/profiles.parquet")
    index = pd.read_parquet(project.folder / "results/data/old/index.parquet")
    assert profiles["Metadata_Plate"].nunique() == 1
    assert set(profiles["Metadata_Plate"]) == set(index.loc[index["split"] == "test", "Metadata_Plate"])

    # That run, and its weights as another's checkpoint has them.
    run, weights = folder.relative_to(project.folder), torch.load(folder / "encoder.pt", weights_only=True)
    theirs = {f"module.backbone.{name}": value for name, value in weights.items()} | {"module.head.w": torch.ones(2)}
    torch.save({"state_dict": theirs, "epoch": 1}, project.folder / "theirs.ckpt")
    said = yaml.safe_load((folder / "run.yaml").read_text())
    stem = said["backbone"]["stem"]
    document["backbones"] |= {
        "ours": {"run": str(run)},
        "theirs": {"kind": "resnet18", "width": 0.125, "stem": stem, "init": "theirs.ckpt"},
    }
    document["panels"]["lab"]["given"] = panel("new", "given", "ours", "theirs")
    command = [*options(project, document, "new.yaml"), "lab_given"]
    planned = project.planned(*command)
    assert "pretrain" not in planned
    assert planned["embed_frozen"] == planned["score"] == 2
    finished = project.snakemake(*command)
    assert finished.returncode == 0, finished.stdout
    table = pd.read_csv(project.folder / "results/own/panels/lab/given.csv")
    assert table.loc[table["metric"] == "nsc", "mean"].notna().all()

    # What was embedded is what the run's encoder makes of the new cells under the run's own mean and deviation.
    given = project.folder / "results/own/runs/new/single_cell/given"
    ours, other = (np.load(given / name / "seed5/embeddings/encoder.npy") for name in ("ours", "theirs"))
    images = Images.open(project.folder / "results/data/new")
    network = build({**said["backbone"], "init": str(folder / "encoder.pt")}).eval()
    shown = Transform([{"normalize": {}}], 48, said["statistics"]["mean"], said["statistics"]["std"])
    first = torch.from_numpy(np.array(images.array[:8])).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = network(shown(first, torch.Generator())).numpy()
    np.testing.assert_allclose(ours[:8], expected, rtol=1e-3, atol=1e-5)
    assert ours.shape == other.shape == (len(images.array), expected.shape[1])
    # Of weights alone nobody knows what they were made for: the new data's own mean and deviation stand in.
    assert not np.allclose(ours, other)
