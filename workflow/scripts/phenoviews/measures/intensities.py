"""What is known of an image's class from its intensities alone, without regard to where in the image they are."""

from __future__ import annotations

import numpy as np
import pandas as pd

MOST = 4000  # images of a split: more are drawn from
QUANTILES = np.linspace(0, 1, 9)


def intensity_features(images: np.ndarray) -> np.ndarray:
    """Mean, standard deviation and nine quantiles of each channel of (n, H, W, C) images: (n, 11 C)."""
    flat = images.reshape(len(images), -1, images.shape[-1]).astype(np.float64)
    quantiles = np.quantile(flat, QUANTILES, axis=1).transpose(1, 0, 2)
    return np.concatenate([flat.mean(axis=1), flat.std(axis=1), quantiles.reshape(len(images), -1)], axis=1)


def intensity_accuracy(images: np.ndarray, index: pd.DataFrame) -> float:
    """The accuracy, in percent, of a linear classifier on these, of test images (up to `MOST`).

    `images`: (N, H, W, C), a memory map; `index`: of them, with split and label.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found = {}
    for split in ("train", "test"):
        rows = np.flatnonzero(index["split"] == split)
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST])
        found[split] = (intensity_features(images[rows]), index["label"].to_numpy()[rows])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return 100 * float(classifier.fit(*found["train"]).score(*found["test"]))
