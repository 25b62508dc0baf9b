"""The cells of a data set: one compound at its highest doses and as many untreated cells, with splits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from phenoviews import spelling
from phenoviews.cells.wells import in_columns
from phenoviews.data.split import grouped, stratified
from phenoviews.errors import UserError

# What `split_by` may keep whole besides wells, and its column.
GROUPS = {"plate": "Metadata_Plate", "batch": "Metadata_Batch"}


def choose(nuclei: pd.DataFrame, dataset: Mapping[str, Any]) -> pd.DataFrame:
    """Choose the cells of a `datasets` entry of kind cells (*No Free Lunch*, 2.2 and B).

    Args:
        nuclei: one row per cell whose crop lies inside its field, of all the entry's plates, with the `Metadata_*`
            columns of its field and x, y.
        dataset: name; plates; compound; highest_doses (how many, None for all); cells (of both classes together, drawn
            at random; None for all); split_by (cell, well, plate or batch), test_fraction, val_fraction, split_seed; of
            its screen control and control_columns, columns of the plate whose treated wells are positive controls and
            left out (ambiguity A-35).

    Returns:
        The chosen rows, in the order of `nuclei`, with split, label (0 untreated, 1 treated) and class (compound). The
        untreated are from the same plates as the treated.

    Raises:
        UserError: the compound is on none of the plates, a plate without untreated cells, fewer cells than asked for.
    """
    name, compound = f"datasets.{dataset['name']}", dataset["compound"]
    if compound == dataset["control"]:
        raise UserError(f"{name}.compound: '{compound}' is the screen's `control`, which it is compared with; name "
                        "another compound")  # fmt: skip
    treated = nuclei[(nuclei["Metadata_Compound"] == compound) & ~in_columns(nuclei, dataset["control_columns"])]
    if treated.empty:
        where, side = ", ".join(dataset["plates"]), dataset.get("side", "")
        raise UserError(
            f"{name}: no cells of compound '{compound}' on {where} that lie in crops of `side: {side}` and outside the "
            "columns of positive controls; check `side`, `control_columns`, and the pictures of the plates' nuclei"
        )
    doses = np.sort(treated["Metadata_Concentration"].unique())
    if dataset["highest_doses"]:
        doses = doses[-dataset["highest_doses"] :]
    treated = treated[treated["Metadata_Concentration"].isin(doses)]
    controls = nuclei[nuclei["Metadata_Control"] & nuclei["Metadata_Plate"].isin(treated["Metadata_Plate"].unique())]
    if bare := sorted(set(treated["Metadata_Plate"]) - set(controls["Metadata_Plate"])):
        raise UserError(f"{name}: plate {bare[0]} has no untreated cells (`{dataset['control']}`); leave the plate out")
    if dataset["cells"]:
        wanted, rng = dataset["cells"] // 2, np.random.default_rng(dataset["split_seed"])
        for what, there in (
            (f"of {compound} at {_listed(doses)} {spelling.unit(dataset.get('unit', 'µM'))[0]}", treated),
            ("untreated", controls),
        ):
            if len(there) < wanted:
                raise UserError(
                    f"{name}: {wanted} cells {what} are asked for, {len(there)} are there; lower `cells` or add plates"
                )
        controls, treated = (of.iloc[rng.permutation(len(of))[:wanted]] for of in (controls, treated))
    chosen: pd.DataFrame = pd.concat([controls, treated]).sort_index()
    label = (~chosen["Metadata_Control"]).to_numpy(np.int64)
    wells = chosen["Metadata_Plate"] + "/" + chosen["Metadata_Well"]
    groups = chosen[GROUPS[dataset["split_by"]]] if dataset["split_by"] in GROUPS else wells
    chosen = chosen.assign(split=splits(label, groups, dataset), label=label, **{"class": chosen["Metadata_Compound"]})
    return chosen.reset_index(drop=True)


def splits(label: np.ndarray, groups: pd.Series, dataset: Mapping[str, Any]) -> np.ndarray:
    """ "train", "val" or "test" of each cell: drawn by cell as in the paper, or by well, so that no well is in two
    splits (ambiguity A-36); or whole plates or batches, so that what is measured is of those that no training saw.
    `groups`: the well, plate or batch of each cell."""
    fractions, seed = (dataset["test_fraction"], dataset["val_fraction"]), dataset["split_seed"]
    if fractions[0] == 1:
        return np.full(len(label), "test", dtype=object)
    try:
        if dataset["split_by"] == "cell":
            return stratified(label, ["untreated", "treated"], *fractions, seed)
        if dataset["split_by"] in GROUPS:
            return grouped(groups.to_numpy(), dataset["split_by"], *fractions, seed)
        of_well = pd.Series(label, index=groups.to_numpy()).groupby(level=0).first()
        drawn = stratified(of_well.to_numpy(), ["wells of untreated", "wells of treated"], *fractions, seed)
        split: np.ndarray = groups.map(dict(zip(of_well.index, drawn, strict=True))).to_numpy(object)
        return split
    except UserError as error:
        raise UserError(f"datasets.{dataset['name']}: {error}") from None


def _listed(doses: np.ndarray) -> str:
    return ", ".join(f"{dose:g}" for dose in doses)
