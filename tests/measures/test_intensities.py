"""What intensities alone tell of a class."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phenoviews.measures.intensities import intensity_accuracy, intensity_features


def test_features_are_mean_deviation_and_quantiles_of_each_channel():
    image = np.arange(2 * 2 * 2, dtype=np.uint8).reshape(1, 2, 2, 2)  # channels 0, 2, 4, 6 and 1, 3, 5, 7
    found = intensity_features(image)[0]
    assert found[:2].tolist() == [3, 4]
    assert found[2:4] == pytest.approx(np.std([0, 2, 4, 6]))
    assert found[4:6].tolist() == [0, 1]
    assert found[-2:].tolist() == [6, 7]
    assert len(found) == 22


def test_brightness_is_told_and_where_it_lies_is_not():
    rng = np.random.default_rng(0)
    label = np.tile([0, 1], 100)
    table = pd.DataFrame({"label": label, "split": np.repeat(["train", "test"], 100)})
    images = rng.integers(0, 100, (200, 8, 8, 1)).astype(np.uint8)
    brighter = images + (60 * label[:, None, None, None]).astype(np.uint8)
    assert intensity_accuracy(brighter, table) == 100
    moved = np.sort(images.reshape(200, -1), axis=1)
    moved[label == 1] = moved[label == 1][:, ::-1]
    assert 30 < intensity_accuracy(moved.reshape(200, 8, 8, 1), table) < 70
