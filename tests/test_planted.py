"""docs/planted.py: what must, may and must not hurt each planted difference, from pixels."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phenoviews.data.readers.planted import PAIRS, draw

ROOT = Path(__file__).parents[1]
# Of each pair an operation that is made to destroy it.
DESTROYS = {
    "orientation": "rotation", "handedness": "flip", "colour": "hue", "brightness": "brightness", "size": "scale",
    "position": "crop", "texture_scale": "blur", "texture_contrast": "contrast", "polarity": "invert",
    "mark": "centre crop",
}  # fmt: skip


@pytest.fixture(scope="module")
def planted():
    spec = importlib.util.spec_from_file_location("planted_page", ROOT / "docs" / "planted.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def found(planted):
    return planted.matrix()


def test_each_pair_is_told_untouched_and_destroyed_by_its_operation(planted, found):
    for name in PAIRS:
        assert found[name][""] > 0.95, name
        assert planted.judged(found[name][DESTROYS[name]]) == "must", name


def test_most_operations_must_not_hurt_most_pairs(planted, found):
    harmless = [planted.judged(of[key]) == "must not" for of in found.values() for key in planted.OPERATIONS]
    assert np.mean(harmless) > 0.7


def test_the_page_has_the_table(planted, found):
    assert planted.markdown(found) in (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")


def test_a_ruler_of_nothing_tells_nothing(planted):
    way = np.tile([-1, 1], 100)
    images = draw("size", way, np.random.default_rng(0))
    assert planted.told(images, way, lambda images: np.random.default_rng(1).normal(size=len(images))) < 0.65


def test_what_an_audit_found_is_scored_against_the_truth(planted):
    truth = {"mark": {"crop": 0.5, "hue": 1.0}, "colour": {"crop": 1.0, "hue": 0.5}}
    rows = [("mark", "crop", "loses"), ("mark", "hue", "loses"), ("colour", "crop", "gains"), ("colour", "hue", "")]
    table = pd.DataFrame(rows, columns=["outcome", "setting", "verdict"]).assign(against="none")
    said = planted.scored(table, truth)
    assert said.startswith("1 of 2 pairs found, 1 false alarm(s) among 2; of operations and pairs 1 of 2 (recall 0.50")
    assert said.endswith("false: mark by hue\nmissed: colour by hue")
