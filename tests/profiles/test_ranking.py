"""Rankings against copairs, and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from copairs.map import average_precision, mean_average_precision
from tests.profiles.conftest import screen, treated

from phenoviews.profiles.ranking import Candidates, among_first, expected, parts, precisions, ranked
from phenoviews.profiles.structure import structure
from phenoviews.profiles.tables import treatments


@pytest.fixture
def noisy():
    meta, x = screen(batch_effect=0.7, compounds=6, controls=20)
    return meta, x + 4 * np.random.default_rng(3).normal(size=x.shape)


def copairs(meta, x, same, differ, negative_same, negative_differ, group, cache):
    each = average_precision(meta, x, same, differ, negative_same, negative_differ, progress_bar=False)
    each = each[(each["n_pos_pairs"] > 0) & (each["n_total_pairs"] > each["n_pos_pairs"])]
    found = mean_average_precision(each, group, null_size=10_000, threshold=0.05, seed=1, progress_bar=False,
                                   cache_dir=cache)  # fmt: skip
    return found.set_index(group).sort_index()


def test_groups_have_the_precision_and_the_p_of_copairs(noisy, tmp_path):
    meta, x = noisy
    found = structure(meta, x).groups
    found = found[found["postprocessing"] == "none"]
    table, profiles = treatments(meta, x)
    treatment = meta["Metadata_Compound"] + " " + meta["Metadata_Concentration"].astype(str)
    wells = meta.assign(
        treatment=treatment.where(~meta["Metadata_Control"], [f"control {i}" for i in range(len(meta))])
    )
    control, compound, moa, batch = (f"Metadata_{name}" for name in ("Control", "Compound", "MoA", "Batch"))
    cases = {
        ("replicates", "treatment"): (wells, x, ["treatment"], [], [batch], [control], ["treatment"]),
        ("replicates", "compound"): (wells, x, ["treatment"], [], [batch], [control], [compound]),
        ("moas", "moa"): (table, profiles, [moa], [compound], [], [moa], [moa]),
        ("moas_other_batch", "moa"): (table, profiles, [moa], [compound, batch], [], [moa, batch], [moa]),
    }  # fmt: skip
    for (task, level), (rows, values, *how) in cases.items():
        theirs = copairs(rows, values, *how, tmp_path)
        ours = found[(found["task"] == task) & (found["level"] == level)]
        names = ours[compound] + " " + ours["Metadata_Concentration"].astype(str) if level == "treatment" else (
            ours[compound if level == "compound" else moa])  # fmt: skip
        ours = ours.set_index(names).sort_index()
        assert ours.index.tolist() == theirs.index.tolist()
        assert ours["map"].to_numpy() == pytest.approx(theirs["mean_average_precision"].to_numpy(), abs=1e-5)
        # 1,000 and 10,000 random rankings: the standard error of p is at most 0.016.
        assert ours["p"].to_numpy() == pytest.approx(theirs["p_value"].to_numpy(), abs=0.06)
        assert ((ours["q"] >= ours["p"]) & (ours["p"] > 0)).all()


def one_query(cosines, wrong, right):
    wrong = np.array([wrong])
    of = Candidates(np.array([cosines], dtype=float), wrong, [[("a", np.array(right, dtype=float))]])
    return lambda block: [of]


def test_a_ranking_by_hand():
    # Right ones at ranks 1, 3 and 4; the last is as near as a wrong one, and comes after it.
    (found,) = ranked(
        [np.array([7])], one_query([0.9, 0.8, 0.5, 0.1, 0], [False, True, True, True, True], [0.9, 0.6, 0.5])
    )
    assert found.query.tolist() == [7]
    assert (found.positives.tolist(), found.total.tolist()) == ([3], [7])
    assert found.precision[0] == pytest.approx((1 / 1 + 2 / 3 + 3 / 5) / 3)
    assert found.hits.tolist() == [[1, 2, 3, 3, 1, 1]]
    told = among_first(found)
    assert (told["top_1"], told["precision_3"], told["precision_10"]) == (1, 2 / 3, 3 / 7)
    assert told["enrichment_1"] == pytest.approx(1 / (3 * 1 / 7))


def test_profiles_at_the_same_place_are_not_found():
    same = one_query([0.5] * 5, [True] * 5, [0.5, 0.5])
    (found,) = ranked([np.array([0])], same)
    assert found.precision[0] == pytest.approx((1 / 6 + 2 / 7) / 2)
    assert found.hits[0].tolist() == [0, 0, 0, 2, 0, 0]


def test_without_right_or_wrong_ones_there_is_no_precision():
    (found,) = ranked([np.array([0])], one_query([0.1, 0.2], [True, True], []))
    assert np.isnan(found.precision[0])
    assert among_first(found)["top_10"] == 0
    (found,) = ranked([np.array([0])], one_query([0.1, 0.2], [False, False], [0.1]))
    assert np.isnan(found.precision[0])
    assert len(ranked([np.array([0])], one_query([0.1], [False], []))[0].query) == 0
    assert precisions(found, pd.DataFrame({"g": ["x"]}), 0).empty


def test_p_counts_rankings_that_are_as_good():
    """One right of two: half of all random rankings are perfect, so a perfect one is no finding."""
    (found,) = ranked([np.array([0])], one_query([0.9, 0.1], [False, True], [0.9]))
    table = precisions(found, pd.DataFrame({"g": ["x"]}), 0)
    assert table["map"].item() == 1
    assert table["p"].item() == pytest.approx(0.5, abs=0.06)
    assert table["chance"].item() == expected([1], [2])[0] == 0.75


def test_p_does_not_depend_on_other_groups(noisy):
    meta, x = noisy
    one = structure(meta, x).groups
    fewer = ~meta["Metadata_Compound"].isin(["compound5"]).to_numpy()
    two = structure(meta[fewer].reset_index(drop=True), x[fewer]).groups
    keys = ["task", "level", "Metadata_Compound", "Metadata_Concentration"]
    one, two = (t[(t["postprocessing"] == "none") & (t["task"] == "replicates")].set_index(keys) for t in (one, two))
    assert one.loc[two.index, "p"].tolist() == two["p"].tolist()


def test_the_top_one_is_nsc(noisy):
    from phenoviews.profiles.neighbours import nsc, nscb

    meta, x = noisy
    first = structure(meta, x).first
    first = first[first["postprocessing"] == "none"].set_index("task")["top_1"]
    assert first["moas"] == nsc(*treatments(meta, x))["Correct"].mean()
    assert first["moas_other_batch"] == nscb(*treatments(meta, x, by_batch=True))["Correct"].mean()


def test_every_moa_of_a_set_is_a_group():
    meta, x = treated(
        [("a1", 1, "A|B", "W1", 0), ("a2", 1, "A", "W1", 1), ("b1", 1, "B", "W1", 40), ("c1", 1, "C", "W1", 20)]
    )
    meta = meta.assign(Metadata_Control=False)
    groups = structure(meta, x).groups
    moas = groups[(groups["postprocessing"] == "none") & (groups["task"] == "moas")].set_index("Metadata_MoA")
    # a1 finds a2 first of a2 and c1, and b1 last of b1 and c1: a2 shares A, so it is not wrong for B. a2 finds a1 first
    # of a1, b1 and c1; b1 finds a1 last of a1, a2 and c1.
    assert moas["map"].to_dict() == {"A": 1.0, "B": pytest.approx((1 / 2 + 1 / 3) / 2)}


def test_blocks_change_nothing():
    rows = np.arange(1000)
    assert np.concatenate(list(parts(rows, 10**6))).tolist() == rows.tolist()
    assert max(map(len, parts(rows, 10**6))) == 4
    assert [len(part) for part in parts(rows, 10**9)] == [1] * 1000
