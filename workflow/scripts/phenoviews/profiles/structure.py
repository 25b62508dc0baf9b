"""What a set of profiles follows besides the nearest neighbour: mean average precision, and batch and plate.

Mean average precision is that of copairs (Kalinin et al. 2025): a profile ranks others by cosine; its average precision
is 1 if all its positives come first. copairs ranks positives before negatives that are equally near, so profiles that
are all alike would get 1; they get no value here.
"""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from phenoviews.profiles.postprocess import postprocessed
from phenoviews.profiles.tables import CONTROL, TREATMENT, treatments

NULL = 1000  # random rankings behind a p-value
LEVEL = 0.05  # false discovery rate at which a group counts as found


def structure(
    meta: pd.DataFrame,
    x: np.ndarray,
    reg: float = 1.0,
    coral_reg: float = 1.0,
    coral_source_reg: float | None = None,
    across_wells: str = "median",
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean average precision and variance shares of well profiles under none, whitening and TVN.

    Args:
        meta: one row per well, as from `tables.wells`; rows without MoA are left out unless they are controls.
        x: (wells, d).
        reg, coral_reg, coral_source_reg, across_wells: as of `score.score`.
        seed: of the random rankings behind p-values.

    Returns:
        precision: postprocessing, task (see `precision`), map (mean over the task's groups), chance (mean over groups
            of what random rankings give), groups, found (groups at a false discovery rate below `LEVEL`), undefined.
        shares: postprocessing and the columns of `variance_shares`.
    """
    kept = (meta[CONTROL] | (meta["Metadata_MoA"] != "")).to_numpy()
    meta, x = meta[kept].reset_index(drop=True), np.asarray(x, dtype=np.float64)[kept]
    batch = meta["Metadata_Batch"].to_numpy() if "Metadata_Batch" in meta else None
    lines, shares = [], []
    with threadpool_limits(1):
        processed, undefined = postprocessed(x, meta[CONTROL].to_numpy(), batch, reg, coral_reg, coral_source_reg)
        for name, values in processed.items():
            lines += [{"postprocessing": name, **line} for line in precision(meta, values, across_wells, seed)]
            shares.append(variance_shares(meta, values).assign(postprocessing=name))
    lines += [{"postprocessing": name, "task": "all", "undefined": why} for name, why in undefined.items()]
    columns = ["postprocessing", "task", "map", "chance", "groups", "found", "undefined"]
    table = pd.concat(shares, ignore_index=True)
    return pd.DataFrame(lines, columns=columns).fillna({"undefined": ""}), table[
        ["postprocessing", *table.columns[:-1]]
    ]


def precision(meta: pd.DataFrame, x: np.ndarray, across_wells: str = "median", seed: int = 0) -> list[dict[str, Any]]:
    """Mean average precision at three tasks.

    replicates: a well finds the other wells of its treatment among the controls of its batch (of all, without batches).
        Controls of other batches would be told apart by the batch alone. Group: treatment.
    moas: a treatment finds those of other compounds with its MoA among those of other MoAs. Group: MoA.
    moas_other_batch: the same, among treatments of other batches only. Group: MoA.

    Args and the lines' keys: see `structure`. Wells and treatments with a zero profile have no cosine and are left out.
    """
    batches = "Metadata_Batch" in meta
    table, profiles = treatments(meta, x, across_wells)
    # A control has no replicate: each is a treatment of its own.
    treatment = meta[TREATMENT].astype(str).agg(" ".join, axis=1)
    wells = meta.assign(treatment=treatment.where(~meta[CONTROL], [f"control {i}" for i in range(len(meta))]))
    same = ["Metadata_Batch"] if batches else []
    lines = [
        _task("replicates", wells, x, ["treatment"], [], same, [CONTROL], "treatment", seed),
        _task(
            "moas", table, profiles, ["Metadata_MoA"], ["Metadata_Compound"], [], ["Metadata_MoA"], "Metadata_MoA", seed
        ),
    ]
    if batches:
        differ, negative_differ = ["Metadata_Compound", "Metadata_Batch"], ["Metadata_MoA", "Metadata_Batch"]
        task = "moas_other_batch"
        lines.append(_task(task, table, profiles, ["Metadata_MoA"], differ, [], negative_differ, "Metadata_MoA", seed))
    return lines


def _task(
    task: str,
    meta: pd.DataFrame,
    x: np.ndarray,
    same: list[str],
    differ: list[str],
    negative_same: list[str],
    negative_differ: list[str],
    group: str,
    seed: int,
) -> dict[str, Any]:
    from copairs.map import average_precision, mean_average_precision
    from copairs.matching import UnpairedException

    kept = np.linalg.norm(x, axis=1) > 0
    meta, x = meta[kept].reset_index(drop=True), x[kept]
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    # copairs keeps cosines as float32; profiles whose directions differ by less are all tied.
    if len(unit) == 0 or (unit - unit.mean(axis=0)).var(axis=0).sum() < 1e-6:
        return {"task": task, "undefined": "the profiles all have the same direction"}
    try:
        each = average_precision(
            meta, unit, pos_sameby=same, pos_diffby=differ, neg_sameby=negative_same, neg_diffby=negative_differ,
            progress_bar=False,
        )  # fmt: skip
    except UnpairedException as error:
        return {"task": task, "undefined": f"no two {'wells' if task == 'replicates' else 'treatments'} to find each "
                f"other ({str(error).rstrip('.')})"}  # fmt: skip
    each = each[(each["n_pos_pairs"] > 0) & (each["n_total_pairs"] > each["n_pos_pairs"])]
    if each.empty:
        return {"task": task, "undefined": "no profile has both a match and a mismatch to find it among"}
    # Its cache of random rankings is not named by all that they depend on: a fresh one gives the same p-values always.
    with tempfile.TemporaryDirectory() as cache:
        groups = mean_average_precision(
            each,
            [group],
            null_size=NULL,
            threshold=LEVEL,
            seed=seed,
            progress_bar=False,
            max_workers=1,
            cache_dir=cache,
        )
    chance = each.assign(chance=_chance(each["n_pos_pairs"], each["n_total_pairs"])).groupby(group)["chance"].mean()
    return {
        "task": task,
        "map": float(groups["mean_average_precision"].mean()),
        "chance": float(chance.mean()),
        "groups": len(groups),
        "found": int(groups["below_corrected_p"].sum()),
        "undefined": "",
    }


def _chance(positives: pd.Series, total: pd.Series) -> np.ndarray:
    """Expected average precision of a random ranking of `total` profiles, `positives` of which are right: with H the
    harmonic number, (m - 1)/(n - 1) + H(n)/n · (n - m)/(n - 1) (Bestgen 2015)."""
    m, n = positives.to_numpy(dtype=float), total.to_numpy(dtype=int)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n.max() + 1))])[n]
    expected: np.ndarray = (m - 1) / (n - 1) + harmonic / n * (n - m) / (n - 1)
    return expected


def variance_shares(meta: pd.DataFrame, x: np.ndarray) -> pd.DataFrame:
    """How much of the variance of well profiles is between batches, and between plates.

    The share is η² over all features at once: the sum of squares between the groups' means by the sum of squares in
    all, both summed over features; the same as the mean of the features' η² weighted by their variance, and independent
    of a rotation of the features. Of the controls it is technical, since all have the same treatment; of all wells it
    is also biology, as far as a week has its own compounds. Plates are within batches, so a plate's share contains its
    batch's.

    Returns:
        One row per wells (controls, all) and factor (batch, plate): share; chance, (k - 1)/(n - 1), which k groups of n
        wells have without any effect; adjusted, ε² = 1 - (1 - share)(n - 1)/(n - k), free of it and maybe below 0;
        groups k; n. Shares are missing where there is no variance or there are as many groups as wells.
    """
    lines = []
    for wells, rows in (("controls", meta[CONTROL].to_numpy()), ("all", np.ones(len(meta), dtype=bool))):
        for factor, column in (("batch", "Metadata_Batch"), ("plate", "Metadata_Plate")):
            if column in meta and rows.any():
                found = eta_squared(x[rows], meta.loc[rows, column].to_numpy())
                lines.append({"wells": wells, "factor": factor, **found})
    return pd.DataFrame(lines, columns=["wells", "factor", "share", "chance", "adjusted", "groups", "n"])


def eta_squared(x: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """share, chance, adjusted, groups and n of `variance_shares`, for x (n, d) in `groups` (n,)."""
    centred = x - x[0]
    centred = centred - centred.mean(axis=0)
    codes, names = pd.factorize(groups)
    n, k = len(x), len(names)
    sizes = np.bincount(codes, minlength=k)
    sums = np.zeros((k, x.shape[1]))
    np.add.at(sums, codes, centred)
    total = (centred**2).sum()
    if total == 0 or n <= k:
        return {"share": np.nan, "chance": np.nan, "adjusted": np.nan, "groups": k, "n": n}
    share = float((sums**2 / sizes[:, None]).sum() / total)
    chance = (k - 1) / (n - 1)
    return {"share": share, "chance": chance, "adjusted": 1 - (1 - share) * (n - 1) / (n - k), "groups": k, "n": n}
