from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from tests.profiles.conftest import screen

from phenoviews.profiles.neighbours import nsc
from phenoviews.profiles.score import score
from phenoviews.profiles.tables import check, treatments


def percent(result, name, key):
    return result["postprocessing"][name][key]["percent"]


def test_profiles_that_follow_the_moa_are_all_right():
    result, predictions = score(*screen())
    assert result["counts"] == {
        "wells": 96, "controls": 48, "treatments": 24, "compounds": 12, "moas": 4, "batches": 3, "features": 20
    }  # fmt: skip
    for name in ("none", "whitening", "tvn"):
        numbers = result["postprocessing"][name]
        assert (numbers["nsc"]["correct"], numbers["nsc"]["of"]) == (24, 24)
        assert (numbers["nscb"]["correct"], numbers["nscb"]["of"]) == (24, 24)
        assert numbers["drop"]["percent"] == 0
    assert len(predictions) == 3 * (24 + 24)
    assert result["notes"] == []


def test_noise_is_at_chance_and_inside_its_interval():
    meta, x = screen(moas=4, compounds=6, replicates=1)
    rng = np.random.default_rng(0)
    found = [nsc(*treatments(meta, rng.normal(size=x.shape))) for _ in range(60)]
    chance = (found[0]["Candidates_MoA"] / found[0]["Candidates"]).mean()  # 10 of 46
    assert np.mean([one["Correct"].mean() for one in found]) == pytest.approx(chance, abs=0.04)
    numbers = score(meta, rng.normal(size=x.shape))[0]["postprocessing"]["none"]
    for key in ("nsc", "nscb", "drop"):
        low, high = numbers[key]["interval"]
        assert low < numbers[key]["percent"] < high


def test_tvn_takes_away_what_the_batch_does_to_spread():
    # Each batch stretches the profiles along its own directions: the batch then is what neighbours share.
    meta, x = screen(moas=4, compounds=6, controls=60, d=20, seed=1)
    batch = meta["Metadata_Batch"].str[1:].astype(int).to_numpy()
    rng = np.random.default_rng(0)
    for name in range(3):
        rotation = np.linalg.qr(rng.normal(size=(20, 20)))[0]
        x[batch == name] @= rotation * np.geomspace(0.2, 12, 20) @ rotation.T
    result, _ = score(meta, x)
    assert percent(result, "tvn", "nscb") > percent(result, "none", "nscb") + 10
    assert percent(result, "tvn", "nscb") > percent(result, "whitening", "nscb")


def test_the_order_and_the_signs_of_features_and_rows_do_not_matter():
    meta, x = screen(batch_effect=1.5, d=40, controls=6)
    rng = np.random.default_rng(0)
    rows, columns, signs = rng.permutation(len(x)), rng.permutation(40), rng.choice([-1, 1], 40)
    one = score(meta, x)[1]
    other = score(meta.iloc[rows].reset_index(drop=True), x[rows][:, columns] * signs)[1]
    for column in ("Metadata_Compound", "Predicted_MoA", "Nearest_Compound", "Correct"):
        assert one[column].tolist() == other[column].tolist()
    assert one["Similarity"].to_numpy() == pytest.approx(other["Similarity"].to_numpy(), abs=1e-9)


def test_unannotated_treatments_are_left_out_everywhere():
    meta, x = screen()
    unknown = (meta["Metadata_Compound"] == "compound3").to_numpy()
    result, predictions = score(meta.assign(Metadata_MoA=meta["Metadata_MoA"].where(~unknown, "")), x)
    alone, expected = score(meta[~unknown].reset_index(drop=True), x[~unknown])
    assert result["postprocessing"] == alone["postprocessing"]
    assert predictions.equals(expected)
    assert result["notes"] == ["4 rows of compounds without a MoA are left out"]
    in_part = meta["Metadata_MoA"].where(
        (meta["Metadata_Compound"] != "compound3") | (meta["Metadata_Well"] != "W12"), ""
    )
    assert score(meta.assign(Metadata_MoA=in_part), x)[0]["notes"] == [
        "2 rows of compounds without a MoA are left out; 2 of them are of compounds that have one in other rows "
        "(first: compound3)"
    ]


def test_one_batch_is_said():
    meta, x = screen(batches=1)
    result, _ = score(meta, x)
    for name in ("none", "whitening", "tvn"):
        numbers = result["postprocessing"][name]
        assert numbers["nsc"]["percent"] is not None
        for key in ("nscb", "drop"):
            assert numbers[key]["percent"] is None
            assert numbers[key]["interval"] is None
            assert numbers[key]["undefined"] == "every MoA is seen in one batch only"
    assert "there is one batch only: NSCB is undefined, and TVN is whitening" in result["notes"]


def test_no_batches_and_no_controls():
    meta, x = screen()
    result, _ = score(meta.drop(columns="Metadata_Batch"), x)
    assert result["postprocessing"]["none"]["nscb"]["undefined"] == "there are no batches"
    assert "needs the batch" in result["postprocessing"]["tvn"]["nsc"]["undefined"]
    assert result["postprocessing"]["whitening"]["nsc"]["percent"] == 100
    treated = ~meta["Metadata_Control"].to_numpy()
    result, _ = score(meta[treated], x[treated])
    assert result["postprocessing"]["none"]["nscb"]["percent"] == 100
    assert "at least two wells" in result["postprocessing"]["whitening"]["nsc"]["undefined"]


def test_what_is_odd_is_noted():
    meta, x = screen()
    x[:, 3] = 7
    names = [f"f{i}" for i in range(20)]
    assert score(meta, x, names)[0]["notes"] == [
        "1 of 20 features are constant (first: f3); they tell nothing, and are kept"
    ]
    notes = score(meta, np.ones_like(x))[0]["notes"]
    assert "all treatments have almost the same profile: the encoder may have collapsed" in notes
    assert any(note.startswith("none, NSC: 24 of 24 treatments have neighbours of several MoAs") for note in notes)
    assert any(note.startswith("whitening, NSC: 24 of 24 treatments have a zero profile") for note in notes)
    meta.loc[meta["Metadata_Plate"] == "B0_P1", "Metadata_Batch"] = "other"
    assert any("with wells in several batches (first: compound1 1.0)" in note for note in score(meta, x)[0]["notes"])


def test_the_sizes_of_bbbc021_take_seconds(bbbc021):
    meta = bbbc021.drop_duplicates(["Metadata_Plate", "Metadata_Well"]).reset_index(drop=True)
    x = np.random.default_rng(0).normal(size=(632, 1000)).astype(np.float32)
    start = time.process_time()  # on one thread, so it is the time that one would wait on a quiet machine
    result, predictions = score(meta, x)
    assert time.process_time() - start < 5
    assert result["counts"]["wells"] == 632
    assert len(predictions) == 3 * (103 + 92)
    assert result["left_out"] == {"Cholesterol-lowering": "Week9", "Kinase inhibitors": "Week7"}
    # The galleries that the authors' own evaluation printed for queries of Week1: 73 treatments.
    week1 = predictions[(predictions["score"] == "nscb") & (predictions["Metadata_Batch"] == "Week1")]
    assert set(week1["Candidates"]) == {73}


@pytest.fixture
def spanning():
    """Every treatment in each of three batches, which have an effect; the usual design of screens."""
    meta, x = screen(batches=1, replicates=3, compounds=3, seed=4)
    rng = np.random.default_rng(0)
    meta["Metadata_Batch"] = meta["Metadata_Plate"].str.replace("B0_P", "week ")
    return meta, x + 3 * rng.normal(size=(3, 20))[pd.factorize(meta["Metadata_Batch"])[0]] + 2 * rng.normal(
        size=x.shape
    )


def test_nscb_is_of_each_treatment_in_each_batch_where_replicates_span_batches(spanning):
    meta, x = spanning
    result, predictions = score(meta, x)
    treated = ~meta["Metadata_Control"].to_numpy()
    # With one well for each treatment and batch, the profiles are the wells.
    compound, moa, batch = (meta.loc[treated, f"Metadata_{name}"].to_numpy() for name in ("Compound", "MoA", "Batch"))
    unit = x[treated] / np.linalg.norm(x[treated], axis=1, keepdims=True)
    right = {"nscb": [], "nsc": []}
    for query in range(len(unit)):
        for name, apart in (("nsc", False), ("nscb", True)):
            others = np.flatnonzero((compound != compound[query]) & ((batch != batch[query]) | (not apart)))
            right[name].append(moa[others[(unit[others] @ unit[query]).argmax()]] == moa[query])
    nscb, by_batch = result["postprocessing"]["none"]["nscb"], result["by_batch"]["none"]
    assert (nscb["correct"], nscb["of"]) == (sum(right["nscb"]), 72)
    assert (by_batch["correct"], by_batch["of"]) == (sum(right["nsc"]), 72)
    assert sum(right["nsc"]) != sum(right["nscb"])
    assert result["postprocessing"]["none"]["drop"]["percent"] == by_batch["percent"] - nscb["percent"]
    low, high = result["postprocessing"]["none"]["drop"]["interval"]
    assert low <= result["postprocessing"]["none"]["drop"]["percent"] <= high
    # NSC is of the treatments, whatever their batches.
    alone = score(meta.drop(columns="Metadata_Batch"), x)[0]["postprocessing"]["none"]["nsc"]
    assert {**result["postprocessing"]["none"]["nsc"], "interval": 0} == {**alone, "interval": 0}
    asked = predictions[(predictions["postprocessing"] == "none") & (predictions["score"] == "nscb")]
    assert set(asked["Metadata_Batch"]) == {"week 0", "week 1", "week 2"}
    assert len(predictions) == 3 * (24 + 72)


def similarities(predictions, name):
    return predictions.loc[predictions["postprocessing"] == name, "Similarity"].tolist()


def test_what_is_said_of_batches_is_true(spanning):
    meta, x = spanning
    result, predictions = score(meta, x)
    assert result["left_out"] == {}
    told = " ".join(result["notes"])
    assert "one batch" not in told
    assert "24 treatment(s) with wells in several batches (first: compound1 1.0)" in told
    assert similarities(predictions, "tvn") != similarities(predictions, "whitening")
    # Commas in the names of batches are part of them.
    meta, x = screen()
    result, _ = score(meta.assign(Metadata_Batch=meta["Metadata_Batch"] + ", June"), x)
    assert result["notes"] == []
    # Controls in two batches, treatments in one: TVN is not whitening.
    meta, x = screen(batches=2)
    first = (meta["Metadata_Control"] | (meta["Metadata_Batch"] == "B0")).to_numpy()
    result, predictions = score(meta[first].reset_index(drop=True), x[first])
    assert "the treatments are all in one batch: NSCB is undefined" in result["notes"]
    assert similarities(predictions, "tvn") != similarities(predictions, "whitening")


def test_a_treatment_in_several_batches_among_others_changes_only_nscb():
    meta, x = screen(batch_effect=1.0)
    moved = meta.assign(Metadata_Batch=meta["Metadata_Batch"].where(meta["Metadata_Plate"] != "B0_P1", "B1"))
    one, other = score(meta, x)[0], score(moved, x)[0]
    for key in ("correct", "of"):
        assert one["postprocessing"]["none"]["nsc"][key] == other["postprocessing"]["none"]["nsc"][key]
    assert other["postprocessing"]["none"]["nscb"]["of"] == 24 + 8  # the eight treatments of B0 have two profiles


def test_moas_of_several_are_sets():
    meta, x = screen(compounds=3)
    sets = meta.assign(Metadata_MoA=meta["Metadata_MoA"].replace({"moa1": "moa1|moa9", "moa2": "moa2|moa9"}))
    one, other = (score(table, x)[1] for table in (meta, sets))
    one, other = (table[(table["postprocessing"] == "none") & (table["score"] == "nsc")] for table in (one, other))
    # The neighbours are the same; those that share one of their MoAs are right.
    assert one["Nearest_Compound"].tolist() == other["Nearest_Compound"].tolist()
    expected = [bool(set(a.split("|")) & set(b.split("|"))) for a, b in
                zip(other["Metadata_MoA"], other["Predicted_MoA"], strict=True)]  # fmt: skip
    assert other["Correct"].tolist() == expected
    shared = one["Metadata_MoA"].isin(["moa1", "moa2"]).to_numpy()
    assert (other["Candidates_MoA"].to_numpy()[shared] > one["Candidates_MoA"].to_numpy()[shared]).all()
    # However a set is written it is the same.
    spaced = sets.assign(Metadata_MoA=sets["Metadata_MoA"].where(sets.index % 2 > 0, sets["Metadata_MoA"].replace(
        {"moa1|moa9": "moa9 | moa1"})))  # fmt: skip
    assert score(spaced, x)[0]["postprocessing"] == score(sets, x)[0]["postprocessing"]
    check(spaced, x)
    assert score(sets, x)[0]["counts"]["moas"] == 5
    assert any("2 MoAs are sets of several (first: moa1|moa9)" in note for note in score(sets, x)[0]["notes"])
    # One of a set in a batch of its own does not leave the treatment out; all of them do.
    alone = meta.assign(Metadata_MoA=[f"{moa}|only" if moa and batch == "B0" else moa for moa, batch in
                                      zip(meta["Metadata_MoA"], meta["Metadata_Batch"], strict=True)])  # fmt: skip
    result = score(alone, x)[0]
    assert result["left_out"] == {"only": "B0"}
    assert result["postprocessing"]["none"]["nscb"]["of"] == 24
