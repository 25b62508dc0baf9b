"""Bad input stops the job that met it with one clear line and a non-zero exit, and leaves nothing half-written."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import subprocess
import tarfile

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

LOOKS = {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "recipe": "mnist"}


def stopped(project, study: dict, target: str) -> str:
    """Run Snakemake for `target` under the study's changes; returns the one line of the error."""
    (project.folder / "bad.yaml").write_text(yaml.safe_dump(study))
    done = project.snakemake("--configfile", "bad.yaml", "--", target)
    assert done.returncode != 0, done.stdout
    lines = {line for line in done.stdout.splitlines() if line.strip().startswith("phenoviews: error: ")}
    assert len(lines) == 1, done.stdout
    assert "Traceback" not in done.stdout
    assert not (project.folder / target).exists()
    left = [file for file in (project.folder / "results").rglob("*") if file.suffix in (".npy", ".parquet", ".pt")]
    assert not [file for file in left if ".part" in file.name]
    return lines.pop()


# --------------------------------------------------------------------------------------------------------------- MNIST
def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def mirror(tmp_path):
    """A small MNIST on a file:// mirror, and its entry."""
    folder, draw = tmp_path / "mirror", np.random.default_rng(0)
    folder.mkdir()
    files = {}
    for split, name, n in (("train", "train", 40), ("test", "t10k", 20)):
        for kind, array in (
            ("images", draw.integers(0, 256, (n, 28, 28))),
            ("labels", np.arange(n) % 10),
        ):
            content = idx(array)
            file = f"{name}-{kind}-idx{array.ndim}-ubyte.gz"
            (folder / file).write_bytes(gzip.compress(content))
            files[f"{split}_{kind}"] = {"name": file, "content": "gzip", "md5": hashlib.md5(content).hexdigest()}
    return folder, {"kind": "mnist", **LOOKS, "mirrors": [folder.as_uri()], "files": files}


def test_truncated_download(project, mirror):
    folder, entry = mirror
    file = folder / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-500])
    line = stopped(project, {"datasets": {"small": entry}}, "results/data/small/images.npy")
    assert "train-images-idx3-ubyte.gz" in line


def test_wrong_checksum(project, mirror):
    _, entry = mirror
    entry["files"]["test_labels"]["md5"] = "0" * 32
    line = stopped(project, {"datasets": {"small": entry}}, "results/data/small/images.npy")
    assert "t10k-labels-idx1-ubyte.gz" in line
    assert "md5" in line


def test_truncated_content_with_its_own_checksum(project, mirror):
    folder, entry = mirror
    file = folder / "t10k-images-idx3-ubyte.gz"
    content = gzip.decompress(file.read_bytes())[:-100]
    file.write_bytes(gzip.compress(content))
    entry["files"]["test_images"]["md5"] = hashlib.md5(content).hexdigest()
    line = stopped(project, {"datasets": {"small": entry}}, "results/data/small/images.npy")
    assert "t10k-images-idx3-ubyte.gz" in line


def test_no_space_left(project, mirror):
    """A disk of 64 KiB for the results."""
    _, entry = mirror
    disk = project.folder / "results"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("may not mount a small disk here")
    try:
        line = stopped(project, {"datasets": {"small": entry}}, "results/data/small/images.npy")
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
    assert "no space left" in line


# --------------------------------------------------------------------------------------------------------------- CIFAR
def test_hostile_pickle(project, tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/harmed",)

    archive = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("batches.meta", *(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
            content = pickle.dumps(Hostile())
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    entry = {
        "kind": "cifar",
        **LOOKS,
        "mirrors": [tmp_path.as_uri()],
        "files": {"archive": {"name": archive.name, "md5": md5}},
    }
    line = stopped(project, {"datasets": {"bad": entry}}, "results/data/bad/images.npy")
    assert "cifar-10-python.tar.gz" in line
    assert not (tmp_path / "harmed").exists()


# ------------------------------------------------------------------------------------------------------------ ImageNet
def test_imagenet_without_the_listed_classes(project, tmp_path):
    """Planned wherever the folder is not; refused where one is read that lacks what is asked for."""
    target = "results/data/imagenet100/images.npy"
    assert project.planned("--", target) == {"data": 1}
    for name in ("n02869837", "n01440764"):  # one of the 100, and another
        for split in ("train", "val"):
            (tmp_path / "imagenet" / split / name).mkdir(parents=True)
            (tmp_path / "imagenet" / split / name / "1.JPEG").write_bytes(b"")
    line = stopped(project, {"datasets": {"imagenet100": {"path": str(tmp_path / "imagenet")}}}, target)
    assert "imagenet/train: lacks images of 99 of the 100 classes that the key `classes`" in line
    assert "n01558993, n01692333" in line
    assert "n02869837" not in line


# -------------------------------------------------------------------------------------------------------------- folder
@pytest.fixture
def pictures(tmp_path):
    """Two classes of ten PNGs of 16 x 16 pixels."""
    draw = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(10):
            Image.fromarray(draw.integers(0, 256, (16, 16, 3), np.uint8)).save(
                tmp_path / f"pictures/{name}/{number}.png"
            )
    return tmp_path / "pictures"


def folder_entry(path):
    return {"datasets": {"mine": {"kind": "folder", "path": str(path), **LOOKS}}}


def test_corrupt_png_is_named(project, pictures):
    file = pictures / "dog" / "7.png"
    file.write_bytes(file.read_bytes()[:100])
    assert "dog/7.png" in stopped(project, folder_entry(pictures), "results/data/mine/images.npy")


def test_mixed_sizes(project, pictures):
    Image.new("RGB", (20, 16)).save(pictures / "cat" / "3.png")
    line = stopped(project, folder_entry(pictures), "results/data/mine/images.npy")
    assert "cat/3.png" in line
    assert "16" in line
    assert "20" in line


def test_one_class_only(project, pictures):
    (pictures / "dog").rename(pictures.parent / "dog")
    assert "class" in stopped(project, folder_entry(pictures), "results/data/mine/images.npy")


# ------------------------------------------------------------------------------------------------------------- weights
@pytest.mark.parametrize("content", ["a list", "text"])
def test_weights_that_are_no_state_dict(project, pictures, content):
    file = project.folder / "weights.pt"
    if content == "a list":
        torch.save([1, 2, 3], file)
    else:
        file.write_text("these are no weights")
    study = folder_entry(pictures)
    study["backbones"] = {"vgg11": {"init": "weights.pt"}}
    target = "results/demo/runs/mine/plain/moco+batch_size=4/vgg11/seed5/encoder.pt"
    line = stopped(project, study, target)
    assert "weights.pt" in line
    assert "state dict" in line
