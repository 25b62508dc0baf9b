from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import classification_report, roc_auc_score

from phenoviews.errors import UserError
from phenoviews.measures.probe import probe_scores, write_predictions

NAMES = ["cat", "dog", "fox"]


def test_by_hand():
    found = probe_scores(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 0]), NAMES)
    assert set(found["split"]) == {"test"}
    found = found[found["value"].notna()].set_index(["metric", "class"])
    assert found.loc[("top1", ""), ["value", "correct", "of"]].tolist() == [pytest.approx(100 * 4 / 6), 4, 6]
    # cat: precision 2/3, recall 2/3; dog: precision 2/3, recall 1; fox: never predicted
    values = found["value"].drop(("top1", "")).unstack("class")
    assert values.loc["accuracy"].to_dict() == pytest.approx({"cat": 200 / 3, "dog": 100, "fox": 0})
    assert values.loc["f1"].to_dict() == pytest.approx({"cat": 200 / 3, "dog": 80, "fox": 0})
    assert found.loc[("accuracy", "cat"), ["correct", "of"]].tolist() == [2, 3]
    assert found.loc[("f1", "cat"), ["correct", "of"]].isna().all()


def test_agrees_with_the_classification_report():
    random = np.random.default_rng(0)
    labels, predictions = random.integers(3, size=(2, 200))
    found = probe_scores(labels, predictions, NAMES).set_index(["metric", "class"])["value"]
    report = classification_report(labels, predictions, target_names=NAMES, output_dict=True)
    assert found["top1", ""] == pytest.approx(100 * report["accuracy"])
    for name in NAMES:
        assert found["accuracy", name] == pytest.approx(100 * report[name]["recall"])
        assert found["f1", name] == pytest.approx(100 * report[name]["f1-score"])


def test_a_class_without_images_has_no_accuracy_and_says_so():
    found = probe_scores(np.array([0, 1]), np.array([0, 2]), NAMES).set_index(["class", "metric"])
    assert found.loc["fox", "value"].isna().all()
    assert set(found.loc["fox", "reason"]) == {"no test image is of it"}
    assert found.loc[("dog", "f1"), "value"] == 0


def test_auroc_is_scikit_learns():
    random = np.random.default_rng(1)
    labels, scores = random.integers(3, size=200), random.normal(size=(200, 3))
    found = probe_scores(labels, scores.argmax(axis=1), NAMES, scores).set_index(["metric", "class"])["value"]
    for label, name in enumerate(NAMES):
        assert found["auroc", name] == pytest.approx(roc_auc_score(labels == label, scores[:, label]))


def test_superclasses_by_both_readings():
    """Of pets one dog in two and one cat in one are recognised; the other dog is taken for a cat, a pet still."""
    labels, predictions = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0])
    found = probe_scores(labels, predictions, NAMES, superclasses=["pet", "pet", "wild"])
    found = found.set_index(["metric", "superclass"])["value"]
    assert (found["superclass_accuracy", "pet"], found["superclass_accuracy", "wild"]) == (75, 0)
    assert (found["superclass_recognised", "pet"], found["superclass_recognised", "wild"]) == (100, 0)


def test_what_has_no_superclasses_or_no_images_of_one_says_so():
    without = probe_scores(np.array([0, 1, 2]), np.array([0, 1, 2]), NAMES).set_index("metric")
    assert without.loc["superclass_accuracy", "reason"] == "the classes have no superclasses"
    empty = probe_scores(np.array([0, 1]), np.array([0, 1]), NAMES, superclasses=["pet", "pet", "wild"])
    empty = empty.set_index(["metric", "superclass"])
    assert empty.loc[("superclass_accuracy", "wild"), "reason"] == "no test image is of a class in it"


def test_a_prediction_per_image():
    with pytest.raises(UserError, match="2 predictions for 3 test images"):
        probe_scores(np.zeros(3, int), np.zeros(2, int), NAMES)
    with pytest.raises(UserError, match="0 predictions for 0 test images"):
        probe_scores(np.zeros(0, int), np.zeros(0, int), NAMES)


@pytest.mark.parametrize(("classes", "dtype"), [(10, np.uint8), (256, np.uint8), (257, np.uint16)])
def test_predictions_are_kept_in_the_fewest_bytes_that_tell_them_apart(tmp_path, classes, dtype):
    predictions = np.arange(classes)
    write_predictions(tmp_path / "run" / "probe.npy", predictions, classes)
    found = np.load(tmp_path / "run" / "probe.npy", allow_pickle=False)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, predictions)
