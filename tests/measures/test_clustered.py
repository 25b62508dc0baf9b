"""The measures of clusters, by the registry that their rule takes them from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phenoviews.errors import NotMeasured
from phenoviews.measures.clustered import CLUSTERED
from phenoviews.study.metrics import METRICS, measured
from phenoviews.values import checked


@pytest.fixture
def clustered() -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Of eight images, bars of one to four pixels' width, the last six are clustered, in another order."""
    images = np.zeros((8, 16, 16, 1), np.uint8)
    for row in range(8):
        images[row, 4 : 5 + row // 2, 2:14] = 255
    index = pd.DataFrame({"Metadata_Phenotype": ["", "", *"aabbcc"]})
    rows = np.array([7, 6, 5, 4, 3, 2])
    points = pd.DataFrame({"row": rows, "cluster": rows // 2, "label": rows % 2, "distance": 0.0})
    return points, index, images


@pytest.mark.parametrize("name", CLUSTERED)
def test_a_measure_has_the_metrics_that_the_study_tells(name, clustered):
    values = CLUSTERED[name](*clustered)
    assert checked(values).equals(values)
    assert set(values["metric"]) == set(measured(name))
    assert all(METRICS[metric].dimensions == ("k",) for metric in values["metric"])


def test_images_and_phenotypes_are_those_of_the_points(clustered):
    points, index, images = clustered
    found = CLUSTERED["strokes"](points, index, images).set_index("metric")["value"]
    assert found["thickness_by_cluster"] == pytest.approx(1)
    assert found["thickness_by_class"] == pytest.approx(0, abs=1e-6)
    found = CLUSTERED["phenotypes"](points, index, images).set_index("metric")["value"]
    assert found.to_dict() == {"phenotype_purity": 1, "phenotype_purity_by_class": pytest.approx(1 / 3)}
    with pytest.raises(NotMeasured, match="phenotypes of these cells are not known"):
        CLUSTERED["phenotypes"](points, index.drop(columns="Metadata_Phenotype"), images)
