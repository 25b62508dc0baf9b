from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pycytominer import normalize
from tests.profiles.conftest import screen

from phenoviews.errors import UserError
from phenoviews.profiles.preparing import SELECTIONS, normalised, selected

NAMES = [f"Cells_{i}" for i in range(6)]


@pytest.fixture
def wells():
    meta, x = screen(d=6, batch_effect=3.0)
    return meta, x * [1, 10, 100, 1e3, 1e4, 0.01]


@pytest.mark.parametrize(("method", "theirs"), [("mad", "mad_robustize"), ("standard", "standardize")])
def test_each_plate_to_its_controls_as_pycytominer_does(wells, method, theirs):
    meta, x = wells
    found, names, notes = normalised(meta, x, NAMES, method)
    assert (names, notes) == (NAMES, [])
    table = pd.concat([meta, pd.DataFrame(x, columns=NAMES)], axis=1)
    for plate, part in table.groupby("Metadata_Plate"):
        expected = normalize(part, features=NAMES, meta_features=list(meta), samples="Metadata_Control", method=theirs)
        here = (meta["Metadata_Plate"] == plate).to_numpy()
        np.testing.assert_allclose(found[here], expected[NAMES].to_numpy(), rtol=1e-6)


def test_a_feature_without_a_scale_on_a_plate_is_left_out_and_named(wells):
    meta, x = wells
    x[(meta["Metadata_Plate"] == "B1_P0") & meta["Metadata_Control"], 2] = 7
    found, names, notes = normalised(meta, x, NAMES, "mad")
    assert names == [name for name in NAMES if name != "Cells_2"]
    assert np.isfinite(found).all()
    assert notes == [
        "1 of 6 features do not vary among the controls of a plate (first: Cells_2), have no scale there, and are left "
        "out"
    ]
    with pytest.raises(UserError, match="every feature is the same"):
        normalised(meta, np.ones_like(x), NAMES, "standard")


def test_a_plate_without_controls_is_named(wells):
    meta, x = wells
    kept = ~((meta["Metadata_Plate"] == "B1_P0") & meta["Metadata_Control"]).to_numpy()
    with pytest.raises(UserError, match="plate B1_P0 has 0 wells of the negative control"):
        normalised(meta[kept].reset_index(drop=True), x[kept], NAMES, "mad")


def test_features_are_selected_one_operation_after_another():
    x = np.random.default_rng(0).normal(size=(90, 6))
    x[5, 0] = np.nan
    x[:, 1] = 3
    x[:, 3] = x[:, 2] * 2 + 1e-3 * x[:, 4]
    names = ["one_nan", "constant", "a", "twice_a", "b", "Cells_AreaShape_BoundingBoxMaximum_X"]
    found, kept, notes = selected(x, names, SELECTIONS[:3])
    assert len(kept) == 3
    assert {"b"} < set(kept)
    assert len({"a", "twice_a"} & set(kept)) == 1
    np.testing.assert_array_equal(found, x[:, [names.index(name) for name in kept]])
    assert [note.split(":")[0] for note in notes] == list(SELECTIONS[:3])
    assert notes[0] == "drop_na_columns: 1 of 6 features dropped (first: one_nan)"
    assert selected(x[:, 4:], names[4:], [])[1] == names[4:]
    with pytest.raises(UserError, match="selecting features: variance_threshold"):
        selected(np.ones((9, 1)), ["c"], ["variance_threshold"])
