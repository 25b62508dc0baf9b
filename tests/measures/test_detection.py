from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from phenoviews.measures.detection import of_fields, pairs, score


def test_as_many_pairs_as_can_be_though_nearer_ones_are_given_up():
    # The nearest pair, 1 and 0, would leave the others alone.
    found, truth = np.array([[0.0, 0.0], [4.0, 0.0]]), np.array([[3.0, 0.0], [8.0, 0.0]])
    assert pairs(found, truth, 5).tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize("seed", range(5))
def test_pairs_are_those_of_trying_all(seed):
    rng = np.random.default_rng(seed)
    found, truth, radius = rng.uniform(0, 10, (5, 2)), rng.uniform(0, 10, (5, 2)), 3.0
    distance = np.linalg.norm(found[:, None] - truth, axis=2)
    tried = []
    for order in permutations(range(5)):
        near = [distance[i, j] for i, j in enumerate(order) if distance[i, j] <= radius]
        tried.append((-len(near), sum(near)))
    count, cost = min(tried)
    matched = pairs(found, truth, radius)
    assert len(matched) == -count
    assert distance[tuple(matched.T)].sum() == pytest.approx(cost)
    assert len(set(matched[:, 0])) == len(set(matched[:, 1])) == len(matched)


def test_scores_are_those_of_their_definitions():
    truth = np.array([[10.0, 10.0], [30.0, 10.0], [50.0, 10.0], [70.0, 10.0]])
    found = np.array([[12.0, 10.0], [30.0, 15.0], [31.0, 10.0]])  # the second and the third want the same
    numbers = score(found, truth, 5)
    assert numbers == {"found": 3, "true": 4, "matched": 2, "precision": 2 / 3, "recall": 0.5, "f1": 4 / 7}
    assert score(truth, truth, 0)["f1"] == 1
    nothing = np.empty((0, 2))
    assert score(nothing, nothing, 5)["f1"] == 1
    assert score(nothing, truth, 5) | {"found": 0, "matched": 0, "recall": 0, "f1": 0} == score(nothing, truth, 5)


def test_a_field_that_one_table_lacks_counts():
    truth = pd.DataFrame({"Metadata_Field": ["a", "a", "b"], "x": [0.0, 9, 0], "y": [0.0, 0, 0]})
    found = pd.DataFrame({"Metadata_Field": ["a", "c"], "x": [0.0, 0], "y": [1.0, 0]})
    numbers = of_fields(found, truth, 2)
    assert (numbers["found"], numbers["true"], numbers["matched"]) == (2, 3, 1)
