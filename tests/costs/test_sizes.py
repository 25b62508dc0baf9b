"""What sizes are planned with, beside the things themselves."""

from __future__ import annotations

import pytest
import torch

from phenoviews import models
from phenoviews.costs.sizes import BACKBONES, FILES_MB, WEIGHTS_MB, downloads, evaluated_images
from phenoviews.study import Study
from phenoviews.study.document import shipped, users


def study(scale: str) -> Study:
    document, said = users({"scale": scale}, shipped(), {"scale": scale})
    return Study(document, shipped(), said)


@pytest.mark.parametrize("kind", sorted(models.BACKBONES.keys() - {"timm"}))
def test_backbones_are_as_large_as_is_planned(kind):
    entry = {"kind": kind, "stem": "standard", "width": 1.0, "batch_norm": True, "init": "random"}
    with torch.device("meta"):
        built = models.build(entry)
    millions, dim = BACKBONES[kind]
    assert built.dim == dim
    assert sum(weights.numel() for weights in built.parameters()) / 1e6 == pytest.approx(millions, abs=0.02)


def test_every_backbones_weights_have_a_size():
    assert {name.removesuffix("_bn") for name in WEIGHTS_MB} - {"alexnet"} == set(models.BACKBONES) - {
        "intensity",
        "timm",
    }


def test_the_papers_files_have_sizes():
    of = study("paper")
    sources = [*of.config["datasets"].values(), *of.config["screens"].values()]
    assert {file["name"] for source in sources for file in source.get("files", {}).values()} == set(FILES_MB)
    found = list(downloads(of, ["mnist", "cifar10", "cells_taxol", "treatments"], ["resnet50"]))
    assert len(found) == 4 + 1 + 2 + 55 + 1
    assert all(size is not None for *_, size in found)


def test_the_demo_downloads_nothing():
    of = study("demo")
    assert list(downloads(of, [*of.config["stand_ins"].values()][:3], [])) == []


def test_evaluated_images():
    of = study("paper")
    assert evaluated_images(of, "mnist") == 10000
    # Of 3,500 cells a fifth; of treatments all, also where 15 % of the fields are trained on.
    assert evaluated_images(of, "cells_nocodazole") == pytest.approx(700, abs=1)
    assert evaluated_images(of, "treatments") == 454793
    assert evaluated_images(of, "treatments_15") == pytest.approx(454793, rel=0.01)
