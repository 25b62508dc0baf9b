"""NSC, NSCB and their drop of one set of well profiles, under each post-processing, with exact counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from phenoviews.profiles import neighbours
from phenoviews.profiles.neighbours import nearest, single_batch_moas
from phenoviews.profiles.postprocess import postprocessed
from phenoviews.profiles.tables import CONTROL, TREATMENT, constant, moas, spans_batches, treatments

SCORES = ("nsc", "nscb", "drop")


def score(
    meta: pd.DataFrame,
    x: np.ndarray,
    names: Sequence[str] | None = None,
    reg: float = 1.0,
    coral_reg: float = 1.0,
    coral_source_reg: float | None = None,
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
        reg, coral_reg, coral_source_reg: regularisers of whitening and of CORAL; see `postprocess`.
        across_wells: how wells make a treatment's profile: median or mean.
        interval_by, draws, seed: of the bootstrap; see `neighbours.intervals`.

    Returns:
        result: counts of what was scored; postprocessing → score (nsc, nscb, drop) → numbers (see
            `neighbours.counted`; drop has percent and undefined only), each with `interval` in percent; left_out, MoA →
            its only batch, that NSCB leaves out; by_batch, where treatments have wells in several batches,
            post-processing → NSC of the profiles that NSCB is of, one for each treatment in each batch, from which the
            drop is then taken; notes, sentences on what a reader should know of these profiles. What cannot be computed
            has percent None and says why in `undefined`.
        predictions: one row per post-processing, score and treatment; see `neighbours.nsc`.
    """
    batches = "Metadata_Batch" in meta
    scored = (meta[CONTROL] | (meta["Metadata_MoA"] != "")).to_numpy()
    left_out = meta[~scored]
    meta, x = meta[scored].reset_index(drop=True), np.asarray(x, dtype=np.float64)
    x = x if scored.all() else x[scored]
    control, batch = meta[CONTROL].to_numpy(), meta["Metadata_Batch"].to_numpy() if batches else None
    spanning = spans_batches(meta) if batches else meta.iloc[:0][TREATMENT]
    found, by_batch, tables = {}, {}, []
    # One thread: the order in which threads add must not decide the last bit.
    with threadpool_limits(1):
        processed, undefined = postprocessed(x, control, batch, reg, coral_reg, coral_source_reg)
        for name in list(processed):
            values = processed.pop(name)
            table, profiles = treatments(meta, values, across_wells)
            if name == "none":
                notes = _notes(meta, table, profiles, x, names, spanning)
            if len(spanning):
                apart = treatments(meta, values, across_wells, by_batch=True)
                predicted = nearest(table, profiles, ["nsc"]) | {
                    {"nsc": "nsc_by_batch"}.get(key, key): answers for key, answers in nearest(*apart).items()
                }
            else:
                predicted = nearest(table, profiles, SCORES[: 1 + batches])
            found[name] = _numbers(predicted, interval_by, draws, seed)
            if "nsc_by_batch" in predicted:
                by_batch[name] = found[name].pop("nsc_by_batch")
                del predicted["nsc_by_batch"]
            tables += [answers.assign(postprocessing=name, score=key) for key, answers in predicted.items()]
    for name, why in undefined.items():
        found[name] = {key: {"percent": None, "undefined": why, "interval": None} for key in SCORES}
    if len(left_out):
        notes.insert(0, f"{len(left_out)} rows of compounds without a MoA are left out")
        if (in_part := left_out["Metadata_Compound"].isin(table["Metadata_Compound"])).any():
            first = left_out.loc[in_part, "Metadata_Compound"].iloc[0]
            notes[0] += f"; {in_part.sum()} of them are of compounds that have one in other rows (first: {first})"
    result = {
        "counts": _counts(meta, table, x),
        "postprocessing": found,
        "by_batch": by_batch,
        "left_out": single_batch_moas(meta[~control]) if batches else {},
        "settings": {"reg": reg, "coral_reg": coral_reg, "coral_source_reg": coral_source_reg,
                     "across_wells": across_wells, "interval_by": interval_by},
        "notes": notes + _of_answers(found, by_batch),
    }  # fmt: skip
    predictions = pd.concat(tables, ignore_index=True)
    first = ["postprocessing", "score"]
    return result, predictions[[*first, *predictions.columns.drop(first)]]


def all_profiles(
    meta: pd.DataFrame,
    x: np.ndarray,
    names: Sequence[str],
    reg: float = 1.0,
    coral_reg: float = 1.0,
    coral_source_reg: float | None = None,
    across_wells: str = "median",
) -> dict[str, pd.DataFrame]:
    """The profiles of wells and of treatments under every post-processing that these wells allow, as tables in the
    community's convention: wells_none, treatments_none, wells_whitening … → Metadata columns and features (float32).
    They are those that `score` scores, and of wells without a MoA as well."""
    batch = meta["Metadata_Batch"].to_numpy() if "Metadata_Batch" in meta else None
    found = {}
    with threadpool_limits(1):
        processed, _ = postprocessed(x, meta[CONTROL].to_numpy(), batch, reg, coral_reg, coral_source_reg)
        for name in list(processed):
            values = processed.pop(name)
            columns = list(names) if name == "none" else [f"{name}_{number}" for number in range(values.shape[1])]
            for of, (table, profiles) in {
                "wells": (meta, values),
                "treatments": treatments(meta, values, across_wells),
            }.items():
                features = pd.DataFrame(profiles.astype(np.float32), columns=columns)
                found[f"{of}_{name}"] = pd.concat([table.reset_index(drop=True), features], axis=1)
    return found


def _numbers(predicted: dict[str, pd.DataFrame], by: str, draws: int, seed: int) -> dict[str, Any]:
    numbers: dict[str, Any] = {key: neighbours.counted(answers) for key, answers in predicted.items()}
    if "nscb" not in numbers:
        numbers["nscb"] = {"correct": None, "of": 0, "percent": None, "undefined": "there are no batches"}
    nsc, nscb = numbers.get("nsc_by_batch", numbers["nsc"]), numbers["nscb"]
    why = nsc["undefined"] or nscb["undefined"]
    numbers["drop"] = {"percent": None if why else nsc["percent"] - nscb["percent"], "undefined": why}
    defined = {key: answers for key, answers in predicted.items() if not numbers[key]["undefined"]}
    widths = neighbours.intervals(defined, by, draws, seed=seed) if "nsc" in defined else {}
    for key, number in numbers.items():
        number["interval"] = list(widths[key]) if key in widths else None
    return numbers


def _counts(meta: pd.DataFrame, table: pd.DataFrame, x: np.ndarray) -> dict[str, int]:
    return {
        "wells": len(meta),
        "controls": int(meta[CONTROL].sum()),
        "treatments": len(table),
        "compounds": int(table["Metadata_Compound"].nunique()),
        "moas": len({one for name in table["Metadata_MoA"].unique() for one in moas(name)}),
        "batches": int(meta["Metadata_Batch"].nunique()) if "Metadata_Batch" in meta else 0,
        "features": x.shape[1],
    }


def _notes(
    meta: pd.DataFrame,
    table: pd.DataFrame,
    profiles: np.ndarray,
    x: np.ndarray,
    names: Sequence[str] | None,
    spanning: pd.DataFrame,
) -> list[str]:
    """What a reader should know of these wells and their treatments, before any post-processing."""
    notes = []
    if (same := constant(x)).any():
        first = names[int(same.argmax())] if names is not None else f"number {same.argmax()}"
        notes.append(
            f"{same.sum()} of {x.shape[1]} features are constant (first: {first}); they tell nothing, and are kept"
        )
    spread = x[:: max(1, len(x) // 2000)].std(axis=0)
    large = spread > 100 * np.median(spread[spread > 0] if spread.any() else [0.0])
    if large.any():
        first = names[int(spread.argmax())] if names is not None else f"number {spread.argmax()}"
        notes.append(
            f"{large.sum()} of {x.shape[1]} features vary more than 100 times as much as most (first: {first}) and "
            "decide the neighbours; bring features to one scale (--normalize)"
        )
    if sets := sorted(name for name in table["Metadata_MoA"].unique() if len(moas(name)) > 1):
        notes.append(
            f"{len(sets)} MoAs are sets of several (first: {sets[0]}): two treatments have the same MoA if they share "
            "one of them"
        )
    if len(spanning):
        first = " ".join(map(str, spanning.iloc[0]))
        notes.append(
            f"{len(spanning)} treatment(s) with wells in several batches (first: {first}): NSCB is of one profile for "
            "each treatment in each batch; the drop is from the NSC of these"
        )
    if meta.loc[~meta[CONTROL], "Metadata_MoA"].nunique() == 1:
        notes.append("there is one MoA only: every neighbour has it, and the scores tell nothing")
    if "Metadata_Batch" in meta:
        treated = meta.loc[~meta[CONTROL], "Metadata_Batch"].nunique()
        if meta["Metadata_Batch"].nunique() == 1:
            notes.append("there is one batch only: NSCB is undefined, and TVN is whitening")
        elif treated == 1:
            notes.append("the treatments are all in one batch: NSCB is undefined")
    if np.allclose(profiles, profiles[0], rtol=1e-6, atol=0):
        notes.append("all treatments have almost the same profile: the encoder may have collapsed")
    return notes


def _of_answers(found: dict[str, Any], by_batch: dict[str, Any]) -> list[str]:
    """Which answers were none, or could not be right; and NSC by batch."""
    reasons = {
        "ties": "have neighbours of several MoAs at the same distance, and count as wrong",
        "zeros": "have a zero profile, without a direction: no neighbour, nobody's neighbour, and counted as wrong",
        "alone": "have no candidate to compare with, and count as wrong",
        "impossible": "have no candidate of their own MoA, and so cannot be right",
    }
    notes = [
        f"{name}, {key.upper()}: {scores[key][reason]} of {scores[key]['of']} treatments {words}"
        for name, scores in found.items()
        for key in ("nsc", "nscb")
        for reason, words in reasons.items()
        if scores[key].get(reason) and not scores[key]["undefined"]
    ]
    for name, number in by_batch.items():
        if not number["undefined"]:
            notes.append(
                f"{name}: NSC of the profiles of each treatment in each batch is {number['correct']}/{number['of']} = "
                f"{number['percent']:.1f}%"
            )
    return notes
