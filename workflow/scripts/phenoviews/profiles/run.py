"""From the embeddings of a run's cells to the files that panels read: profiles, scores, structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from phenoviews.measures.tsne import tsne
from phenoviews.profiles import tables
from phenoviews.profiles.annotated import counts
from phenoviews.profiles.postprocess import postprocessed
from phenoviews.profiles.score import TITLES, score
from phenoviews.profiles.structure import structure

# Of the paper's map (ambiguity B-22).
MAP_SEED = 0


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
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """What `score` finds, as a measure file, as predictions, and as a map of the treatments.

    Args:
        meta, x: as from `profiles`.
        settings: of `measures.profiles` in config.yaml what `score` takes.

    Returns:
        numbers: postprocessings → {nsc, nscb, drop (percent and points, None where undefined), counts {score: [right,
            of]}, intervals {score: [low, high]}, reasons {score: why undefined}}; counts, left_out and notes as from
            `score`.
        predictions: as from `score`.
        mapped: a row per treatment and post-processing: its Metadata columns, postprocessing, x and y (t-SNE by
            cosine; arbitrary units), nsc and nscb (whether it was right; missing where it is not asked).
    """
    found, predictions = score(meta, x, **settings)
    numbers = {
        "postprocessings": {name: _numbers(of) for name, of in found["postprocessing"].items()},
        **{key: found[key] for key in ("counts", "left_out", "notes")},
    }
    return numbers, predictions, _mapped(meta, x, settings, predictions)


def structures(meta: pd.DataFrame, x: np.ndarray, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What `structure` finds, as a measure file: postprocessings → {map_replicates, map_moas, map_moas_other_batch,
    share_batch, share_plate (adjusted η² of the controls), reasons}, and the whole tables as `precision`, `shares`."""
    precision, shares = structure(meta, x, **settings)
    found: dict[str, dict[str, Any]] = {}
    for row in precision.itertuples():
        tasks = ("replicates", "moas", "moas_other_batch") if row.task == "all" else (row.task,)
        of = found.setdefault(row.postprocessing, {"reasons": {}})
        for task in tasks:
            of[f"map_{task}"] = None if row.undefined else row.map
            if row.undefined:
                of["reasons"][f"map_{task}"] = row.undefined
        if row.task == "all":
            of["reasons"] |= {f"share_{factor}": row.undefined for factor in ("batch", "plate")}
    controls = shares[shares["wells"] == "controls"]
    for name, of in found.items():
        for factor in ("batch", "plate"):
            rows = controls[(controls["postprocessing"] == name) & (controls["factor"] == factor)]
            of[f"share_{factor}"] = float(rows["adjusted"].iloc[0]) if rows["adjusted"].notna().any() else None
            if of[f"share_{factor}"] is None:
                of["reasons"].setdefault(f"share_{factor}", f"no variance among controls, or one per {factor}")
        of.setdefault("map_moas_other_batch", None)
    return {
        "postprocessings": found,
        "precision": tables.plain(precision),
        "shares": tables.plain(shares),
    }


def _numbers(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    defined = {key: number for key, number in found.items() if number["percent"] is not None}
    return {
        **{key: found[key]["percent"] for key in TITLES},
        "counts": {key: [number["correct"], number["of"]] for key, number in defined.items() if "correct" in number},
        "intervals": {key: number["interval"] for key, number in defined.items()},
        "reasons": {key: number["undefined"] for key, number in found.items() if number["percent"] is None},
    }


def _mapped(meta: pd.DataFrame, x: np.ndarray, settings: Mapping[str, Any], predictions: pd.DataFrame) -> pd.DataFrame:
    batch = meta["Metadata_Batch"].to_numpy() if "Metadata_Batch" in meta else None
    parts = []
    with threadpool_limits(1):
        wells, _ = postprocessed(x, meta[tables.CONTROL].to_numpy(), batch, settings["reg"], settings["coral_reg"])
    for name, values in wells.items():
        table, of = tables.treatments(meta, values, settings["across_wells"])
        place = tsne(of, np.arange(len(of)), seed=MAP_SEED, metric="cosine")
        table = table.assign(postprocessing=name, x=place["x"], y=place["y"])
        for key in ("nsc", "nscb"):
            asked = predictions[(predictions["postprocessing"] == name) & (predictions["score"] == key)]
            right = asked.set_index(tables.TREATMENT)["Correct"].to_dict()
            treatments = table[tables.TREATMENT].itertuples(index=False, name=None)
            table[key] = pd.array([right.get(treatment) for treatment in treatments], dtype="boolean")
        parts.append(table)
    return pd.concat(parts, ignore_index=True)
