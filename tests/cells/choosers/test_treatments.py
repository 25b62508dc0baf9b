"""Which cells of treatments are held out with their plates or batches."""

from __future__ import annotations

import pandas as pd
import pytest

from phenoviews.cells.choosers.treatments import choose
from phenoviews.errors import UserError

ENTRY = {
    "name": "mine",
    "control": "DMSO",
    "control_columns": [],
    "fraction": 0.5,
    "sample": "fields",
    "val_fraction": 0,
    "split_seed": 0,
    "split_by": "none",
    "test_fraction": 0.34,
}


@pytest.fixture
def nuclei():
    """Three batches of two plates, each with controls and two annotated compounds in four fields of ten cells."""
    moas = {"DMSO": "", "taxol": "Stabilizer", "nocodazole": "Destabilizer"}
    rows = [
        {
            "Metadata_Plate": f"b{batch}p{plate}",
            "Metadata_Batch": f"b{batch}",
            "Metadata_Well": f"B{2 + number:02d}",
            "Metadata_Field": f"{batch}{plate}{compound}{field}",
            "Metadata_Compound": compound,
            "Metadata_Concentration": float(compound != "DMSO"),
            "Metadata_Control": compound == "DMSO",
            "Metadata_MoA": moa,
        }
        for batch in range(3)
        for plate in range(2)
        for number, (compound, moa) in enumerate(moas.items())
        for field in range(4)
        for _ in range(10)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("by", "column", "held_out"), [("plate", "Metadata_Plate", 2), ("batch", "Metadata_Batch", 1)])
def test_what_is_measured_is_of_plates_that_no_training_saw(nuclei, by, column, held_out):
    chosen = choose(nuclei, {**ENTRY, "split_by": by})
    of_group = chosen.groupby(column)["split"].unique()
    assert of_group.str.len().eq(1).all()
    tests = {name for name, splits in of_group.items() if splits[0] == "test"}
    assert len(tests) == held_out
    # Of the others the fraction, of these all.
    assert (chosen["split"] == "test").sum() == nuclei[column].isin(tests).sum()
    assert (chosen["split"] == "train").sum() == 0.5 * (~nuclei[column].isin(tests)).sum()


def test_validation_is_drawn_from_the_others(nuclei):
    chosen = choose(nuclei, {**ENTRY, "split_by": "batch", "val_fraction": 0.2})
    tests = set(chosen.loc[chosen["split"] == "test", "Metadata_Batch"])
    assert not tests & set(chosen.loc[chosen["split"] != "test", "Metadata_Batch"])
    assert (chosen["split"] == "val").sum() == pytest.approx(0.2 * (chosen["split"] != "test").sum(), abs=3)


def test_one_batch_cannot_be_split(nuclei):
    with pytest.raises(UserError, match=r"datasets\.mine: split_by: batch: there are 1, too few"):
        choose(nuclei[nuclei["Metadata_Batch"] == "b0"], {**ENTRY, "split_by": "batch"})
