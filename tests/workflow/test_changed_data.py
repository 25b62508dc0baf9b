"""Data that changed are seen, paths that are gone stop everything, and what is put right clears the error."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
import yaml
from PIL import Image

from phenoviews import models

PANEL = {
    "title": "Mine",
    "runs": {"dataset": "mine", "transform": "plain", "method": "simclr+batch_size=8", "backbone": "vgg11"},
    "metrics": ["rankme"],
    "rows": ["method"],
    "columns": ["metric"],
}


def configured(project, **more) -> list[str]:
    study = {
        "seeds": [5],
        "resources": {"threads": 1},
        "backbones": {"vgg11": {"width": 0.125}},
        "recipes": {"mnist": {"training": {"epochs": 1}}},
        "panels": {"mine": {"table1": PANEL}},
        **more,
    }
    (project.folder / "mine.yaml").write_text(yaml.safe_dump(study))
    return ["--configfile", "mine.yaml", "--"]


def of_folder(project, path) -> list[str]:
    entry = {"kind": "folder", "path": str(path), "size": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "recipe": "mnist"}
    return configured(project, datasets={"mine": entry})


@pytest.fixture
def pictures(tmp_path_factory):
    """Two classes of ten PNGs of 32 x 32 pixels."""
    folder, draw = tmp_path_factory.mktemp("brought") / "my pictures für {alle}", np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(10):
            Image.fromarray(draw.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / name / f"{number}.png")
    return folder


def test_images_of_a_folder(project, pictures):
    options = of_folder(project, pictures)
    done = project.snakemake(*options, "mine_table1")
    assert done.returncode == 0, done.stdout
    assert project.planned(*options, "mine_table1") == {}

    (pictures / "dog" / "7.png").rename(pictures / "cat" / "70.png")
    again = project.planned(*options, "mine_table1")
    assert again["data"] == again["pretrain"] == again["mine_table1"] == 1
    (pictures / "cat" / "70.png").rename(pictures / "dog" / "7.png")
    assert project.planned(*options, "mine_table1") == {}
    # Another image under the name of one, older than what was made of it.
    Image.new("RGB", (32, 32)).save(pictures / "dog" / "7.png")
    os.utime(pictures / "dog" / "7.png", (1, 1))
    assert project.planned(*options, "results/data/mine/images.npy") == {"data": 1}
    done = project.snakemake(*options, "results/data/mine/images.npy")
    assert done.returncode == 0, done.stdout
    index = pd.read_parquet(project.folder / "results/data/mine/index.parquet")
    row = index["source"].tolist().index("dog/7.png")
    assert np.load(project.folder / "results/data/mine/images.npy")[row].max() == 0

    # Gone: whatever is asked for, in a dry run as well; and back.
    away = pictures.rename(pictures.parent / "away")
    for dry in ([], ["-n"]):
        for target in ("mine_table1", "results/own/runs/mine/plain/simclr+batch_size=8/vgg11/seed5/encoder.pt"):
            done = project.snakemake(*dry, *options, target)
            assert done.returncode != 0
            lines = [line for line in done.stdout.splitlines() if "phenoviews: error: " in line]
            assert len(lines) == 1
            assert f"{pictures}: is not there" in lines[0]
            assert "Traceback" not in done.stdout
    away.rename(pictures)
    assert project.planned(*options, "results/data/mine/images.npy") == {}


def test_images_of_imagenet(project, tmp_path_factory):
    """The listed classes of it; another class, and what is not there while nothing has been made, stop no plan."""
    folder, draw = tmp_path_factory.mktemp("brought") / "ImageNet", np.random.default_rng(0)
    classes, target = project.folder / "two.txt", "results/data/imagenet100/images.npy"
    classes.write_text("n01440764 n01443537")
    entry = {"path": str(folder), "classes": str(classes), "side": 32}
    options = configured(project, panels={}, datasets={"imagenet100": entry})
    assert project.planned(*options, target) == {"data": 1}
    names = ("n01440764", "n01443537", "n02102040")
    for inside in [folder / split / name for split in ("train", "val") for name in names]:
        inside.mkdir(parents=True)
        for number in range(4):
            Image.fromarray(draw.integers(0, 256, (40, 40, 3), np.uint8)).save(inside / f"{number}.JPEG")
    done = project.snakemake(*options, target)
    assert done.returncode == 0, done.stdout
    assert project.planned(*options, target) == {}

    (folder / "train" / "n02102040" / "0.JPEG").unlink()  # is not listed
    assert project.planned(*options, target) == {}
    for split in ("train", "val"):
        Image.new("RGB", (40, 40)).save(one := folder / split / "n01443537" / "2.JPEG")
        os.utime(one, (1, 1))
        assert project.planned(*options, target) == {"data": 1}
        done = project.snakemake(*options, target)
        assert done.returncode == 0, done.stdout
        index = pd.read_parquet(project.folder / target.replace("images.npy", "index.parquet"))
        row = index["source"].tolist().index(f"{split}/n01443537/2.JPEG")
        assert np.load(project.folder / target)[row].max() == 0
        assert project.planned(*options, target) == {}

    away = folder.rename(folder.parent / "away")
    done = project.snakemake("-n", *options, target)
    assert done.returncode != 0
    assert f"phenoviews: error: {folder}: is not there" in done.stdout
    away.rename(folder)
    assert project.planned(*options, target) == {}


def test_weights(project, pictures):
    """What took the place of a file is seen, also where it is older than what was made of the file."""
    weights = project.folder / "theirs.pt"
    backbone = {"kind": "vgg11", "stem": "small", "width": 0.125, "batch_norm": True, "init": "random"}
    torch.save(models.build(backbone).state_dict(), weights)
    images = {"kind": "folder", "path": str(pictures), "size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
    given = {**PANEL["runs"], "method": "given", "backbone": "theirs"}
    trained = {**PANEL["runs"], "backbone": "theirs"}
    options = configured(
        project,
        datasets={"mine": {**images, "recipe": "mnist"}},
        backbones={"theirs": {**backbone, "init": str(weights)}},
        panels={"mine": {"table1": {**PANEL, "runs": given}, "table2": {**PANEL, "runs": trained}}},
    )
    done = project.snakemake(*options, "mine")
    assert done.returncode == 0, done.stdout
    assert project.planned(*options, "mine") == {}

    torch.save(models.build(backbone).state_dict(), weights)
    os.utime(weights, (1, 1))
    again = project.planned(*options, "mine")
    assert again["embed_frozen"] == again["pretrain"] == again["mine_table1"] == again["mine_table2"] == 1
    assert "data" not in again

    weights.unlink()
    done = project.snakemake("-n", *options, "mine_table1")
    assert done.returncode != 0
    assert f"phenoviews: error: {weights}: is not there" in done.stdout


def test_a_screen_its_plate_map_and_its_pattern(project, tmp_path_factory):
    folder = tmp_path_factory.mktemp("screen")
    (folder / "plateA").mkdir()
    for well in ("B02", "B03"):
        for channel in (1, 2, 3):
            tifffile.imwrite(folder / "plateA" / f"{well}_f1_w{channel}.tif", np.zeros((32, 32), np.uint16))
    platemap = folder / "map.csv"
    platemap.write_text("well,compound,concentration\nB02,DMSO,0\nB03,drug A,1\n")

    def options(path=folder, pattern="{plate}/{well}_f{site}_w{channel}.tif"):
        lab = {"kind": "pattern", "path": str(path), "pattern": pattern, "platemap": str(platemap)}
        return configured(
            project, panels={}, screens={"lab": {**lab, "channels": {"DNA": "1", "tubulin": "2", "actin": "3"}}}
        )

    target = "results/screens/lab/fields.parquet"
    done = project.snakemake(*options(), target)
    assert done.returncode == 0, done.stdout
    assert project.planned(*options(), target) == {}

    platemap.write_text("well,compound,concentration\nB02,DMSO,0\nB03,drug B,1\n")
    os.utime(platemap, (1, 1))
    assert project.planned(*options(), target) == {"screen": 1}
    assert project.snakemake(*options(), target).returncode == 0
    assert set(pd.read_parquet(project.folder / target)["Metadata_Compound"]) == {"DMSO", "drug B"}
    tifffile.imwrite(folder / "plateA" / "B02_f1_w2.tif", np.ones((32, 32), np.uint16))
    assert project.planned(*options(), target) == {"screen": 1}
    assert project.planned(*options(pattern="{plate}/{well}_f{site}_w{channel}.tiff"), target) == {"screen": 1}

    for gone in (platemap, folder):
        gone.rename(folder.parent / "away")
        done = project.snakemake("-n", *options(), target)
        assert done.returncode != 0
        assert f"phenoviews: error: {gone}: is not there" in done.stdout
        (folder.parent / "away").rename(gone)
