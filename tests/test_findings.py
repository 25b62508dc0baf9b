"""docs/findings.md: what its scripts write is what stands beside it, and the simulations have the truth they claim."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
from docs import opposition, tvn
from docs.real_data import by_well, idx, same_plates

from phenoviews.profiles.tables import CONTROL


def test_the_noise_floor_is_what_the_script_counts(root):
    there = pd.read_csv(root / "docs" / "opposition.csv").set_index(["settings", "trend"])
    found = opposition.counted(6, 2.0)
    line = there.loc[(6, 2.0)]
    assert {key: found[key] for key in line.index} == pytest.approx(line.to_dict(), rel=1e-3)


def test_classes_of_the_simulated_sweeps_differ_by_noise_alone():
    y = opposition.made(np.random.default_rng(0), 200, 4.0)
    gained = (y[:, 100:] - y[:, :100]).mean(axis=(0, 1))
    assert gained == pytest.approx(2.0, abs=5 * 2.5 * np.sqrt(2 / 500))
    assert gained.std() == pytest.approx(2.5 * np.sqrt(2 / 500), rel=0.25)


def test_the_scores_under_tvn_are_what_the_script_finds(root, shared_data):
    there = pd.read_csv(root / "docs" / "tvn.csv").set_index(["postprocessing", "controls", "reg"])
    found = tvn.table(shared_data / "bbbc021", controls=(12,), regularisers=(1.0,))
    found = found.set_index(["postprocessing", "controls", "reg"])
    for name in ("tvn", "whitening"):
        assert found.loc[(name, 12, 1.0)].to_dict() == pytest.approx(there.loc[(name, 12, 1.0)].to_dict(), rel=1e-3)


def test_fresh_control_wells_are_neither_treated_nor_what_tvn_is_made_from(shared_data):
    treated = tvn.layout(shared_data / "bbbc021")
    meta, x = tvn.simulated(treated, controls=5, seed=0)
    assert len(treated) == 302
    assert len(x) == len(meta) == 302 + 10 * 10
    assert not (meta["fresh"] & meta[CONTROL]).any()
    assert (meta[meta["fresh"]].groupby("Metadata_Batch").size() == 5).all()
    assert x[meta["fresh"]].std() == pytest.approx(x[meta[CONTROL]].std(), rel=0.05)


def test_whole_wells_are_held_out_and_plates_have_as_many_of_either():
    rng = np.random.default_rng(0)
    names = {"compound": ["DMSO", "taxol"], "plate": ["a", "b"], "well": ["B02", "B03", "B04", "B05"]}
    table = pd.DataFrame({key: rng.choice(values, 400) for key, values in names.items()})
    table["source"] = "mikkelnrasmussen"
    chosen = by_well(table, rng)
    assert 0 < chosen.sum() < 0.35 * len(table)
    assert (table.assign(chosen=chosen).groupby(["compound", "plate", "well"])["chosen"].nunique() == 1).all()
    counts = table[same_plates(table)].groupby(["plate", "compound"]).size().unstack()
    assert (counts["DMSO"] == counts["taxol"]).all()


def test_idx_files_are_read_by_their_own_header(tmp_path):
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    header = bytes([0, 0, 8, 3]) + np.array(images.shape, ">i4").tobytes()
    (tmp_path / "images.gz").write_bytes(gzip.compress(header + images.tobytes()))
    assert (idx(tmp_path / "images.gz") == images).all()
