from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from phenoviews.errors import UserError
from phenoviews.measures.clusters import clusters
from phenoviews.measures.doses import FEWEST, by_chance, doses
from phenoviews.study.metrics import measured

COUNTS = {0.0: 300, 0.1: 60, 1.0: 40, 3.0: 90}


@pytest.fixture(scope="module")
def screen():
    """Cells that move away from the untreated ones as the dose rises: not at all at 0.1 µM, far at 3 µM."""
    rng = np.random.default_rng(0)
    concentrations = rng.permutation(np.repeat(list(COUNTS), list(COUNTS.values())))
    shift = np.select([concentrations == 1.0, concentrations == 3.0], [2.0, 8.0], 0.0)
    return (rng.normal(size=(len(shift), 8)) + shift[:, None] * np.eye(8)[0]).astype(np.float32), concentrations


def found(*arguments, **options) -> pd.DataFrame:
    """The metrics of `doses` side by side, a row per concentration."""
    return doses(*arguments, **options).pivot(index=["concentration", "dose"], columns="metric", values="value")


def test_the_dose_is_seen_where_it_acts_and_shuffled_labels_nowhere(screen):
    numbers = found(*screen, seed=5)
    assert sorted(numbers.columns) == sorted(measured("doses"))
    assert numbers.index.tolist() == [(0.1, 3), (1.0, 2), (3.0, 1)]
    assert set(numbers["cells"]) == {40}  # of the rarest concentration
    ami = numbers["ami_treated"].tolist()
    assert abs(ami[0]) < 0.1
    assert ami[0] < ami[1] < ami[2]
    assert ami[2] > 0.95
    assert (numbers["ami_random_labels"].abs() < 0.1).all()


def test_shuffled_labels_are_zero_on_average(screen):
    values = [value for seed in range(20) for value in found(*screen, seed=seed, n_init=1)["ami_random_labels"]]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values)) + 1e-3


def test_all_cells_where_every_class_has_as_many():
    """Nothing is drawn then: the AMI is that of `clusters` on everything, normalised by the larger entropy."""
    rng = np.random.default_rng(1)
    x, concentrations = rng.normal(size=(80, 4)), np.repeat([0.0, 2.0], 40)
    x[40:, 0] += 1.5
    entry = found(x, concentrations, seed=9).iloc[0]
    _, table = clusters(x, (concentrations > 0).astype(int), np.arange(80), k=2)
    expected = adjusted_mutual_info_score(concentrations > 0, table["cluster"], average_method="max")
    assert entry["ami_treated"] == pytest.approx(expected)
    assert entry["cells"] == 40


def test_the_seed_draws_the_cells_the_same_for_every_encoder(screen):
    x, concentrations = screen
    values = doses(x, concentrations, seed=5)
    assert values.equals(doses(x, concentrations, seed=5))
    assert not values.equals(doses(x, concentrations, seed=6))
    # An encoder that only turns and scales the space has the same clusters of the same cells.
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(8, 8)))[0] * 3
    turned = doses(x @ turn, concentrations, seed=5)
    np.testing.assert_allclose(turned["value"], values["value"], atol=0.05)
    assert values.equals(doses(x * 2, concentrations, seed=5))


@pytest.mark.parametrize(
    ("concentrations", "message"),
    [
        (np.repeat([0.0, 1.0, 3.0], [20, 20, FEWEST - 1]), "9 cells at 3 µM are too few"),
        (np.repeat([0.0, 1.0], [3, 46]), "3 cells untreated are too few"),
        (np.full(49, 1.0), "needs untreated cells"),
        (np.zeros(49), "and treated ones"),
        (np.where(np.arange(49) == 7, np.nan, 0.5), "not finite"),
        (np.where(np.arange(49) == 7, -1, 0.5), "negative"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(concentrations, message):
    with pytest.raises(UserError, match=message) as error:
        doses(np.random.default_rng(0).normal(size=(49, 3)), concentrations, seed=5)
    assert "\n" not in str(error.value)


def test_a_broken_embedding_is_refused():
    x = np.random.default_rng(0).normal(size=(49, 3))
    x[3, 1] = np.nan
    with pytest.raises(UserError, match="1 of 49 embeddings hold NaN"):
        doses(x, np.repeat([0.0, 1.0], [20, 29]), seed=5)


def test_by_chance_is_what_shuffled_labels_seldom_exceed():
    rng = np.random.default_rng(0)
    for n, second in ((40, 30), (25, 25), (60, 7)):
        assigned = np.repeat([0, 1], [2 * n - second, second])
        most = by_chance(assigned, n)
        labels = np.repeat([0, 1], n)
        shuffled = [
            adjusted_mutual_info_score(rng.permutation(labels), assigned, average_method="max") for _ in range(1000)
        ]
        assert np.mean(np.array(shuffled) > most + 1e-9) <= 0.05 + 0.02
        # It is one of the values that occur, and no larger than it must be.
        assert np.isclose(shuffled, most).any()
        assert np.mean(np.array(shuffled) >= most - 1e-9) > 0.05 - 0.02


def test_one_cluster_alone_agrees_with_nothing():
    assert by_chance(np.zeros(40, dtype=int), 20) == pytest.approx(0.0, abs=1e-9)
