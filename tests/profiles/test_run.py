"""From cells' embeddings to measure files, checked against the command and the library."""

from __future__ import annotations

import json
from unittest.mock import ANY

import numpy as np
import pytest

from phenoviews.errors import UserError
from phenoviews.files import write_json
from phenoviews.profiles import run, structure, tables
from phenoviews.profiles.__main__ import main
from phenoviews.study.metrics import measured

from .conftest import screen

SETTINGS = {"across_wells": "median", "reg": 1.0, "coral_reg": 1.0, "interval_by": "treatment", "draws": 200, "seed": 0}

STRUCTURE = {key: SETTINGS[key] for key in ("across_wells", "reg", "coral_reg", "seed")}


@pytest.fixture(scope="module")
def cells():
    """An index of cells (five in every well, in random order, with columns of their own) and their embeddings."""
    meta, x = screen(batch_effect=2.0)
    rng = np.random.default_rng(1)
    rows = rng.permutation(np.repeat(np.arange(len(meta)), 5))
    index = meta.iloc[rows].reset_index(drop=True).assign(split="train", Metadata_Field="f", Metadata_Site=1)
    return index, (x[rows] + rng.normal(size=(len(rows), x.shape[1]))).astype(np.float32)


@pytest.fixture(scope="module")
def profiles(cells):
    return run.profiles(*cells, "mean")


def test_wells_are_the_means_of_their_cells(cells, profiles):
    index, embeddings = cells
    meta, x = profiles
    for at in (0, 7):
        plate, well = meta.loc[at, ["Metadata_Plate", "Metadata_Well"]]
        here = ((index["Metadata_Plate"] == plate) & (index["Metadata_Well"] == well)).to_numpy()
        assert here.sum() == 5
        np.testing.assert_allclose(x[at], embeddings[here].mean(axis=0), rtol=1e-5)


def test_the_command_scores_the_profiles_of_a_run_alike(profiles, tmp_path):
    values, _, about = run.scores(*profiles, SETTINGS)
    run.as_table(*profiles).to_parquet(tmp_path / "profiles.parquet")
    main([str(tmp_path / "profiles.parquet"), "--json", str(tmp_path / "told.json")])
    told = json.loads((tmp_path / "told.json").read_text())["postprocessing"]
    scores = values[values["metric"].isin(["nsc", "nscb", "drop"])]
    assert len(scores) == 9
    for row in scores.to_dict("records"):
        number = told[row["postprocessing"]][row["metric"]]
        assert row["value"] == number["percent"]
        assert [row["low"], row["high"]] == number["interval"]
        assert [row["correct"], row["of"]] == [number.get("correct", ANY), number.get("of", ANY)]
    write_json(tmp_path / "about.json", about)  # nothing in it that JSON has not
    assert set(values["metric"]) == set(measured("scores"))


def test_without_batches_nscb_has_a_reason(profiles):
    meta, x = profiles
    values, _, _ = run.scores(meta.drop(columns="Metadata_Batch"), x, SETTINGS)
    scores = values[~values["metric"].str.endswith("_right")]
    found = scores.set_index(["postprocessing", "metric"])[["value", "reason"]]
    assert np.isnan(found.at[("none", "nscb"), "value"])
    assert "batch" in found.at[("none", "nscb"), "reason"]
    assert list(found.loc["tvn"].index) == ["nsc", "nscb", "drop"]
    assert found.loc["tvn", "value"].isna().all()
    assert "nscb_right" not in set(values["metric"])


def test_each_treatment_has_its_outcome_and_a_place_on_the_map(profiles):
    values, predictions, about = run.scores(*profiles, SETTINGS)
    mapped = run.mapped(*profiles, SETTINGS)
    treatments, _ = tables.treatments(*profiles)
    names = treatments[["Metadata_Compound", "Metadata_Concentration"]]
    for name, of in mapped.groupby("postprocessing"):
        assert of[list(names)].to_numpy().tolist() == names.to_numpy().tolist()
        assert np.isfinite(of[["x", "y"]].to_numpy()).all()
        found = values[values["postprocessing"] == name].set_index("metric")
        for score in ("nsc", "nscb"):
            right = found.loc[f"{score}_right"]
            assert right["value"].sum() == found.at[score, "correct"]
            assert len(right) == found.at[score, "of"]
            assert right["value"].isin([0, 1]).all()
            truth = predictions[(predictions["postprocessing"] == name) & (predictions["score"] == score)]
            expected = truth.set_index(["Metadata_Compound", "Metadata_Concentration"])["Correct"]
            at = right.set_index(["compound", "concentration"])["value"].astype(bool)
            assert at.to_dict() == expected.to_dict()
            moas = dict(zip(truth["Metadata_Compound"], truth["Metadata_MoA"], strict=True))
            assert dict(zip(right["compound"], right["moa"], strict=True)) == moas
    assert len(treatments) == about["counts"]["treatments"]
    assert run.no_map().columns.isin(mapped.columns).all()


def structure_of(values, name) -> dict[str, float]:
    return values[values["postprocessing"] == name].set_index("metric")["value"].to_dict()


def test_structure_is_that_of_the_library(profiles):
    values = run.structures(*profiles, STRUCTURE)
    assert set(values["metric"]) == set(measured("structure"))
    precision, shares, _, _ = structure.structure(*profiles, seed=0)
    row = precision[(precision["postprocessing"] == "whitening") & (precision["task"] == "moas")].iloc[0]
    whitened = values[values["postprocessing"] == "whitening"].set_index("metric")
    assert whitened.at["map_moas", "value"] == row["map"]
    assert whitened.at["chance_moas", "value"] == row["chance"]
    assert whitened.loc["found_moas", ["value", "correct", "of"]].tolist() == [
        row["found"],
        row["found"],
        row["groups"],
    ]
    none = structure_of(values, "none")
    of = shares[shares["postprocessing"] == "none"].set_index(["wells", "factor"])["adjusted"]
    assert none["share_batch"] == of["controls", "batch"]
    assert none["share_plate_all"] == of["all", "plate"]
    # The batch effect that was put in is seen, and TVN takes it out.
    assert none["share_batch"] > 0.3 > structure_of(values, "tvn")["share_batch"]


def test_a_post_processing_that_cannot_be_has_its_reason_everywhere(profiles):
    meta, x = profiles
    bare = (meta["Metadata_Control"] & (meta["Metadata_Batch"] == "B0")).to_numpy()
    values = run.structures(meta[~bare].reset_index(drop=True), x[~bare], STRUCTURE)
    tvn = values[values["postprocessing"] == "tvn"]
    assert tvn["value"].isna().all()
    assert set(tvn["metric"]) == set(measured("structure"))
    assert all("controls" in why or "negative control" in why for why in tvn["reason"])


def test_without_batches_what_is_about_them_has_a_reason(profiles):
    meta, x = profiles
    values = run.structures(meta.drop(columns="Metadata_Batch"), x, STRUCTURE)
    none = values[values["postprocessing"] == "none"].set_index("metric")
    assert none.at["map_moas_other_batch", "reason"] == "there are no batches"
    assert "one per batch" in none.at["share_batch", "reason"]
    assert none.at["map_moas", "reason"] == ""


def test_a_dataset_is_counted(cells):
    index, _ = cells
    counts = run.counted(index.assign(Metadata_Field=index["Metadata_Well"]))
    meta, _ = screen()
    assert counts["cells"] == len(index) == 5 * len(meta)
    assert (counts["wells"], counts["fields"], counts["treatments"]) == (len(meta), len(meta), 24)


def test_embeddings_that_are_not_finite_are_refused(cells):
    index, embeddings = cells
    broken = embeddings.copy()
    broken[3, 2] = np.nan
    with pytest.raises(UserError, match="NaN or infinite"):
        run.profiles(index, broken, "mean")
