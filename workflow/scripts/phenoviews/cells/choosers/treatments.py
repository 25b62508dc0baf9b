"""The annotated set of a screen: the cells of the wells whose treatments have a known mechanism of action, and of the
controls.

Of BBBC021 these are the 632 wells that Ljosa et al. (2013) scored and every paper since: 330 wells of DMSO and 302 of
103 treatments. The two official tables name 330 wells more, since taxol 0.3 µM is both a treatment (three wells of the
dose series of Week1) and the positive control of every plate; those 330 are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.cells.choosers.cells import GROUPS
from phenoviews.cells.wells import in_columns
from phenoviews.data.split import grouped, stratified
from phenoviews.errors import UserError
from phenoviews.profiles.tables import CONTROL, TREATMENT, WELL


def annotated(fields: pd.DataFrame, control_columns: Sequence[int] = ()) -> pd.DataFrame:
    """The fields of the negative controls and of the annotated treatments, in their order, with a new index.

    Args:
        fields: one row per field, with Metadata_Plate, _Well, _Compound, _Concentration (µM), _Control (bool: negative
            control) and _MoA ("" where unknown).
        control_columns: columns of the plate whose treated wells are positive controls, and left out; BBBC021: [2, 11].

    Raises:
        UserError: no annotated treatment.
    """
    control = fields[CONTROL]
    treated = ~control & (fields["Metadata_MoA"] != "") & ~in_columns(fields, list(control_columns))
    if not treated.any():
        raise UserError("annotated set: no treatment of the screen has a MoA; add a table of MoAs")
    return fields[control | treated].reset_index(drop=True)


def subset(
    table: pd.DataFrame, fraction: float, seed: int, by: Sequence[str] = (*TREATMENT, "Metadata_Batch")
) -> np.ndarray:
    """(rows,) bool: a `fraction` of the rows of every group, at least one, drawn without replacement.

    With fields as rows, and treatment and batch as groups, every treatment keeps a field and every week keeps controls
    (ambiguity B-6, default); with cells as rows and `by` plate and well it is the alternative, cells of every well. The
    draw of a group depends on `seed` and on that group alone. Groups are rounded to the nearest row, so the whole may
    be a little more than `fraction`: 0.15 of BBBC021's 2,528 fields are 400.
    """
    if not 0 < fraction <= 1:
        raise UserError(f"subset: the fraction is {fraction}; give one above 0, up to 1")
    chosen = np.zeros(len(table), dtype=bool)
    groups: Mapping[Any, Any] = table.reset_index(drop=True).groupby(list(by), sort=True).indices
    for name, rows in groups.items():
        # From the group's own name, so that a treatment more or less moves no other's draw.
        words = np.frombuffer("\0".join(map(str, name)).encode(), dtype=np.uint8)
        order = np.random.default_rng([seed, *words.tolist()]).permutation(np.sort(rows))
        chosen[order[: max(1, int(len(rows) * fraction + 0.5))]] = True
    return chosen


def evaluated(table: pd.DataFrame, chosen: np.ndarray) -> np.ndarray:
    """(rows,) bool: what a subset is evaluated on: its rows, and all rows of the controls (ambiguity B-6)."""
    kept: np.ndarray = np.asarray(chosen) | table[CONTROL].to_numpy()
    return kept


def choose(nuclei: pd.DataFrame, dataset: Mapping[str, Any]) -> pd.DataFrame:
    """Choose the cells of a `datasets` entry of kind treatments.

    Args:
        nuclei: one row per cell whose crop lies inside its field, with the `Metadata_*` columns of its field and x, y.
        dataset: name; fraction of the annotated set that is trained on; sample, what is drawn: fields of every
            treatment and week, or cells of every well (ambiguity B-6); val_fraction (B-5); split_seed; control_columns;
            split_by: none, or plate or batch, of which whole ones, `test_fraction` of all, are held out.

    Returns:
        The rows of the fraction and all controls, in their order, with split (train, val; test: controls that are
        only evaluated), label and class (the MoA, or the name of the control). Where plates or batches are held out,
        test are all rows of theirs, and the others those of the fraction.

    Raises:
        UserError: no annotated treatment on these plates, or none without controls.
    """
    name = f"datasets.{dataset['name']}"
    try:
        table = annotated(nuclei, dataset["control_columns"])
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    if not table[CONTROL].any():
        raise UserError(f"{name}: no untreated cells (`{dataset['control']}`) on its plates; add plates that have some")
    held_out = np.zeros(len(table), dtype=bool)
    if (by := dataset.get("split_by", "none")) != "none":
        try:
            split = grouped(table[GROUPS[by]].to_numpy(), by, dataset["test_fraction"], 0, dataset["split_seed"])
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        held_out = split == "test"
    if dataset["sample"] == "fields":
        field = ["Metadata_Plate", "Metadata_Field"]
        fields = table.drop_duplicates(field)
        drawn = pd.MultiIndex.from_frame(fields.loc[subset(fields, dataset["fraction"], dataset["split_seed"]), field])
        chosen = pd.MultiIndex.from_frame(table[field]).isin(drawn)
    else:
        chosen = subset(table, dataset["fraction"], dataset["split_seed"], by=WELL)
    names = np.where(table[CONTROL], table["Metadata_Compound"], table["Metadata_MoA"])
    classes, label = np.unique(names.astype(str), return_inverse=True)
    split = np.full(len(table), "test", dtype=object)
    chosen = chosen & ~held_out
    split[chosen] = "train"
    if dataset["val_fraction"]:
        there, of = np.unique(label[chosen], return_inverse=True)
        held = stratified(of, list(classes[there]), dataset["val_fraction"], 0, dataset["split_seed"]) == "test"
        split[np.flatnonzero(chosen)[held]] = "val"
    table = table.assign(split=split, label=label, **{"class": classes[label]})
    kept = chosen | held_out if held_out.any() else evaluated(table, chosen)
    return table[kept].reset_index(drop=True)
