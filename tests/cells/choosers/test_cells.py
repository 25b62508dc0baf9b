"""Which cells make a data set, and that the splits keep what they promise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phenoviews.cells.choosers.cells import choose as subset
from phenoviews.errors import UserError

ENTRY = {
    "name": "mine",
    "control": "DMSO",
    "control_columns": [2, 11],
    "compound": "taxol",
    "plates": ["P1", "P2"],
    "highest_doses": 4,
    "cells": 400,
    "split_by": "cell",
    "test_fraction": 0.2,
    "val_fraction": 0.1,
    "split_seed": 0,
}


@pytest.fixture(scope="module")
def nuclei():
    """Two plates, laid out as BBBC021's: eight doses of taxol in row D, its positive controls at 0.3 in column 2."""
    doses = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
    wells = [(f"D{10 - number:02d}", "taxol", dose) for number, dose in enumerate(doses)]
    wells += [("B02", "DMSO", 0.0), ("E11", "DMSO", 0.0), ("E02", "taxol", 0.3), ("B11", "taxol", 0.3)]
    wells += [("C05", "other", 1.0)]
    rows = [
        {
            "Metadata_Plate": plate,
            "Metadata_Well": well,
            "Metadata_Compound": compound,
            "Metadata_Concentration": dose,
            "Metadata_Control": compound == "DMSO",
            "x": float(cell),
            "y": 0.0,
        }
        for plate in ("P1", "P2")
        for well, compound, dose in wells
        for cell in range(100)
    ]
    return pd.DataFrame(rows)


def test_compound_at_its_highest_doses_with_as_many_untreated(nuclei):
    chosen = subset(nuclei, ENTRY)
    assert len(chosen) == 400
    assert chosen["class"].value_counts().to_dict() == {"DMSO": 200, "taxol": 200}
    assert set(chosen.loc[chosen["label"] == 1, "Metadata_Concentration"]) == {0.1, 0.3, 1.0, 3.0}
    assert chosen.groupby("label")["class"].unique().str.len().eq(1).all()
    assert not chosen[["Metadata_Plate", "Metadata_Well", "x"]].duplicated().any()


@pytest.mark.parametrize("test_fraction", [0.2, 1])
def test_the_control_is_not_compared_with_itself(nuclei, test_fraction):
    entry = {**ENTRY, "compound": "DMSO", "cells": None, "test_fraction": test_fraction}
    with pytest.raises(UserError, match=r"datasets\.mine\.compound: 'DMSO' is the screen's `control`"):
        subset(nuclei, entry)


def test_positive_controls_are_left_out(nuclei):
    wells = set(subset(nuclei, {**ENTRY, "cells": None})["Metadata_Well"])
    assert not wells & {"E02", "B11"}
    assert wells & {"B02", "E11"}
    assert "E02" in set(subset(nuclei, {**ENTRY, "cells": None, "control_columns": []})["Metadata_Well"])


def test_split_has_the_papers_sizes(nuclei):
    split = subset(nuclei, ENTRY)["split"].value_counts()
    assert split.to_dict() == {"train": 280, "val": 40, "test": 80}


def test_by_well_no_well_is_in_two_splits(nuclei):
    chosen = subset(nuclei, {**ENTRY, "cells": None, "split_by": "well"})
    of_well = chosen.groupby(["Metadata_Plate", "Metadata_Well"])["split"].nunique()
    assert (of_well == 1).all()
    assert set(chosen.groupby("label")["split"].unique().explode()) == {"train", "val", "test"}
    by_cell = subset(nuclei, {**ENTRY, "cells": None})
    assert (by_cell.groupby(["Metadata_Plate", "Metadata_Well"])["split"].nunique() > 1).any()


def test_every_dose_and_cell_for_measuring_only(nuclei):
    chosen = subset(nuclei, {**ENTRY, "highest_doses": None, "cells": None, "test_fraction": 1, "val_fraction": 0})
    assert set(chosen["split"]) == {"test"}
    assert len(chosen) == 2 * 100 * (8 + 2)


def test_the_seed_decides(nuclei):
    one, same, other = (subset(nuclei, {**ENTRY, "split_seed": seed}) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(one, same)
    assert not np.array_equal(one["x"], other["x"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"compound": "taxil"}, "no cells of compound 'taxil' on P1, P2"),
        ({"cells": 4000}, "2000 cells of taxol at 0.1, 0.3, 1, 3 µM are asked for, 800 are there"),
    ],
)
def test_what_cannot_be_is_said(nuclei, change, said):
    with pytest.raises(UserError, match=said):
        subset(nuclei, {**ENTRY, **change})


def test_a_plate_without_controls_is_named(nuclei):
    bare = nuclei[~(nuclei["Metadata_Control"] & (nuclei["Metadata_Plate"] == "P2"))].reset_index(drop=True)
    with pytest.raises(UserError, match="plate P2 has no untreated cells"):
        subset(bare, ENTRY)


def test_whole_plates_are_held_out(nuclei):
    chosen = subset(nuclei, {**ENTRY, "cells": None, "split_by": "plate", "val_fraction": 0})
    assert chosen.groupby("Metadata_Plate")["split"].nunique().eq(1).all()
    assert set(chosen["split"]) == {"train", "test"}
    for _, rows in chosen.groupby("split"):
        assert set(rows["class"]) == {"DMSO", "taxol"}
    with pytest.raises(UserError, match=r"datasets\.mine: split_by: plate: there are 2, too few"):
        subset(nuclei, {**ENTRY, "cells": None, "split_by": "plate"})
