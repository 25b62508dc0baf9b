"""How pure clusters are in the phenotypes of their cells, where these are known (*No Free Lunch*, figures 2 and 10)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics.cluster import contingency_matrix

from phenoviews.errors import NotMeasured
from phenoviews.values import table


def phenotypes(clusters: npt.NDArray[Any], labels: npt.NDArray[Any], truth: npt.NDArray[np.object_]) -> pd.DataFrame:
    """The purity of clusters, and that of classes, in phenotypes.

    To know which cells are treated tells a part of their phenotypes: what classes tell is what to compare with.

    Args:
        clusters: (n,), the cluster of each cell.
        labels: (n,), its class: treated, untreated.
        truth: (n,) text, its phenotype; "" where it is not known, and then the cell does not count.

    Returns:
        Values: phenotype_purity of the clusters and phenotype_purity_by_class, in [0, 1].

    Raises:
        NotMeasured: no phenotype is known.
    """
    known = np.asarray(truth) != ""
    if not known.any():
        raise NotMeasured("the phenotypes of these cells are not known")
    by = {"phenotype_purity": clusters, "phenotype_purity_by_class": labels}
    return table({"metric": name, "value": purity(truth[known], groups[known])} for name, groups in by.items())


def purity(truth: npt.NDArray[Any], groups: npt.NDArray[Any]) -> float:
    """The share in (0, 1] of points that belong to the commonest class of their group; both (n,), n > 0."""
    return float(contingency_matrix(truth, groups).max(axis=0).sum() / len(truth))
