"""NSC, NSCB and their drop of one set of well profiles, under each post-processing, with exact counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from phenoviews.profiles import neighbours
from phenoviews.profiles.postprocess import postprocessed
from phenoviews.profiles.tables import CONTROL, TREATMENT, constant, treatments

SCORES = ("nsc", "nscb", "drop")


def score(
    meta: pd.DataFrame,
    x: np.ndarray,
    names: Sequence[str] | None = None,
    reg: float = 1.0,
    coral_reg: float = 1.0,
    across_wells: str = "median",
    interval_by: str = "treatment",
    draws: int = 2000,
    seed: int = 0,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The scores of well profiles under none, whitening and TVN.

    Args:
        meta: one row per well, as from `tables.wells`. Without `Metadata_Batch` there are no NSCB, drop and TVN.
        x: (wells, d).
        names: of the features, for the notes.
        reg, coral_reg: regularisers of whitening and of CORAL.
        across_wells: how wells make a treatment's profile: median or mean.
        interval_by, draws, seed: of the bootstrap; see `neighbours.intervals`.

    Returns:
        result: counts of what was scored; postprocessing → score (nsc, nscb, drop) → numbers (see
            `neighbours.counted`; drop has percent and undefined only), each with `interval` in percent; left_out, MoA →
            its only batch, that NSCB leaves out; notes, sentences on what a reader should know of these profiles. What
            cannot be computed has percent None and says why in `undefined`.
        predictions: one row per post-processing, score and treatment; see `neighbours.nsc`.
    """
    batches = "Metadata_Batch" in meta
    scored = (meta[CONTROL] | (meta["Metadata_MoA"] != "")).to_numpy()
    meta, x = meta[scored].reset_index(drop=True), np.asarray(x, dtype=np.float64)[scored]
    control, batch = meta[CONTROL].to_numpy(), meta["Metadata_Batch"].to_numpy() if batches else None
    found, tables = {}, []
    # One thread: the order in which threads add must not decide the last bit.
    with threadpool_limits(1):
        processed, undefined = postprocessed(x, control, batch, reg, coral_reg)
        for name, values in processed.items():
            found[name], predicted = _scores(*treatments(meta, values, across_wells), interval_by, draws, seed)
            tables += [table.assign(postprocessing=name, score=key) for key, table in predicted.items()]
    for name, why in undefined.items():
        found[name] = {key: {"percent": None, "undefined": why, "interval": None} for key in SCORES}
    table, profiles = treatments(meta, x, across_wells)
    result = {
        "counts": _counts(meta, table, x),
        "postprocessing": found,
        "left_out": neighbours.single_batch_moas(table) if batches else {},
        "settings": {"reg": reg, "coral_reg": coral_reg, "across_wells": across_wells, "interval_by": interval_by},
        "notes": _notes(table, profiles, x, names, found, int((~scored).sum())),
    }
    predictions = pd.concat(tables, ignore_index=True)
    first = ["postprocessing", "score"]
    return result, predictions[[*first, *predictions.columns.drop(first)]]


def _scores(
    table: pd.DataFrame, x: np.ndarray, by: str, draws: int, seed: int
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    batches = "Metadata_Batch" in table
    predicted = {"nsc": neighbours.nsc(table, x)} | ({"nscb": neighbours.nscb(table, x)} if batches else {})
    numbers: dict[str, Any] = {key: neighbours.counted(predictions) for key, predictions in predicted.items()}
    if not batches:
        numbers["nscb"] = {"correct": None, "of": 0, "percent": None, "undefined": "there are no batches"}
    nsc, nscb = numbers["nsc"], numbers["nscb"]
    why = nsc["undefined"] or nscb["undefined"]
    numbers["drop"] = {"percent": None if why else nsc["percent"] - nscb["percent"], "undefined": why}
    defined = {key: predictions for key, predictions in predicted.items() if not numbers[key]["undefined"]}
    widths = neighbours.intervals(defined, by, draws, seed=seed) if "nsc" in defined else {}
    for key, number in numbers.items():
        number["interval"] = list(widths[key]) if key in widths else None
    return numbers, predicted


def _counts(meta: pd.DataFrame, table: pd.DataFrame, x: np.ndarray) -> dict[str, int]:
    return {
        "wells": len(meta),
        "controls": int(meta[CONTROL].sum()),
        "treatments": len(table),
        "compounds": int(table["Metadata_Compound"].nunique()),
        "moas": int(table["Metadata_MoA"].nunique()),
        "batches": int(meta["Metadata_Batch"].nunique()) if "Metadata_Batch" in meta else 0,
        "features": x.shape[1],
    }


def _notes(
    table: pd.DataFrame,
    profiles: np.ndarray,
    x: np.ndarray,
    names: Sequence[str] | None,
    found: dict[str, Any],
    unknown: int,
) -> list[str]:
    notes = []
    if unknown:
        notes.append(f"{unknown} rows of compounds without a MoA are left out")
    if (same := constant(x)).any():
        first = names[int(same.argmax())] if names is not None else f"number {same.argmax()}"
        notes.append(
            f"{same.sum()} of {x.shape[1]} features are constant (first: {first}); they tell nothing, and are kept"
        )
    if "Metadata_Batch" in table:
        several = table[table["Metadata_Batch"].str.contains(",")]
        if len(several):
            first = " ".join(map(str, several.iloc[0][TREATMENT]))
            notes.append(
                f"{len(several)} treatment(s) with wells in several batches (first: {first}): NSCB compares whole "
                "lists of batches, so such a treatment may be the neighbour of one in a batch of its list"
            )
        if table["Metadata_Batch"].nunique() == 1:
            notes.append("there is one batch only: NSCB is undefined, and TVN is whitening")
    reasons = {
        "ties": "have neighbours of several MoAs at the same distance, and count as wrong",
        "zeros": "have a zero profile, without a direction: no neighbour, nobody's neighbour, and counted as wrong",
        "alone": "have no candidate to compare with, and count as wrong",
        "impossible": "have no candidate of their own MoA, and so cannot be right",
    }
    for name, scores in found.items():
        for key in ("nsc", "nscb"):
            for reason, words in reasons.items():
                if scores[key].get(reason) and not scores[key]["undefined"]:
                    notes.append(
                        f"{name}, {key.upper()}: {scores[key][reason]} of {scores[key]['of']} treatments {words}"
                    )
    if np.allclose(profiles, profiles[0], rtol=1e-6, atol=0):
        notes.append("all treatments have almost the same profile: the encoder may have collapsed")
    return notes
