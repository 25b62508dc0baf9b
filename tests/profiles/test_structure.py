from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from tests.profiles.conftest import screen

from phenoviews.profiles.structure import eta_squared, precision, structure, variance_shares
from phenoviews.profiles.tables import treatments


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture
def noisy():
    meta, x = screen(batch_effect=0.7, compounds=6)
    return meta, x + 4 * np.random.default_rng(3).normal(size=x.shape)


def test_mean_average_precision_is_scikit_learns(noisy):
    meta, x = noisy
    lines = {line["task"]: line for line in precision(meta, x)[0]}
    table, profiles = treatments(meta, x)
    cosine = unit(profiles) @ unit(profiles).T
    compound, moa, batch = (table[f"Metadata_{name}"].to_numpy() for name in ("Compound", "MoA", "Batch"))
    for task, elsewhere in (("moas", False), ("moas_other_batch", True)):
        found = {}
        for query in range(len(table)):
            others = (compound != compound[query]) & ((not elsewhere) | (batch != batch[query]))
            right = moa[others] == moa[query]
            if right.any():
                value = average_precision_score(right, cosine[query, others])
                found.setdefault(moa[query], []).append(value)
        assert lines[task]["map"] == pytest.approx(np.mean([np.mean(values) for values in found.values()]), abs=1e-6)
        assert lines[task]["groups"] == len(found)

    cosine = unit(x) @ unit(x).T
    control, batch, plate = (meta[f"Metadata_{name}"].to_numpy() for name in ("Control", "Batch", "Plate"))
    treatment = (meta["Metadata_Compound"] + " " + meta["Metadata_Concentration"].astype(str)).to_numpy()
    found = {}
    for query in np.flatnonzero(~control):
        same = treatment == treatment[query]
        others = (same & (plate != plate[query])) | (control & (batch == batch[query]))
        value = average_precision_score(same[others], cosine[query, others])
        found.setdefault(treatment[query], []).append(value)
    assert lines["replicates"]["map"] == pytest.approx(np.mean([np.mean(v) for v in found.values()]), abs=1e-6)
    assert lines["replicates"]["groups"] == len(found)


def test_noise_is_at_its_chance_level():
    meta, x = screen(moas=6, compounds=6)
    rng = np.random.default_rng(0)
    found = [precision(meta, rng.normal(size=x.shape))[0] for _ in range(4)]
    for lines in zip(*found, strict=True):
        assert np.mean([line["map"] for line in lines]) == pytest.approx(lines[0]["chance"], abs=0.04)


def test_profiles_that_follow_the_moa_are_found_under_every_postprocessing_and_the_seed_decides():
    table, shares, _, _ = structure(*screen())
    assert table["postprocessing"].tolist() == ["none"] * 3 + ["whitening"] * 3 + ["tvn"] * 3
    assert (table["undefined"] == "").all()
    assert (table.loc[table["task"] != "replicates", "map"] > 0.8).all()
    assert (table.loc[table["task"] == "moas", "found"] == 4).all()
    again = structure(*screen())
    assert table.equals(again[0])
    assert shares.equals(again[1])


def test_profiles_that_are_all_alike_get_no_value():
    meta, x = screen()
    rng = np.random.default_rng(0)
    for values in (np.ones_like(x), 1 + 1e-5 * rng.normal(size=x.shape)):
        assert [line["undefined"] for line in precision(meta, values)[0]] == [
            "the profiles all have the same direction"
        ] * 3


def test_one_batch_has_no_match_in_another_and_no_batches_no_such_task():
    meta, x = screen(batches=1)
    lines = {line["task"]: line for line in precision(meta, x)[0]}
    assert "map" not in lines["moas_other_batch"]
    assert "positive pairs" in lines["moas_other_batch"]["undefined"]
    lines, _, _ = precision(meta.drop(columns="Metadata_Batch"), x)
    assert [line["task"] for line in lines] == ["replicates", "moas"]


def test_the_share_is_the_mean_of_the_features_shares_weighted_by_their_variance():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 4, 60)
    x = rng.normal(size=(60, 7)) * np.arange(1, 8) + rng.normal(size=(4, 7))[groups] + 100
    total = ((x - x.mean(0)) ** 2).sum(0)
    between = sum((groups == g).sum() * (x[groups == g].mean(0) - x.mean(0)) ** 2 for g in range(4))
    found = eta_squared(x, groups)
    assert found["share"] == pytest.approx(np.average(between / total, weights=total))
    assert found["share"] == pytest.approx(eta_squared(x @ np.linalg.qr(rng.normal(size=(7, 7)))[0], groups)["share"])
    assert found["chance"] == 3 / 59
    within = (total - between).sum() / (60 - 4)
    assert found["adjusted"] == pytest.approx((between.sum() - 3 * within) / total.sum())


def test_without_an_effect_the_adjusted_share_is_zero_and_with_a_known_one_it_is_found():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(55), 6)
    null = [eta_squared(rng.normal(size=(330, 20)), groups) for _ in range(30)]
    assert np.mean([one["adjusted"] for one in null]) == pytest.approx(0, abs=0.005)
    assert np.mean([one["share"] for one in null]) == pytest.approx(54 / 329, abs=0.005)
    half = [eta_squared(rng.normal(size=(330, 50)) + rng.normal(size=(55, 50))[groups], groups) for _ in range(10)]
    assert np.mean([one["adjusted"] for one in half]) == pytest.approx(0.5, abs=0.02)


def test_controls_show_the_batch_and_plates_without_variance_none():
    meta, x = screen(batch_effect=2, controls=30)
    table = variance_shares(meta, x).set_index(["wells", "factor"])
    assert table.loc[("controls", "batch"), "adjusted"] > 0.5
    assert table.loc[("controls", "plate"), "share"] >= table.loc[("controls", "batch"), "share"]
    assert table.loc[("controls", "batch"), ["groups", "n"]].tolist() == [3, 180]
    assert variance_shares(meta, np.ones_like(x))["share"].isna().all()
