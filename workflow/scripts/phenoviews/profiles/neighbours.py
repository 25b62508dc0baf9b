"""NSC and NSCB: is the nearest treatment of another compound, and of another batch, one of the same MoA?

A tie and a zero profile never count as right. Where two candidates with different MoAs are equally near, there is no
prediction; a treatment whose profile is zero has no direction, so it has no neighbour and is nobody's neighbour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.errors import UserError
from phenoviews.profiles.tables import TREATMENT, moas

# Two cosines closer than this are the same: rounding over a thousand features stays well below.
SAME = 1e-12
ROWS = 512  # queries whose cosines are held at once
NONE = "(none)"
TIE, ZERO, ALONE = "tie between MoAs", "zero profile", "no candidate"


def nsc(meta: pd.DataFrame, x: np.ndarray) -> pd.DataFrame:
    """Not-same-compound: each treatment's nearest neighbour by cosine among the treatments of other compounds.

    Args:
        meta: one row per treatment, as from `tables.treatments`; a MoA may be a set of several, `a|b`, and two sets are
            the same MoA if they share one.
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
    return nearest(meta, x, ["nsc"])["nsc"]


def nscb(meta: pd.DataFrame, x: np.ndarray) -> pd.DataFrame:
    """Not-same-compound-or-batch: as `nsc`, among the treatments of other compounds and other batches.

    `meta` has one row per treatment and batch (`tables.treatments` with `by_batch`): of a treatment whose replicates
    are in several batches there is a profile for each, so that every candidate is of one batch, another than the
    query's (ambiguity B-15). MoAs that are seen in one batch only cannot be found and are left out, as queries and as
    candidates (B-14); the result has no row for them.
    """
    return nearest(meta, x, ["nscb"])["nscb"]


def nearest(meta: pd.DataFrame, x: np.ndarray, scores: Sequence[str] = ("nsc", "nscb")) -> dict[str, pd.DataFrame]:
    """`nsc` and `nscb` of the same profiles, whose cosines are worked out once: score → its table."""
    x = np.asarray(x, dtype=np.float64)
    # Scaled before the norm: a profile of tiny numbers has a direction still.
    largest = np.abs(x).max(axis=1, initial=0, keepdims=True)
    zero = largest[:, 0] == 0
    unit = x / np.where(zero[:, None], 1, largest)
    unit /= np.where(zero[:, None], 1, np.linalg.norm(unit, axis=1, keepdims=True))
    compound = pd.factorize(meta["Metadata_Compound"])[0]
    moa, sharing = _coded(meta["Metadata_MoA"])
    asked = {"nsc": np.ones(len(meta), dtype=bool)}
    batch = np.zeros(len(meta), dtype=int)
    if "nscb" in scores:
        asked["nscb"] = ~of_few_batches(meta["Metadata_MoA"], single_batch_moas(meta))
        batch = pd.factorize(meta["Metadata_Batch"])[0]
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in scores}
    for start in range(0, len(meta), ROWS):
        rows = np.arange(start, min(start + ROWS, len(meta)))
        cosine = unit[rows] @ unit.T
        same = sharing[moa[rows]][:, moa]
        others = (compound[rows][:, None] != compound) & ~zero
        for name in scores:
            here = np.flatnonzero(asked[name][rows])
            allowed = others[here]
            if name == "nscb":
                allowed = allowed & asked[name] & (batch[rows[here]][:, None] != batch)
            parts[name].append(_answers(meta, rows[here], cosine[here], allowed, same[here], moa, zero))
    return {
        name: pd.concat([meta[asked[name]].reset_index(drop=True), pd.concat(found, ignore_index=True)], axis=1)
        for name, found in parts.items()
    }


def _answers(
    meta: pd.DataFrame,
    rows: np.ndarray,
    cosine: np.ndarray,
    allowed: np.ndarray,
    same: np.ndarray,
    moa: np.ndarray,
    zero: np.ndarray,
) -> pd.DataFrame:
    """The columns of `nsc` after the Metadata for the queries `rows`, with their cosines, candidates and candidates of
    the same MoA among all profiles (queries, profiles); `moa` and `zero` (profiles,)."""
    cosine = np.where(allowed, cosine, -np.inf)
    best = cosine.max(axis=1, initial=-np.inf)
    tied = allowed & (cosine >= best[:, None] - SAME)
    first = tied.argmax(axis=1)
    candidates = allowed.sum(axis=1)
    reason = np.where((tied & (moa != moa[first][:, None])).any(axis=1), TIE, "").astype(object)
    reason[candidates == 0] = ALONE
    reason[zero[rows]] = ZERO
    found, told = ~np.isin(reason, [ALONE, ZERO]), reason == ""
    answers = meta[[*TREATMENT, "Metadata_MoA"]].iloc[first].reset_index(drop=True)
    return pd.DataFrame(
        {
            "Nearest_Compound": answers["Metadata_Compound"].where(found, ""),
            "Nearest_Concentration": answers["Metadata_Concentration"].astype(object).where(found, None),
            "Predicted_MoA": answers["Metadata_MoA"].where(told, NONE),
            "Similarity": np.where(found, best, np.nan),
            "Tied": np.where(found, tied.sum(axis=1), 0),
            "Candidates": candidates,
            "Candidates_MoA": (allowed & same).sum(axis=1),
            "Correct": told & same[np.arange(len(rows)), first],
            "Reason": reason,
        }
    )


def _coded(names: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The code of each row's MoA, and which codes (codes, codes) are the same MoA: share one of a set."""
    codes, values = pd.factorize(names)
    sets = [moas(name) for name in values]
    member = pd.get_dummies(pd.Series(sets).explode()).groupby(level=0).any().to_numpy(dtype=np.float32)
    return codes, member @ member.T > 0


def single_batch_moas(meta: pd.DataFrame) -> dict[str, str]:
    """MoA → its batch, for the MoAs that are seen in one batch only. `meta` has one row per treatment and batch, or per
    well of a treatment; every MoA of a set counts by itself."""
    if "Metadata_Batch" not in meta:
        raise UserError("NSCB needs the batch of every treatment, and there is none")
    pairs = meta[["Metadata_MoA", "Metadata_Batch"]].drop_duplicates()
    pairs = pairs.assign(Metadata_MoA=pairs["Metadata_MoA"].map(moas))
    batches = pairs.explode("Metadata_MoA").groupby("Metadata_MoA")["Metadata_Batch"].unique()
    return {str(name): found[0] for name, found in batches.items() if len(found) == 1}


def of_few_batches(names: pd.Series, single: Mapping[str, str]) -> np.ndarray:
    """(rows,) bool: whose MoAs are all among the `single_batch_moas`."""
    return np.array([single.keys() >= set(moas(name)) for name in names], dtype=bool)


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
        predictions: of `nsc` and, where it is defined, `nscb`; `nsc_by_batch`, NSC of the profiles that NSCB is of,
            where these are others: the drop is then from that.
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
    weights = weights.astype(np.float64)  # whole numbers still, and the products are BLAS's
    drawn = {}
    for name, table in sums.items():
        table = table.reindex(units, fill_value=0)
        with np.errstate(invalid="ignore"):  # a draw of left-out MoAs alone; nanquantile passes over it
            drawn[name] = 100 * (weights @ table["sum"].to_numpy()) / (weights @ table["size"].to_numpy())
    if "nscb" in drawn:
        drawn["drop"] = drawn.get("nsc_by_batch", drawn["nsc"]) - drawn["nscb"]
    tails = [(1 - level) / 2, (1 + level) / 2]
    return {name: tuple(np.nanquantile(values, tails).tolist()) for name, values in drawn.items()}
