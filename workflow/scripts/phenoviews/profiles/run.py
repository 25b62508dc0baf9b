"""From the embeddings of a run's cells to the files that panels read: profiles, scores, structure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from phenoviews.measures.tsne import tsne
from phenoviews.profiles import tables
from phenoviews.profiles.annotated import counts
from phenoviews.profiles.postprocess import postprocessed
from phenoviews.profiles.score import score
from phenoviews.profiles.structure import structure
from phenoviews.values import table

# Of the paper's map (ambiguity B-22).
MAP_SEED = 0

OF_TREATMENT = {"Metadata_Compound": "compound", "Metadata_Concentration": "concentration", "Metadata_MoA": "moa"}
TASKS = ("replicates", "moas", "moas_other_batch")
ENDINGS = {"controls": "", "all": "_all"}  # of the names of shares
WELLS = {"controls": "controls", "all": "wells"}


def evaluated(index: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of a dataset's index that are embedded and measured: those of a split, or of "all"."""
    return index if split == "all" else index[index["split"] == split].reset_index(drop=True)


def profiles(index: pd.DataFrame, embeddings: np.ndarray, across_cells: str) -> tuple[pd.DataFrame, np.ndarray]:
    """The well profiles of a dataset's cells.

    Args:
        index: the dataset's, one row per cell in the order of `embeddings`, with the `Metadata_*` of its field.
        embeddings: (cells, d), an array or a memory map.
        across_cells: mean or median.

    Returns:
        As `tables.wells`.

    Raises:
        UserError: embeddings that are not finite, wells that cannot be scored; see `tables.check`.
    """
    meta, x = tables.wells(index.filter(like="Metadata_"), embeddings, across_cells)
    tables.check(meta, x)
    return meta, x


def counted(index: pd.DataFrame) -> dict[str, Any]:
    """What a dataset of treatments holds: cells, and the `annotated.counts` of their fields."""
    return {"cells": len(index), **counts(index.drop_duplicates(["Metadata_Plate", "Metadata_Field"]))}


def as_table(meta: pd.DataFrame, x: np.ndarray) -> pd.DataFrame:
    """Profiles in the community's convention, as `python -m phenoviews.profiles` and pycytominer read them."""
    features = pd.DataFrame(x.astype(np.float32), columns=[f"encoder_{number}" for number in range(x.shape[1])])
    return pd.concat([meta.reset_index(drop=True), features], axis=1)


def scores(
    meta: pd.DataFrame, x: np.ndarray, settings: Mapping[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """What `score` finds, as values, as predictions, and in words.

    Args:
        meta, x: as from `profiles`.
        settings: of `measures.profiles` in config.yaml what `score` takes.

    Returns:
        values: with the dimension postprocessing: nsc, nscb, drop (percent and points), with their intervals and what
            they count; and for each treatment, with compound, concentration and moa, nsc_right and nscb_right: 1 or 0
            (of several batches, the mean), for the treatments that are asked.
        predictions: as from `score`.
        about: counts, left_out and notes as from `score`.
    """
    found, predictions = score(meta, x, **settings)
    rows = [
        {
            "metric": metric,
            "value": number["percent"],
            "reason": number["undefined"],
            "postprocessing": name,
            **dict(zip(["low", "high"], number["interval"] or [None, None], strict=True)),
            **({} if number["undefined"] else {key: number.get(key) for key in ("correct", "of")}),
        }
        for name, of in found["postprocessing"].items()
        for metric, number in of.items()
    ]
    asked = predictions.assign(metric=predictions["score"] + "_right", value=predictions["Correct"].astype(float))
    asked = asked.rename(columns=OF_TREATMENT)[["metric", "value", "postprocessing", *OF_TREATMENT.values()]]
    # Of a treatment in several batches NSCB asks a profile of each.
    asked = asked.groupby([*asked.columns.drop("value")], sort=False)["value"].mean().reset_index()
    values = table([*rows, *({str(key): value for key, value in row.items()} for row in asked.to_dict("records"))])
    about = {key: found[key] for key in ("counts", "left_out", "notes")}
    return values, predictions, about


def structures(meta: pd.DataFrame, x: np.ndarray, settings: Mapping[str, Any]) -> pd.DataFrame:
    """What `structure` finds, as values with the dimension postprocessing.

    Returns:
        For each of `TASKS` map_..., mean average precision; chance_..., what random rankings give; found_..., how many
        groups are above chance. And share_batch, share_plate, the adjusted η² of the controls; share_batch_all,
        share_plate_all, that of all wells.
    """
    precision, shares, _, _ = structure(meta, x, **settings)
    rows = []
    for name, of in precision.groupby("postprocessing", sort=False):
        by_task, of_shares = of.set_index("task"), shares[shares["postprocessing"] == name]
        # A post-processing that these wells do not allow has one line, which says why.
        whole = by_task.at["all", "undefined"] if "all" in by_task.index else ""
        for task in TASKS:
            line = by_task.loc[task] if task in by_task.index else {"undefined": "there are no batches"}
            reason = whole or line["undefined"]
            counted = {} if reason else {"correct": line["found"], "of": line["groups"]}
            for key in ("map", "chance", "found"):
                value = None if reason else line[key]
                rows.append({"metric": f"{key}_{task}", "value": value, "reason": reason, "postprocessing": name})
                rows[-1] |= counted if key == "found" else {}
        for (wells, ending), factor in itertools.product(ENDINGS.items(), ("batch", "plate")):
            found = of_shares[(of_shares["wells"] == wells) & (of_shares["factor"] == factor)]["adjusted"].dropna()
            reason = whole or ("" if len(found) else f"no variance among {WELLS[wells]}, or one per {factor}")
            value = None if reason else found.iloc[0]
            metric = f"share_{factor}{ending}"
            rows.append({"metric": metric, "value": value, "reason": reason, "postprocessing": name})
    return table(rows)


# The measures of profiles: (meta, x, the measure's settings) → values.
PROFILED: dict[str, Callable[[pd.DataFrame, np.ndarray, Mapping[str, Any]], pd.DataFrame]] = {
    "scores": lambda meta, x, settings: scores(meta, x, settings)[0],
    "structure": structures,
}


def mapped(meta: pd.DataFrame, x: np.ndarray, settings: Mapping[str, Any]) -> pd.DataFrame:
    """A map of the treatments: a row per treatment and post-processing, with its Metadata columns, postprocessing, x
    and y (t-SNE by cosine; arbitrary units). Arguments as for `scores`."""
    batch = meta["Metadata_Batch"].to_numpy() if "Metadata_Batch" in meta else None
    parts = []
    with threadpool_limits(1):
        regs = (settings["reg"], settings["coral_reg"], settings.get("coral_source_reg"))
        wells, _ = postprocessed(x, meta[tables.CONTROL].to_numpy(), batch, *regs)
    for name, values in wells.items():
        treatments, of = tables.treatments(meta, values, settings["across_wells"])
        place = tsne(of, np.arange(len(of)), seed=MAP_SEED, metric="cosine")
        parts.append(treatments.assign(postprocessing=name, x=place["x"], y=place["y"]))
    return pd.concat(parts, ignore_index=True)


def no_map() -> pd.DataFrame:
    """The map of the treatments, where there are no embeddings."""
    text = [*tables.TREATMENT, "Metadata_MoA", "postprocessing"]
    return pd.DataFrame({name: np.empty(0, object) for name in text} | {name: np.empty(0) for name in ("x", "y")})
