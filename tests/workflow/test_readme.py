"""The documents' examples, in their short form: to the end, with no empty cell. That of a screen: `test_cells`."""

from __future__ import annotations

import gzip
import hashlib

import numpy as np
import pandas as pd
import yaml
from PIL import Image
from sklearn.datasets import load_digits
from tests.documents import example
from tests.workflow.conftest import Project

from phenoviews.study import merge


def made(project: Project, config: dict, target: str) -> pd.DataFrame:
    """The table of a target, of which every cell has a number."""
    (project.folder / "mine.yaml").write_text(yaml.safe_dump(config))
    done = project.snakemake("--configfile", "mine.yaml", "--", target)
    assert done.returncode == 0, done.stdout
    table = pd.read_csv(project.folder / f"results/own/panels/{target.replace('_', '/')}.csv", keep_default_na=False)
    assert (table["reason"] == "").all(), table[["method", "metric", "reason"]]
    assert table["mean"].astype(float).notna().all()
    page = (project.folder / f"results/own/panels/{target.replace('_', '/')}.md").read_text()
    assert "demo" not in page.lower()
    assert "published" not in page
    assert "reproduced" not in page
    assert not list((project.folder / "results/own/panels").rglob("*.claims.csv"))
    return table


def test_own_images(tmp_path):
    """Of five classes of 80; a smaller network, images and batches than typed, for the time of it."""
    project, draw = Project(tmp_path / "project"), np.random.default_rng(0)
    for number in range(5):
        (tmp_path / "my-images" / f"class {number}").mkdir(parents=True)
        for image in range(80):
            wave = 128 + 90 * np.sin(np.arange(16) * (number + 1) / 2)[:, None, None] + draw.normal(0, 20, (16, 16, 3))
            name = tmp_path / "my-images" / f"class {number}" / f"{image}.png"
            Image.fromarray(wave.clip(0, 255).astype(np.uint8)).save(name)
    config = example("mine")
    assert config["recipes"]["cifar"]["training"]["epochs"] == 2
    small = {
        "resources": {"threads": 1},
        "backbones": {"resnet18": {"width": 0.125}},
        "datasets": {"mine": {"size": 32}},
        "recipes": {"cifar": {"training": {"batch_size": 64}}},
    }
    table = made(project, merge(config, small), "mine_table1")
    assert set(zip(table["method"], table["metric"], strict=True)) == {
        (method, metric) for method in ("simclr", "vicreg") for metric in ("ami", "top1")
    }


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    return header + array.astype(np.uint8).tobytes()


def test_the_sweep(tmp_path):
    """On digits in MNIST's form; two of its four values."""
    project, digits = Project(tmp_path / "project"), load_digits()
    images = np.pad((digits.images * 15.9).repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))
    files = {}
    for split, of in (("train", slice(0, 400)), ("test", slice(400, 600))):
        for kind, array in (("images", images[of]), ("labels", digits.target[of])):
            content, file = idx(array), f"{split}-{kind}.gz"
            (tmp_path / file).write_bytes(gzip.compress(content))
            files[f"{split}_{kind}"] = {"name": file, "content": "gzip", "md5": hashlib.md5(content).hexdigest()}
    config = example("sweep")
    assert config["recipes"]["mnist"]["training"]["epochs"] == 2
    small = {
        "resources": {"threads": 1},
        "backbones": {"vgg11": {"width": 0.125}},
        "datasets": {"mnist": {"mirrors": [tmp_path.as_uri() + "/"], "files": files, "images": 400}},
        "sweeps": {"crop_of_digits": {"steps": 2}},
        "recipes": {"mnist": {"methods": {"moco": {"queue": 256}}}},
    }
    table = made(project, merge(config, small), "crops_table1")
    assert set(table["at"].astype(float)) == {0.3, 0.9}
    assert len(table) == 2 * 2 * 2 * 2  # crops, rotations, methods, metrics
