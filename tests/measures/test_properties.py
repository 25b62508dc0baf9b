from __future__ import annotations

import numpy as np
import pytest
from skdim.id import MLE, TwoNN
from skimage.color import rgb2gray

from phenoviews.errors import UserError
from phenoviews.measures.properties import (
    DIMENSION,
    grey,
    high_frequencies,
    intrinsic_dimension,
    properties,
    spectrum,
    texture,
)

RGB = [np.eye(3).tolist()]


def plane(rng, dimension: int, n: int = 800, features: int = 64) -> np.ndarray:
    """Points of a flat space of a dimension, turned in one of more."""
    return rng.uniform(size=(n, dimension)) @ np.linalg.qr(rng.normal(size=(features, dimension)))[0].T


@pytest.mark.parametrize("by", DIMENSION)
@pytest.mark.parametrize("dimension", [2, 5])
def test_the_dimension_is_that_of_the_space_that_points_lie_in(by, dimension):
    found = intrinsic_dimension(plane(np.random.default_rng(dimension), dimension), by)
    assert found == pytest.approx(dimension, rel=0.15)


def test_estimates_are_scikit_dimensions_of_the_distinct_points():
    points = plane(np.random.default_rng(0), 3, 100)
    twice = np.concatenate([points, points[:30]])
    assert intrinsic_dimension(twice, "two_nn") == pytest.approx(TwoNN().fit(points).dimension_)
    assert intrinsic_dimension(twice, "mle") == pytest.approx(MLE().fit(points, n_neighbors=20).dimension_)


def test_the_maximum_likelihood_estimate_by_hand():
    """Levina and Bickel: at each point, 19 over the sum of the logarithms of the farthest over each of 20 neighbours;
    the mean of the inverses, inverted."""
    points = plane(np.random.default_rng(1), 4, 60)
    distances = np.sort(np.linalg.norm(points[:, None] - points, axis=-1), axis=1)[:, 1:21]
    inverses = np.log(distances[:, -1:] / distances).sum(axis=1) / 19
    assert intrinsic_dimension(points, "mle") == pytest.approx(1 / inverses.mean())


def test_the_spectrum_is_that_of_the_covariance():
    rng = np.random.default_rng(2)
    points = rng.normal(size=(80, 12)) * np.arange(1, 13)
    expected = np.sort(np.linalg.eigvalsh(np.cov(points.T)))[::-1]
    np.testing.assert_allclose(spectrum(points, 5), expected[:5])
    np.testing.assert_allclose(spectrum(points + 100, 5), expected[:5])


def test_the_contrast_by_hand():
    stripes = np.tile([0.0, 0.5], (8, 4))  # 32 levels apart: across and along both diagonals, not downwards
    assert texture(stripes[None]) == pytest.approx([32**2 * 3 / 4])
    assert texture(np.full((1, 8, 8), 0.3)) == pytest.approx([0])
    noise = np.random.default_rng(3).integers(0, 64, (1, 64, 64)) / 64
    assert texture(noise) == pytest.approx([2 * np.var(np.arange(64))], rel=0.05)
    assert texture(np.ones((1, 4, 4))) == pytest.approx([0])  # the brightest level is the last


def test_high_frequencies_by_hand():
    across = np.arange(16)
    waves = [np.tile(np.cos(2 * np.pi * cycles * across / 16), (16, 1)) for cycles in (1, 3, 4, 5, 8)]
    assert high_frequencies(np.array(waves)) == pytest.approx([0, 0, 0, 1, 1], abs=1e-12)
    assert high_frequencies((waves[0] + 2 * waves[3])[None] + 7) == pytest.approx([4 / 5])
    assert high_frequencies(np.ones((1, 16, 16))) == pytest.approx([0])
    # Of white noise, the share of frequencies above the cut: all but a disc of that radius.
    noise = np.random.default_rng(4).normal(size=(200, 32, 32))
    assert high_frequencies(noise).mean() == pytest.approx(1 - np.pi * 0.25**2, abs=0.02)


def test_grey_images():
    images = np.random.default_rng(5).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    np.testing.assert_allclose(grey(images, RGB), rgb2gray(images))
    np.testing.assert_allclose(grey(images[..., :1], RGB), images[..., 0] / 255)
    np.testing.assert_allclose(grey(images.astype(np.uint16) * 257, RGB), rgb2gray(images))  # 16 bits
    # A dark camera's, each channel by its own white; what is brighter is white, too.
    dark = np.minimum(images.astype(np.uint16) * np.array([1, 2, 4], dtype=np.uint16), 900)
    white = np.array([255, 510, 900]) / 65535
    by_hand = np.stack([images[..., 0], images[..., 1], np.minimum(images[..., 2] * (255 * 4 / 900), 255)], axis=-1)
    np.testing.assert_allclose(grey(dark, RGB, white), rgb2gray(by_hand / 255))


def test_of_other_channels_each_is_a_grey_image_or_has_the_colour_that_it_is_mapped_to():
    images = np.random.default_rng(5).integers(0, 256, (2, 4, 5, 2), dtype=np.uint8)
    alone = [[[1, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 1]]]
    np.testing.assert_allclose(grey(images, alone), np.concatenate([images[..., 0], images[..., 1]]) / 255)
    mapped = [[[0, 1, 0], [0, 0, 1]]]
    blank = np.zeros_like(images[..., 0])
    np.testing.assert_allclose(grey(images, mapped), rgb2gray(np.stack([blank, *np.moveaxis(images, -1, 0)], axis=-1)))


def made_up(rng, classes: int = 2, n: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, images and labels of classes whose dimension and roughness rise."""
    labels = rng.permutation(np.repeat(np.arange(classes), n))
    features, images = np.empty((len(labels), 16)), np.empty((len(labels), 8, 8, 3), dtype=np.uint8)
    for label in range(classes):
        features[labels == label] = plane(rng, 2 + 3 * label, n, 16)
        images[labels == label] = 100 + rng.integers(0, 20 + 100 * label, (n, 8, 8, 3))
    return features, images, labels


def test_all_properties_of_every_class():
    features, images, labels = made_up(np.random.default_rng(6))
    found = properties(features, images, labels, ["sky", "grass"], RGB, leading=5)
    assert len(found) == 2 * (3 + 5)
    of = found.pivot_table(index="class", columns="metric", values="value", aggfunc="first")
    for metric in ("intrinsic_dimension", "texture"):
        assert of.loc["grass", metric] > of.loc["sky", metric]
    grass = labels == 1
    eigenvalues = found.query("metric == 'eigenvalue' and `class` == 'grass'")
    assert eigenvalues["component"].tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(eigenvalues["value"], spectrum(features[grass], 5))
    assert of.loc["grass", "high_frequencies"] == pytest.approx(high_frequencies(grey(images[grass], RGB)).mean())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, i, y: (np.where(np.arange(80)[:, None] == 3, np.nan, f), i, y), "1 of 80 embeddings hold NaN"),
        (lambda f, i, y: (f[y == 0], i[y == 0], y[y == 0]), "class 'grass': 0 different features are too few"),
        (lambda f, i, y: (np.where(y[:, None] == 1, 1.0, f), i, y), "class 'grass': 1 different features are too few"),
        (lambda f, i, y: (f[:, :4], i, y), "class 'sky': 40 images with 4 features have no 5 eigenvalues"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(change, message):
    with pytest.raises(UserError, match=message):
        properties(*change(*made_up(np.random.default_rng(7))), ["sky", "grass"], RGB, leading=5)
