from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import classification_report

from phenoviews.errors import UserError
from phenoviews.measures.probe import probe_scores

NAMES = ["cat", "dog", "fox"]


def test_by_hand():
    found = probe_scores(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 0]), NAMES)
    assert found["top1"] == pytest.approx(100 * 4 / 6)
    assert found["n"] == 6
    # cat: precision 2/3, recall 2/3; dog: precision 2/3, recall 1; fox: never predicted
    assert found["per_class"]["cat"] == pytest.approx({"accuracy": 200 / 3, "f1": 200 / 3})
    assert found["per_class"]["dog"] == pytest.approx({"accuracy": 100.0, "f1": 80.0})
    assert found["per_class"]["fox"] == {"accuracy": 0.0, "f1": 0.0}


def test_agrees_with_the_classification_report():
    random = np.random.default_rng(0)
    labels, predictions = random.integers(3, size=(2, 200))
    found = probe_scores(labels, predictions, NAMES)
    report = classification_report(labels, predictions, target_names=NAMES, output_dict=True)
    assert found["top1"] == pytest.approx(100 * report["accuracy"])
    for name in NAMES:
        assert found["per_class"][name]["accuracy"] == pytest.approx(100 * report[name]["recall"])
        assert found["per_class"][name]["f1"] == pytest.approx(100 * report[name]["f1-score"])


def test_a_class_without_images_has_no_accuracy():
    found = probe_scores(np.array([0, 1]), np.array([0, 2]), NAMES)
    assert found["per_class"]["fox"] == {"accuracy": None, "f1": None}
    json.dumps(found, allow_nan=False)


def test_a_prediction_per_image():
    with pytest.raises(UserError, match="2 predictions for 3 test images"):
        probe_scores(np.zeros(3, int), np.zeros(2, int), NAMES)
    with pytest.raises(UserError, match="0 predictions for 0 test images"):
        probe_scores(np.zeros(0, int), np.zeros(0, int), NAMES)
