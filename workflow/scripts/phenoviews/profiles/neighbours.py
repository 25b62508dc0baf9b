"""NSC and NSCB: is the nearest treatment of another compound, and of another batch, one of the same MoA?

A tie and a zero profile never count as right. Where two candidates with different MoAs are equally near, there is no
prediction; a treatment whose profile is zero has no direction, so it has no neighbour and is nobody's neighbour.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.errors import UserError
from phenoviews.profiles.tables import TREATMENT

# Two cosines closer than this are the same: rounding over a thousand features stays well below.
SAME = 1e-12
NONE = "(none)"
TIE, ZERO, ALONE = "tie between MoAs", "zero profile", "no candidate"


def nsc(meta: pd.DataFrame, x: np.ndarray) -> pd.DataFrame:
    """Not-same-compound: each treatment's nearest neighbour by cosine among the treatments of other compounds.

    Args:
        meta: one row per treatment, as from `tables.treatments`.
        x: (treatments, d) their profiles.

    Returns:
        One row per treatment with its Metadata columns and
        Nearest_Compound, Nearest_Concentration: the nearest candidate (the first of several that are tied),
        Predicted_MoA: its MoA; "(none)" where there is no prediction,
        Similarity: its cosine,
        Tied: how many candidates share the greatest cosine,
        Candidates, Candidates_MoA: how many had a direction, and how many of those are of the treatment's own MoA,
        Correct: bool,
        Reason: why there is no prediction: a tie between MoAs, a zero profile, no candidate; else "".
    """
    return _nearest(meta, x, batches=False)


def nscb(meta: pd.DataFrame, x: np.ndarray) -> pd.DataFrame:
    """Not-same-compound-or-batch: as `nsc`, among the treatments of other compounds and other batches.

    MoAs that are seen in one batch only cannot be found and are left out, as queries and as candidates (ambiguity
    B-14); the result has no row for them. Batches are compared as they are in `Metadata_Batch` (B-15): a treatment with
    wells in Week1 and Week2 has another batch than one in Week1 alone.
    """
    kept = ~meta["Metadata_MoA"].isin(list(single_batch_moas(meta))).to_numpy()
    return _nearest(meta[kept].reset_index(drop=True), np.asarray(x)[kept], batches=True)


def single_batch_moas(meta: pd.DataFrame) -> dict[str, str]:
    """MoA → its batch, for the MoAs that are seen in one batch only. `meta` has one row per treatment."""
    if "Metadata_Batch" not in meta:
        raise UserError("NSCB needs the batch of every treatment, and there is none")
    batches = meta.groupby("Metadata_MoA")["Metadata_Batch"].unique()
    return {str(moa): found[0] for moa, found in batches.items() if len(found) == 1}


def counted(predictions: pd.DataFrame) -> dict[str, Any]:
    """The score of `predictions`: correct, of, percent (None where undefined), undefined (why; "" where defined), and
    how many treatments had no prediction for each reason: ties, zeros, alone; and impossible, those with candidates of
    which none is of their MoA."""
    undefined = ""
    if predictions.empty:
        undefined = "every MoA is seen in one batch only"
    elif (predictions["Reason"] == ALONE).all():
        undefined = "no treatment has a candidate to compare it with"
    k, n = int(predictions["Correct"].sum()), len(predictions)
    reasons = predictions["Reason"]
    return {
        "correct": None if undefined else k,
        "of": n,
        "percent": None if undefined else 100 * k / n,
        "undefined": undefined,
        "ties": int((reasons == TIE).sum()),
        "zeros": int((reasons == ZERO).sum()),
        "alone": int((reasons == ALONE).sum()),
        "impossible": int(((predictions["Candidates"] > 0) & (predictions["Candidates_MoA"] == 0)).sum()),
    }


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Treatments by true MoA (rows) and predicted MoA (columns; "(none)" last, if any had no prediction): counts."""
    moas = sorted(set(predictions["Metadata_MoA"]) | (set(predictions["Predicted_MoA"]) - {NONE}))
    columns = [*moas, *([NONE] if (predictions["Predicted_MoA"] == NONE).any() else [])]
    counts = pd.crosstab(predictions["Metadata_MoA"], predictions["Predicted_MoA"])
    return counts.reindex(index=moas, columns=columns, fill_value=0)


def intervals(
    predictions: Mapping[str, pd.DataFrame],
    by: str = "treatment",
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Bootstrap percentile intervals, in percent, of NSC, NSCB and their drop.

    The treatments that ask are drawn again, with replacement; those that answer stay, since a gallery that lacks a
    third of its treatments would be another, harder task. So the interval tells how much the score hangs on which
    treatments were asked, not on the training: seeds tell that. Where all are right the interval has no width.

    Args:
        predictions: of `nsc` and, where it is defined, `nscb`.
        by: what is drawn: `treatment`, or `compound` with all its treatments, which are not independent.
        draws: how many.
        level: of the interval.
        seed: of the draws.

    Returns:
        nsc, nscb, drop → (low, high), for those that are given.
    """
    if by not in ("treatment", "compound"):
        raise UserError(f"intervals: {by!r} is neither treatment nor compound")
    keys = TREATMENT[:1] if by == "compound" else TREATMENT
    sums = {name: table.groupby(keys)["Correct"].agg(["sum", "size"]) for name, table in predictions.items()}
    units = sums["nsc"].index
    weights = np.random.default_rng(seed).multinomial(len(units), np.full(len(units), 1 / len(units)), size=draws)
    drawn = {}
    for name, table in sums.items():
        table = table.reindex(units, fill_value=0)
        with np.errstate(invalid="ignore"):  # a draw of left-out MoAs alone; nanquantile passes over it
            drawn[name] = 100 * (weights @ table["sum"].to_numpy()) / (weights @ table["size"].to_numpy())
    if "nscb" in drawn:
        drawn["drop"] = drawn["nsc"] - drawn["nscb"]
    tails = [(1 - level) / 2, (1 + level) / 2]
    return {name: tuple(np.nanquantile(values, tails).tolist()) for name, values in drawn.items()}


def _nearest(meta: pd.DataFrame, x: np.ndarray, batches: bool) -> pd.DataFrame:
    x = np.asarray(x, dtype=np.float64)
    # Scaled before the norm: a profile of tiny numbers has a direction still.
    largest = np.abs(x).max(axis=1, initial=0, keepdims=True)
    zero = largest[:, 0] == 0
    unit = x / np.where(zero[:, None], 1, largest)
    unit /= np.where(zero[:, None], 1, np.linalg.norm(unit, axis=1, keepdims=True))
    compound, concentration, moa = (meta[column].to_numpy() for column in (*TREATMENT, "Metadata_MoA"))
    allowed = _different(meta["Metadata_Compound"]) & ~zero[None, :]
    if batches:
        allowed &= _different(meta["Metadata_Batch"])
    similarity = np.where(allowed, unit @ unit.T, -np.inf)
    rows = []
    for query in range(len(meta)):
        row = {
            "Nearest_Compound": "",
            "Nearest_Concentration": None,
            "Predicted_MoA": NONE,
            "Similarity": np.nan,
            "Tied": 0,
            "Candidates": int(allowed[query].sum()),
            "Candidates_MoA": int((allowed[query] & (moa == moa[query])).sum()),
            "Correct": False,
            "Reason": "",
        }
        if zero[query]:
            row["Reason"] = ZERO
        elif row["Candidates"] == 0:
            row["Reason"] = ALONE
        else:
            best = similarity[query].max()
            tied = np.flatnonzero(similarity[query] >= best - SAME)
            row |= {
                "Nearest_Compound": compound[tied[0]],
                "Nearest_Concentration": concentration[tied[0]],
                "Similarity": float(best),
                "Tied": len(tied),
            }
            if len(set(moa[tied])) > 1:
                row["Reason"] = TIE
            else:
                row |= {"Predicted_MoA": moa[tied[0]], "Correct": bool(moa[tied[0]] == moa[query])}
        rows.append(row)
    columns = ["Nearest_Compound", "Nearest_Concentration", "Predicted_MoA", "Similarity", "Tied", "Candidates",
               "Candidates_MoA", "Correct", "Reason"]  # fmt: skip
    found = pd.DataFrame(rows, columns=columns)
    found = found.astype({"Correct": bool, "Tied": int, "Candidates": int, "Candidates_MoA": int})
    return pd.concat([meta.reset_index(drop=True), found], axis=1)


def _different(column: pd.Series) -> np.ndarray:
    values = pd.factorize(column)[0]
    different: np.ndarray = values[:, None] != values[None, :]
    return different
