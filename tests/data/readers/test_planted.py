"""Planted differences: pairs of classes that differ in one property each, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from phenoviews import models
from phenoviews.data import Images
from phenoviews.data.readers import planted, prepare

ENTRY = {"kind": "planted", "train_per_class": 12, "test_per_class": 8, "split_seed": 0}


def both(name: str, n: int = 40, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """The same images as either class."""
    return tuple(planted.draw(name, np.full(n, way), np.random.default_rng(seed)) for way in (-1, 1))


def test_every_pair_is_a_superclass_of_two(tmp_path):
    prepare(ENTRY, {}, tmp_path / "images.npy", tmp_path / "index.parquet")
    images = Images.open(tmp_path)
    assert images.array.shape == (20 * 20, 32, 32, 3)
    assert images.superclasses == [name for name in planted.PAIRS for _ in range(2)]
    assert set(images.index.groupby(["class", "split"]).size()) == {12, 8}


def test_test_images_stay_when_more_are_trained_on(tmp_path):
    kept = []
    for number, count in enumerate((3, 12)):
        (folder := tmp_path / str(number)).mkdir()
        prepare({**ENTRY, "train_per_class": count}, {}, folder / "images.npy", folder / "index.parquet")
        images = Images.open(folder)
        kept.append(images.array[images.rows("test")])
    np.testing.assert_array_equal(*kept)


def test_what_the_classes_share_is_the_same_pixel_by_pixel():
    """Turned, mirrored, inverted, moved, scaled: each image of one class becomes that of the other."""
    quiet = 0.1  # the slope of the light, and noise
    first, second = both("handedness")
    # The flag is mirrored before it is put in its place, so that only the shape is: the centres of mass differ less.
    assert np.abs(first.mean((1, 2)) - second.mean((1, 2))).max() < quiet
    first, second = both("polarity")
    assert np.abs((first + second) / 2 - 0.5).max() < quiet
    first, second = both("colour")
    luminance = [image @ [0.299, 0.587, 0.114] for image in (first, second)]
    assert np.abs(luminance[0] - luminance[1]).max() < 0.01
    for extreme in (np.max, np.min):  # value and saturation
        assert np.abs(extreme(first, axis=3) - extreme(second, axis=3)).max() < 0.01
    assert np.abs(first - second).max() > 0.1  # pale, but far beyond the noise
    first, second = both("brightness")
    inside = second < 1
    np.testing.assert_allclose(second[inside], 1.27 * first[inside])
    first, second = both("texture_contrast")
    np.testing.assert_allclose(second - 0.5, 1.4 * (first - 0.5), atol=1e-12)
    first, second = both("position")
    moved = np.roll(first, 3, axis=2)
    assert np.abs(moved - second)[:, :, 3:].max() < 0.1
    first, second = both("mark")
    differs = np.abs(first - second)[..., 0] > 0.1
    assert 4 <= differs.sum((1, 2)).min() <= differs.sum((1, 2)).max() <= 36
    rows, columns = np.nonzero(differs.any(0))
    assert np.hypot(rows - 15.5, columns - 15.5).min() > 9


@pytest.mark.parametrize("name", planted.PAIRS)
def test_an_untrained_network_tells_every_pair(name):
    """So that whatever a trained one cannot tell has been lost in training."""
    torch.manual_seed(0)
    settings = {"kind": "vgg11", "stem": "small", "width": 0.25, "batch_norm": True, "init": "random"}
    network = models.build(settings, channels=3).eval()
    rng = np.random.default_rng(7)
    way = np.tile([-1, 1], 400)
    images = torch.from_numpy(planted.draw(name, way, rng)).float().permute(0, 3, 1, 2)
    with torch.no_grad():
        features = network((images - 0.5) / 0.25).numpy()
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    assert probe.fit(features[:600], way[:600]).score(features[600:], way[600:]) >= 0.85
