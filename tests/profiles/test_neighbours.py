from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cosine
from tests.profiles.conftest import treated

from phenoviews.errors import UserError
from phenoviews.profiles.neighbours import confusion, counted, intervals, nsc, nscb, single_batch_moas

# Three MoAs in two weeks and one, D, in one week only; compound b2 is in both weeks.
TOY = [
    ("a1", 1, "A", "W1", 0),
    ("a1", 2, "A", "W1", 3),
    ("a2", 1, "A", "W2", 10),
    ("b1", 1, "B", "W2", 79),
    ("b2", 1, "B", "W2", 80),
    ("b2", 2, "B", "W1", 85),
    ("c1", 1, "C", "W1", 60),
    ("c2", 1, "C", "W2", 66),
    ("c3", 1, "C", "W1", 30),
    ("d1", 1, "D", "W1", 120),
    ("d2", 1, "D", "W1", 125),
]


def test_the_toy_by_hand():
    meta, x = treated(TOY)
    found = nsc(meta, x)
    nearest = (found["Nearest_Compound"] + " " + found["Nearest_Concentration"].astype(str)).tolist()
    # a1 at 0° may not take a1 at 3°; b2 at 80° may not take b2 at 85°; c3 at 30° is nearer to a2 than to c1.
    assert nearest == ["a2 1", "a2 1", "a1 2", "b2 1", "b1 1", "b1 1", "c2 1", "c1 1", "a2 1", "d2 1", "d1 1"]
    assert found["Correct"].tolist() == [True] * 8 + [False, True, True]
    assert found["Similarity"][0] == pytest.approx(np.cos(np.radians(10)))
    assert found["Candidates"].tolist() == [9, 9, 10, 10, 9, 9, 10, 10, 10, 10, 10]
    score = counted(found)
    assert (score["correct"], score["of"]) == (10, 11)

    assert single_batch_moas(meta) == {"D": "W1"}
    found = nscb(meta, x)
    assert found["Metadata_MoA"].tolist() == [row[2] for row in TOY[:9]]
    nearest = (found["Nearest_Compound"] + " " + found["Nearest_Concentration"].astype(str)).tolist()
    # b1 (W2) may take b2 of W1 only; b2 of W2 has no B left, and takes c1.
    assert nearest == ["a2 1", "a2 1", "a1 2", "b2 2", "c1 1", "b1 1", "c2 1", "c1 1", "a2 1"]
    score = counted(found)
    assert (score["correct"], score["of"], score["impossible"]) == (7, 9, 1)
    assert confusion(found).to_dict("index") == {
        "A": {"A": 3, "B": 0, "C": 0}, "B": {"A": 0, "B": 2, "C": 1}, "C": {"A": 1, "B": 0, "C": 2}
    }  # fmt: skip


def test_length_and_order_do_not_matter():
    meta, x = treated(TOY)
    lengths = np.geomspace(1e-200, 1e150, len(x))[:, None]
    order = np.random.default_rng(0).permutation(len(x))
    shuffled = nsc(meta.iloc[order].reset_index(drop=True), (x * lengths)[order])
    assert shuffled["Predicted_MoA"].tolist() == nsc(meta, x)["Predicted_MoA"].iloc[order].tolist()


@pytest.mark.parametrize("score", [nsc, nscb])
def test_every_count_is_that_of_brute_force(score):
    rng = np.random.default_rng(0)
    for _ in range(60):
        n = int(rng.integers(5, 40))
        compounds = rng.integers(0, rng.integers(2, 12), n)
        moa_of = rng.integers(0, 3, 12)
        meta = pd.DataFrame(
            {
                "Metadata_Compound": [f"c{c}" for c in compounds],
                "Metadata_Concentration": np.arange(n, dtype=float),
                "Metadata_MoA": [f"m{moa_of[c]}" for c in compounds],
                "Metadata_Batch": [f"b{b}" for b in rng.integers(0, rng.integers(1, 5), n)],
            }
        )
        x = rng.normal(size=(n, 6))
        expected = _brute_force(meta, x, batches=score is nscb)
        found = score(meta, x)
        assert (int(found["Correct"].sum()), len(found), int(found["Candidates"].sum())) == expected


def _brute_force(meta, x, batches):
    rows = [
        (r.Metadata_Compound, r.Metadata_MoA, r.Metadata_Batch, v) for r, v in zip(meta.itertuples(), x, strict=True)
    ]
    if batches:
        weeks = {moa: {row[2] for row in rows if row[1] == moa} for _, moa, _, _ in rows}
        rows = [row for row in rows if len(weeks[row[1]]) > 1]
    right = candidates = 0
    for compound, moa, batch, vector in rows:
        best, answer = np.inf, None
        for other, other_moa, other_batch, other_vector in rows:
            if other == compound or (batches and other_batch == batch):
                continue
            candidates += 1
            distance = cosine(vector, other_vector)
            if distance < best:
                best, answer = distance, other_moa
        right += answer == moa
    return right, len(rows), candidates


def test_a_tie_between_moas_is_no_prediction_and_one_within_a_moa_is():
    meta, x = treated([("a1", 1, "A", "W1", 0), ("a2", 1, "A", "W1", 20), ("b1", 1, "B", "W1", -20)])
    found = nsc(meta, x)
    assert found["Reason"].tolist() == ["tie between MoAs", "", ""]
    assert found["Predicted_MoA"].tolist() == ["(none)", "A", "A"]
    assert found["Tied"][0] == 2
    assert counted(found)["correct"] == 1
    assert counted(found)["ties"] == 1
    assert confusion(found).loc["A", "(none)"] == 1
    both = meta.assign(Metadata_MoA="A")
    assert counted(nsc(both, x))["correct"] == 3
    # Profiles that are all the same are not right by the order of the table.
    same = counted(nsc(meta, np.ones_like(x)))
    assert (same["correct"], same["of"], same["ties"]) == (0, 3, 2)  # b1 has neighbours of one MoA, the wrong one


def test_a_zero_profile_has_no_neighbour_and_is_none():
    meta, x = treated([("a1", 1, "A", "W1", 0), ("a2", 1, "A", "W1", 5), ("b1", 1, "B", "W1", 30)])
    x[1] = 0
    found = nsc(meta, x)
    assert found["Reason"].tolist() == ["", "zero profile", ""]
    assert found["Nearest_Compound"].tolist() == ["b1", "", "a1"]
    assert counted(found) == {
        "correct": 0, "of": 3, "percent": 0.0, "undefined": "", "ties": 0, "zeros": 1, "alone": 0, "impossible": 2
    }  # fmt: skip


def test_nscb_of_one_batch_is_undefined_and_not_zero():
    meta, x = treated([(*row[:3], "W1", row[4]) for row in TOY])
    score = counted(nscb(meta, x))
    assert score["correct"] is None
    assert score["percent"] is None
    assert score["undefined"] == "every MoA is seen in one batch only"


def test_nsc_of_one_compound_is_undefined():
    meta, x = treated([("a1", dose, "A", "W1", dose) for dose in range(4)])
    assert counted(nsc(meta, x))["undefined"] == "no treatment has a candidate to compare it with"


def test_without_batches_there_is_no_nscb():
    meta, x = treated(TOY)
    with pytest.raises(UserError, match="needs the batch"):
        nscb(meta.drop(columns="Metadata_Batch"), x)


def test_intervals_are_those_of_counting_and_wider_over_compounds():
    rng = np.random.default_rng(0)
    n, right = 100, 70
    table = pd.DataFrame(
        {
            "Metadata_Compound": [f"c{i // 5}" for i in range(n)],
            "Metadata_Concentration": np.arange(n),
            "Correct": np.arange(n) < right,  # compounds are all right or all wrong
        }
    )
    found = intervals({"nsc": table, "nscb": table.iloc[20:]}, draws=4000)
    expected = np.quantile(rng.binomial(n, right / n, 100_000), [0.025, 0.975])
    assert found["nsc"] == pytest.approx(expected, abs=1)
    assert found["nscb"][0] < 100 * 50 / 80 < found["nscb"][1]
    # The drop is of the same draws: much narrower than two independent scores'.
    low, high = found["drop"]
    assert low < 70 - 62.5 < high
    assert high - low < 0.6 * np.hypot(*(top - bottom for bottom, top in (found["nsc"], found["nscb"])))
    wide = intervals({"nsc": table}, by="compound", draws=4000)["nsc"]
    assert wide[1] - wide[0] > 1.8 * (found["nsc"][1] - found["nsc"][0])
    assert intervals({"nsc": table}) == intervals({"nsc": table})
    assert intervals({"nsc": table.assign(Correct=True)})["nsc"] == (100, 100)
    with pytest.raises(UserError, match="neither treatment nor compound"):
        intervals({"nsc": table}, by="well")
