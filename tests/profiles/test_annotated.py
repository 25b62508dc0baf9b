from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phenoviews.cells.choosers.treatments import annotated, choose, evaluated, subset
from phenoviews.errors import UserError
from phenoviews.profiles.annotated import counts, treatment_list

# Of each MoA, as Perakis et al. and Ljosa et al. score them.
TREATMENTS = {
    "Actin disruptors": 5,
    "Aurora kinase inhibitors": 12,
    "Cholesterol-lowering": 6,
    "DNA damage": 9,
    "DNA replication": 8,
    "Eg5 inhibitors": 12,
    "Epithelial": 8,
    "Kinase inhibitors": 5,
    "Microtubule destabilizers": 14,
    "Microtubule stabilizers": 9,
    "Protein degradation": 7,
    "Protein synthesis": 8,
}


def test_the_official_tables_give_the_wells_that_the_literature_scores(bbbc021):
    assert counts(bbbc021) == {
        "fields": 2528,
        "wells": 632,
        "controls": 330,
        "treated": 302,
        "plates": 55,
        "batches": 10,
        "treatments": 103,
        "compounds": 38,
        "moas": 12,
        "single_batch_moas": {"Cholesterol-lowering": "Week9", "Kinase inhibitors": "Week7"},
        "nscb_treatments": 92,
    }


def test_every_treatment_has_one_week_and_two_or_three_wells(bbbc021):
    table = treatment_list(bbbc021)
    assert table["Metadata_MoA"].value_counts().to_dict() == TREATMENTS
    assert table["Metadata_Batch"].isin([f"Week{week}" for week in range(1, 11)]).all()
    assert table["wells"].value_counts().to_dict() == {3: 96, 2: 7}
    two = table[table["wells"] == 2]
    assert set(zip(two["Metadata_Compound"], two["Metadata_Concentration"], strict=True)) == {
        ("PP-2", 3), ("PP-2", 10), ("alsterpaullone", 1), ("alsterpaullone", 3), ("bryostatin", 0.3),
        ("PD-169316", 3), ("PD-169316", 10),
    }  # fmt: skip
    assert (table["fields"] == 4 * table["wells"]).all()


def test_of_taxol_the_dose_series_stays_and_the_positive_control_goes(bbbc021):
    taxol = bbbc021[(bbbc021["Metadata_Compound"] == "taxol") & (bbbc021["Metadata_Concentration"] == 0.3)]
    assert set(taxol["Metadata_Plate"] + " " + taxol["Metadata_Well"]) == {
        "Week1_22123 D05", "Week1_22141 D05", "Week1_22161 D05"
    }  # fmt: skip


def test_control_wells_of_each_week(bbbc021):
    wells = bbbc021[bbbc021["Metadata_Control"]].drop_duplicates(["Metadata_Plate", "Metadata_Well"])
    found = wells["Metadata_Batch"].value_counts()
    assert [found[f"Week{week}"] for week in range(1, 11)] == [36, 36, 36, 36, 36, 36, 30, 30, 36, 18]


def test_fifteen_percent_keeps_every_treatment_and_every_weeks_controls(bbbc021):
    chosen = subset(bbbc021, 0.15, seed=0)
    part = bbbc021[chosen]
    found = counts(part)
    assert (found["treatments"], found["moas"], found["batches"], found["nscb_treatments"]) == (103, 12, 10, 92)
    assert 0.15 * 2528 <= len(part) < 0.16 * 2528
    assert part[part["Metadata_Control"]]["Metadata_Batch"].nunique() == 10
    scored = bbbc021[evaluated(bbbc021, chosen)]
    assert counts(scored)["controls"] == 330
    assert len(scored[~scored["Metadata_Control"]]) == len(part[~part["Metadata_Control"]])
    assert (subset(bbbc021, 0.15, seed=0) == chosen).all()
    assert (subset(bbbc021, 0.15, seed=1) != chosen).any()


def test_a_group_is_drawn_whatever_other_groups_there_are():
    table = pd.DataFrame({"group": np.repeat(["a", "b", "c"], 40), "row": np.arange(120)})
    all_groups = table[subset(table, 0.25, seed=3, by=["group"])]
    fewer = table[table["group"] != "b"]
    part = fewer[subset(fewer, 0.25, seed=3, by=["group"])]
    assert part.equals(all_groups[all_groups["group"] != "b"])
    assert (all_groups.groupby("group").size() == 10).all()


def test_a_screen_without_moas_is_refused(bbbc021):
    with pytest.raises(UserError, match="no treatment of the screen has a MoA"):
        annotated(bbbc021.assign(Metadata_MoA=""))
    with pytest.raises(UserError, match="fraction"):
        subset(bbbc021, 0, seed=0)


ENTRY = {"name": "mine", "control": "DMSO", "control_columns": [2, 11], "fraction": 0.15, "sample": "fields",
         "val_fraction": 0, "split_seed": 0}  # fmt: skip


@pytest.fixture(scope="module")
def nuclei(bbbc021):
    """Three cells in every field of the annotated set, and some of a treatment without a MoA."""
    cells = bbbc021.loc[bbbc021.index.repeat(3)].reset_index(drop=True).assign(x=0.0, y=0.0)
    unknown = cells.iloc[:30].assign(Metadata_Compound="new", Metadata_MoA="", Metadata_Control=False)
    return pd.concat([unknown, cells], ignore_index=True)


def test_a_dataset_of_treatments_trains_on_the_fraction_and_scores_all_controls(nuclei):
    found = choose(nuclei, ENTRY)
    trained = found[found["split"] == "train"]
    assert counts(trained.drop_duplicates("Metadata_Field"))["treatments"] == 103
    assert len(trained.drop_duplicates(["Metadata_Plate", "Metadata_Field"])) == 400
    rest = found[found["split"] == "test"]
    assert rest["Metadata_Control"].all()
    assert found["Metadata_Control"].sum() == 3 * 1320
    assert trained["Metadata_Batch"].nunique() == 10
    assert "new" not in set(found["Metadata_Compound"])
    # Labels are MoAs, the controls' is their compound.
    assert found["class"].nunique() == 13
    assert (found.loc[found["Metadata_Control"], "class"] == "DMSO").all()
    assert (found.groupby("label")["class"].nunique() == 1).all()


def test_the_whole_set_trains_on_every_cell(nuclei):
    found = choose(nuclei, {**ENTRY, "fraction": 1})
    assert len(found) == 3 * 2528
    assert (found["split"] == "train").all()


def test_cells_of_every_well_are_the_other_way_to_draw(nuclei):
    found = choose(nuclei, {**ENTRY, "sample": "cells"})
    trained = found[found["split"] == "train"].groupby(["Metadata_Plate", "Metadata_Well"]).size()
    assert len(trained) == 632
    assert (trained == 2).all()  # 15 % of twelve


def test_some_of_the_training_cells_may_be_held_out(nuclei):
    found = choose(nuclei, {**ENTRY, "fraction": 1, "val_fraction": 0.05})
    assert (found["split"] == "val").mean() == pytest.approx(0.05, abs=0.002)
    assert set(found["split"]) == {"train", "val"}


def test_plates_without_annotated_treatments_or_controls_are_named(nuclei):
    with pytest.raises(UserError, match=r"datasets\.mine: annotated set: no treatment"):
        choose(nuclei[nuclei["Metadata_Control"]], ENTRY)
    with pytest.raises(UserError, match=r"datasets\.mine: no untreated cells"):
        choose(nuclei[~nuclei["Metadata_Control"]], ENTRY)
