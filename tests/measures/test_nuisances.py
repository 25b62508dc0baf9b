"""What embeddings tell of plates and classes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phenoviews.errors import NotMeasured
from phenoviews.measures.nuisances import neighbours, nuisances, voted


def images(told: str, wells: int = 8, each: int = 30) -> tuple[np.ndarray, pd.DataFrame]:
    """Cells of two plates, of which each well has one of two classes; embeddings that tell one thing."""
    rng = np.random.default_rng(0)
    plate = np.repeat([0, 1], wells * each)
    well = np.tile(np.repeat(np.arange(wells), each), 2)
    label = well % 2
    place = {"plate": plate, "class": label, "well": plate * wells + well, "nothing": 0 * plate}[told]
    table = pd.DataFrame({
        "class": np.array(["DMSO", "taxol"])[label], "Metadata_Plate": np.array(["P1", "P2"])[plate],
        "Metadata_Well": [f"{'BC'[one // 4]}{one % 4 + 1:02d}" for one in well], "Metadata_Batch": "Week1",
    })  # fmt: skip
    centres = rng.normal(0, 5, (place.max() + 1, 6))
    return (centres[place] + rng.normal(size=(len(place), 6))).astype(np.float32), table


def value(told: str) -> pd.Series:
    return nuisances(*images(told), seed=1).set_index("nuisance")["value"]


def test_what_is_there_is_told_and_what_is_not_is_at_chance():
    assert value("plate")["plate"] == pytest.approx(100)
    assert value("plate")["class"] < 15  # of wells without one's own fewer are of one's class: below chance
    assert value("class")["class"] == pytest.approx(100)
    assert value("class")["plate"] < 15
    assert value("nothing").dropna().max() < 15


def test_neighbours_in_ones_own_well_tell_nothing():
    """Embeddings that tell each well apart: without leaving its own out, all would be told of it."""
    found = value("well")
    assert found["plate"] < 60


def test_one_week_has_a_reason():
    found = nuisances(*images("class"), seed=1).set_index("nuisance")
    assert found.loc["week", "reason"] == "all images have one week"
    assert {"row", "column"} <= set(found.index)


def test_images_without_wells_are_not_measured():
    embeddings, table = images("class")
    with pytest.raises(NotMeasured, match="Metadata_Well"):
        nuisances(embeddings, table.drop(columns="Metadata_Well"), 0)
    with pytest.raises(NotMeasured, match="one well"):
        nuisances(embeddings[:30], table[:30], 0)


def test_neighbours_and_votes_by_hand():
    points = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], dtype=np.float32)
    near = neighbours(points, np.array([0, 1, 2, 3]), 2)
    assert near[:, 0].tolist() == [1, 0, 3, 2]
    near = neighbours(points, np.array([0, 0, 0, 1]), 2)
    assert near.tolist() == [[3, -1], [3, -1], [3, -1], [2, 1]]
    assert voted(np.array([1, 1, 0, 0]), np.array([[1, 2], [0, -1], [3, -1], [2, -1]]), 2).tolist() == [0, 1, 0, 0]
