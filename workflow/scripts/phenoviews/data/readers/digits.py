"""scikit-learn's handwritten digits: 1,797 real images of 8 × 8 pixels that come with the package; no network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from phenoviews.data.images import write
from phenoviews.data.split import stratified


def prepare(dataset: Mapping[str, Any], downloads: Mapping[str, Path], images: Path, index: Path) -> None:
    """Grey values 0–16 become uint8 0–255; the split is stratified, by `test_fraction` (0.3) and `split_seed` (0)."""
    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    classes = [str(name) for name in digits.target_names]
    split = stratified(
        digits.target,
        classes,
        test_fraction=dataset.get("test_fraction", 0.3),
        val_fraction=0.0,
        seed=dataset.get("split_seed", 0),
    )
    table = pd.DataFrame(
        {
            "split": split,
            "label": digits.target.astype(np.int64),
            "class": [classes[label] for label in digits.target],
            "source": [f"sklearn.datasets.load_digits[{row}]" for row in range(len(pixels))],
        }
    )
    write(images, index, pixels, table)
