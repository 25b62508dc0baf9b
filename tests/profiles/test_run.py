"""From cells' embeddings to measure files, checked against the command and the library."""

from __future__ import annotations

import json

import numpy as np
import pytest

from phenoviews.errors import UserError
from phenoviews.files import write_json
from phenoviews.profiles import run, structure, tables
from phenoviews.profiles.__main__ import main

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
    numbers, _, _ = run.scores(*profiles, SETTINGS)
    run.as_table(*profiles).to_parquet(tmp_path / "profiles.parquet")
    main([str(tmp_path / "profiles.parquet"), "--json", str(tmp_path / "told.json")])
    told = json.loads((tmp_path / "told.json").read_text())["postprocessing"]
    for name, of in numbers["postprocessings"].items():
        assert [of[key] for key in ("nsc", "nscb", "drop")] == [
            told[name][key]["percent"] for key in of if key in told[name]
        ]
        assert of["counts"]["nscb"] == [told[name]["nscb"]["correct"], told[name]["nscb"]["of"]]
    write_json(tmp_path / "scores.json", numbers)  # nothing in it that JSON has not


def test_without_batches_nscb_has_a_reason(profiles):
    meta, x = profiles
    numbers, _, mapped = run.scores(meta.drop(columns="Metadata_Batch"), x, SETTINGS)
    assert numbers["postprocessings"]["none"]["nscb"] is None
    assert "batch" in numbers["postprocessings"]["none"]["reasons"]["nscb"]
    assert set(numbers["postprocessings"]["tvn"]["reasons"]) == {"nsc", "nscb", "drop"}
    assert mapped["nscb"].isna().all()


def test_the_map_has_every_treatment_and_whether_it_was_right(profiles):
    numbers, predictions, mapped = run.scores(*profiles, SETTINGS)
    for name, of in mapped.groupby("postprocessing"):
        expected, _ = tables.treatments(*profiles)
        assert len(of) == len(expected) == numbers["counts"]["treatments"]
        assert of["nsc"].sum() == numbers["postprocessings"][name]["counts"]["nsc"][0]
        assert np.isfinite(of[["x", "y"]].to_numpy()).all()
    assert len(predictions[predictions["score"] == "nsc"]) == 3 * numbers["counts"]["treatments"]


def test_structure_is_that_of_the_library(profiles):
    found = run.structures(*profiles, STRUCTURE)
    precision, shares = structure.structure(*profiles, seed=0)
    row = precision[(precision["postprocessing"] == "whitening") & (precision["task"] == "moas")].iloc[0]
    assert found["postprocessings"]["whitening"]["map_moas"] == row["map"]
    of = shares[(shares["postprocessing"] == "none") & (shares["wells"] == "controls")].set_index("factor")["adjusted"]
    assert found["postprocessings"]["none"]["share_batch"] == of["batch"]
    # The batch effect that was put in is seen, and TVN takes it out.
    assert of["batch"] > 0.3 > found["postprocessings"]["tvn"]["share_batch"]


def test_a_post_processing_that_cannot_be_has_its_reason_everywhere(profiles):
    meta, x = profiles
    bare = (meta["Metadata_Control"] & (meta["Metadata_Batch"] == "B0")).to_numpy()
    of = run.structures(meta[~bare].reset_index(drop=True), x[~bare], STRUCTURE)["postprocessings"]["tvn"]
    assert {of[name] for name in of if name != "reasons"} == {None}
    assert set(of["reasons"]) == {name for name in of if name != "reasons"}
    assert all("controls" in why or "negative control" in why for why in of["reasons"].values())


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
