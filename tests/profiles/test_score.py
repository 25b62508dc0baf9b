from __future__ import annotations

import time

import numpy as np
import pytest
from tests.profiles.conftest import screen

from phenoviews.profiles.neighbours import nsc
from phenoviews.profiles.score import score
from phenoviews.profiles.tables import treatments


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
