"""Where there is nothing to be found, an audit of real embeddings recommends nothing: real images through networks of
random weights, whose neighbours are counted as an audit counts predictions."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, rotate
from sklearn.datasets import load_digits

from phenoviews.measures.nuisances import neighbours, voted
from phenoviews.panels import audit
from phenoviews.panels.audit import BETTER, CANNOT, WORSE, Judged

IMAGES, SEEDS, DRAWS, MOST = 500, 4, 200, 18
# What networks see of the digits under each setting: real settings, that tell real labels better and worse.
SEEN = {
    "mine": lambda images: images,
    "mine+random_rotation=off": lambda images: rotate(images, 60, axes=(1, 2), reshape=False, order=1),
    "mine+degrees=15.0": lambda images: rotate(images, 15, axes=(1, 2), reshape=False, order=1),
    "mine+hue=0.0": lambda images: gaussian_filter(images, (0, 1.5, 1.5)),
    "mine+random_horizontal_flip=off": lambda images: images[:, :, ::-1] + images,
    "mine+brightness=0.0": lambda images: np.clip(images, 6, 10),
}
ENTRY = [
    {"random_rotation": {"degrees": 30}},
    {"color_jitter": {"brightness": 0.4, "contrast": 0.0, "saturation": 0.0, "hue": 0.2, "p": 0.8}},
    {"random_horizontal_flip": {"p": 0.5}},
    {"normalize": {}},
]
LEVELS = {
    "random_rotation": {0.0: "random_rotation=off", 0.5: "degrees=15.0"},
    "color_jitter.brightness": {0.0: "brightness=0.0"},
    "color_jitter.hue": {0.0: "hue=0.0"},
    "random_horizontal_flip": {0.0: "random_horizontal_flip=off"},
}
DESIGN = {
    "declared": {"keep": []},
    "parts": [
        {"name": name, "operation": name.partition(".")[0], "strength": 1, "levels": levels}
        for name, levels in LEVELS.items()
    ],
}
RUNS = [{"transform": name, "method": "simclr", "seed": seed} for name in SEEN for seed in range(SEEDS)]


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    chosen = np.random.default_rng(0).permutation(len(found.target))[:IMAGES]
    return found.images[chosen], found.target[chosen]


def near(images: np.ndarray, seed: int) -> np.ndarray:
    """The neighbours (n, 9) of images by the embeddings of a network of two layers with random weights."""
    rng = np.random.default_rng([1, seed])
    found = images.reshape(len(images), -1) - images.mean()
    for width in (64, 16):
        found = np.maximum(found @ rng.normal(0, found.shape[1] ** -0.5, (found.shape[1], width)), 0)
    return neighbours(found, np.arange(len(found)), 9)


def judged(its_near: list[np.ndarray], labels: np.ndarray) -> tuple[Judged, audit.Recommendation]:
    classes = [str(digit) for digit in range(10)]
    rows = [
        {"predictions": voted(labels, one, 10), "labels": labels, "classes": classes, "superclasses": None}
        for one in its_near
    ]
    found = Judged(audit.scores_of_labels(RUNS, rows, "choosing"), margin=2.0)
    return found, audit.recommended(found, DESIGN, "mine", ENTRY)


@pytest.fixture(scope="module")
def of_settings() -> list[np.ndarray]:
    return [near(SEEN[run["transform"]](digits()[0]), run["seed"]) for run in RUNS]


def test_real_labels_have_effects(of_settings):
    found, _ = judged(of_settings, digits()[1])
    assert WORSE in found.verdicts


def test_shuffled_labels_recommend_nothing_and_it_says_that_it_cannot_tell(of_settings):
    """Of recommendations alone: all seeds see the same images under the same shuffled labels, on which settings differ
    a little by chance, so that something is shown more often than between seeds of one set."""
    rng = np.random.default_rng(2)
    recommended, told = 0, []
    for _ in range(DRAWS):
        found, recommendation = judged(of_settings, rng.permutation(digits()[1]))
        recommended += bool(recommendation.overrides)
        told.append(found.verdicts[1:].count(CANNOT) / (len(SEEN) - 1))
    assert recommended <= MOST
    assert np.mean(told) > 0.9


def test_a_set_against_itself_with_other_seeds_shows_nothing():
    """A/A: every setting is the set itself, each with seeds of its own; who is whose is drawn anew each time."""
    rng = np.random.default_rng(3)
    pool = [near(digits()[0], 100 + seed) for seed in range(2 * len(RUNS))]
    recommended = shown = 0
    for _ in range(DRAWS):
        found, recommendation = judged([pool[at] for at in rng.permutation(len(pool))[: len(RUNS)]], digits()[1])
        recommended += bool(recommendation.overrides)
        shown += BETTER in found.verdicts or WORSE in found.verdicts or bool(found.ways.any())
    assert recommended <= MOST
    assert shown <= MOST
