"""The measures of embeddings, by the registry that their rule takes them from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phenoviews.measures.embedded import EMBEDDED
from phenoviews.study import Study
from phenoviews.study.document import shipped
from phenoviews.study.metrics import METRICS, measured
from phenoviews.values import checked, dimensions


@pytest.fixture(scope="module")
def settings() -> dict:
    """What config.yaml says of measures, with the schema's defaults."""
    return Study(shipped()).config["measures"]


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_measure_has_the_metrics_and_the_dimensions_that_the_study_tells(name, settings):
    index = pd.DataFrame(
        {
            "Metadata_Concentration": np.repeat([0.0, 0.3, 3.0], 20),
            "label": np.repeat([0, 1, 1], 20),
            "class": np.repeat(["DMSO", "taxol", "taxol"], 20),
            "Metadata_Plate": "P1",
            "Metadata_Well": np.repeat(["B02", "B03", "C02"], 20),
        }
    )
    embeddings = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    values = EMBEDDED[name](embeddings, index, 5, settings.get(name, {}))
    assert checked(values).equals(values)
    assert set(values["metric"]) == set(measured(name))
    for metric, of in values.groupby("metric"):
        assert {key for key in dimensions(of) if of[key].notna().all()} == set(METRICS[metric].dimensions)
