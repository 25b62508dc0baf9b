"""The measures that need embeddings and what the images are, and nothing else.

A measure joins by a line here, and one for each of its metrics in `study.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.measures.doses import doses
from phenoviews.measures.nuisances import nuisances
from phenoviews.measures.rankme import rankme
from phenoviews.measures.uniformity import uniformity

# (embeddings (n, d), the index of their images, the run's seed, the measure's settings) → values
Measure = Callable[[np.ndarray, pd.DataFrame, int, Mapping[str, Any]], pd.DataFrame]

EMBEDDED: dict[str, Measure] = {
    "doses": lambda embeddings, index, seed, settings: doses(
        embeddings, index["Metadata_Concentration"].to_numpy(), seed, settings["seed"], settings["n_init"]
    ),
    "nuisances": lambda embeddings, index, seed, settings: nuisances(embeddings, index, seed),
    "rankme": lambda embeddings, index, seed, settings: rankme(embeddings),
    "uniformity": lambda embeddings, index, seed, settings: uniformity(embeddings, seed),
}
