"""A training on images of any number of channels, from the array on disk to embeddings, probe and fine-tuning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from phenoviews import models
from phenoviews.data import write
from phenoviews.data.images import Images
from phenoviews.data.pool import with_statistics
from phenoviews.errors import UserError
from phenoviews.study.resolved import Embedding, FineTuning, FrozenEmbedding, Pretraining
from phenoviews.training.embed import embed_frozen, loader
from phenoviews.training.encoded import subject
from phenoviews.training.fine_tuning import fine_tune
from phenoviews.training.pretrain import pretrain
from phenoviews.training.probe import probe

STAINS = [
    {"random_resized_crop": {"scale": [0.5, 1.0]}},
    {"color_jitter": {"brightness": 0.3, "contrast": 0.3, "saturation": 0, "hue": 0}},
    {"random_gain": {"p": 0.8}},
    {"random_contrast": {"p": 0.5}},
    {"random_gamma": {"p": 0.5}},
    {"gaussian_blur": {"p": 0.5}},
    {"normalize": {}},
    {"random_erasing": {"p": 0.5}},
]


def stained(folder: Path, channels: int, n: int = 72) -> Path:
    """16-bit images of two classes that differ in the last channel alone."""
    rng = np.random.default_rng(0)
    images = rng.integers(500, 4000, (n, 24, 24, channels)).astype(np.uint16)
    label = np.arange(n) % 2
    images[label == 1, 6:18, 6:18, -1] *= 8
    split = np.where(np.arange(n) < n * 2 // 3, "train", "test")
    index = pd.DataFrame({"split": split, "label": label, "class": label.astype(str), "source": "made"})
    write(folder / "images.npy", folder / "index.parquet", images, index)
    return folder


def own(channels: int) -> dict:
    return {"mean": "own", "std": "own", "channels": channels, "size": 32}


@pytest.mark.parametrize("rule", ["together", "each"])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_all_the_way(make_run, tmp_path, outputs, channels, rule):
    data = stained(tmp_path / "data", channels)
    run = make_run(
        dataset=own(channels),
        transform={"sets": [{"weight": 1.0, "views": [STAINS, STAINS]}]},
        backbone={"channels": rule},
        training={"epochs": 2, "batch_size": 24},
    )
    pretrain(Pretraining.of(run), data, outputs, tmp_path / "checkpoint.pt")
    embeddings = np.load(outputs["embeddings"])
    build = models.build(run.backbone.to_dict(), channels=channels)
    assert embeddings.shape == (24, build.dim)
    files = {"encoder": str(outputs["encoder"]), "projector": str(outputs["projector"])}
    plain = Embedding.of(run).to_dict()
    with subject(*loader(plain, files), seed=5, data=data, test=embeddings) as measured:
        values, predictions = probe(measured, run.probe)
    assert set(predictions) <= {0, 1}
    assert values.set_index("metric").at["top1", "value"] >= 0
    tuning = FineTuning(transform=STAINS, training=run.training)
    tuned, _ = fine_tune(plain, files, tuning, 5, data, tmp_path / "tuning.pt")
    assert 0 <= tuned.set_index("metric").at["fine_tuned_top1", "value"] <= 100


@pytest.mark.parametrize("rule", ["together", "each"])
@pytest.mark.parametrize("channels", [1, 4, 5])
def test_weights_of_rgb_show_the_channel_that_tells(make_run, tmp_path, channels, rule):
    """Also an encoder that nobody trains here sees every channel: the classes differ in the last one alone."""
    data = stained(tmp_path / "data", channels)
    run = make_run(dataset=own(channels), backbone={"channels": rule, "kind": "resnet18", "init": "rgb.pt"})
    torch.manual_seed(0)
    torch.save(models.build(run.backbone.to_dict() | {"init": "random"}).state_dict(), tmp_path / "rgb.pt")
    values = {key: value for key, value in run.to_dict().items() if key in ("name", "dataset", "backbone", "seed")}
    embed_frozen(FrozenEmbedding.from_dict(values), data, tmp_path / "rgb.pt", tmp_path / "embeddings.npy")
    found, label = np.load(tmp_path / "embeddings.npy"), Images.open(data).labels("test")
    apart = np.linalg.norm(found[label == 0].mean(0) - found[label == 1].mean(0))
    assert apart > 3 * np.linalg.norm(found[label == 0].std(0)) / np.sqrt(12)


def test_statistics_are_of_each_channel(tmp_path):
    data = stained(tmp_path / "data", 5)
    images = Images.open(data)
    train = images.array[images.rows("train")].astype(float) / 65535
    found = with_statistics(images, own(5))
    np.testing.assert_allclose(found["mean"], train.mean((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(found["std"], train.std((0, 1, 2)), rtol=1e-6)
    with pytest.raises(UserError, match="have 5 channels where the data set is one of 3; say `channels: 5`"):
        with_statistics(images, {**own(5), "channels": 3})
    grey = Images.open(stained(tmp_path / "grey", 1))
    assert len(with_statistics(grey, own(1))["mean"]) == 1
    assert len(set(with_statistics(grey, own(3))["mean"])) == 1
