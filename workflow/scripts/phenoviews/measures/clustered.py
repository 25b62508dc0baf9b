"""The measures that need the clusters of images, what the images are, and perhaps the images themselves.

A measure joins by a line here, and one for each of its metrics in `study.metrics`, with the dimension k.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from phenoviews.measures.purity import phenotypes
from phenoviews.measures.stroke import strokes

PHENOTYPE = "Metadata_Phenotype"

# (points, as from `clusters.clusters`; the index of the data set; all of its images, a memory map) → values
Measure = Callable[[pd.DataFrame, pd.DataFrame, np.ndarray], pd.DataFrame]

CLUSTERED: dict[str, Measure] = {
    "phenotypes": lambda points, index, images: phenotypes(
        points["cluster"].to_numpy(), points["label"].to_numpy(), _phenotypes(points, index)
    ),
    "strokes": lambda points, index, images: strokes(
        images[points["row"].to_numpy()], points["cluster"].to_numpy(), points["label"].to_numpy()
    ),
}


def _phenotypes(points: pd.DataFrame, index: pd.DataFrame) -> np.ndarray:
    """The true phenotype of each point; "" where the data set knows none."""
    known = index[PHENOTYPE] if PHENOTYPE in index else pd.Series("", index.index)
    return known.loc[points["row"]].to_numpy(object)
