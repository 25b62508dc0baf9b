"""What a set of profiles follows besides the nearest neighbour: the order of the neighbours, and batch and plate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from phenoviews.profiles.postprocess import postprocessed
from phenoviews.profiles.ranking import LEVEL, Candidates, Ranked, among_first, parts, precisions, ranked
from phenoviews.profiles.tables import CONTROL, TREATMENT, moas, spans_batches, treatments

TASKS = ("replicates", "moas", "moas_other_batch")


class Structure(NamedTuple):
    """
    precision: postprocessing, task (see `precision`), map (mean over the task's groups), chance (mean over groups of
        what random rankings give), groups, found (groups at a false discovery rate below `LEVEL`), undefined.
    shares: postprocessing and the columns of `variance_shares`.
    groups: postprocessing, task, level (treatment, compound or moa), its name (compound and concentration, or moa), and
        the columns of `ranking.precisions`.
    first: postprocessing, task (moas, moas_other_batch), and what `ranking.among_first` counts.
    """

    precision: pd.DataFrame
    shares: pd.DataFrame
    groups: pd.DataFrame
    first: pd.DataFrame


def structure(
    meta: pd.DataFrame,
    x: np.ndarray,
    reg: float = 1.0,
    coral_reg: float = 1.0,
    coral_source_reg: float | None = None,
    across_wells: str = "median",
    seed: int = 0,
    bar: bool = False,
) -> Structure:
    """Rankings and variance shares of well profiles under none, whitening and TVN.

    Args:
        meta: one row per well, as from `tables.wells`; rows without MoA are left out unless they are controls.
        x: (wells, d).
        reg, coral_reg, coral_source_reg, across_wells: as of `score.score`.
        seed: of the random rankings behind p-values.
        bar: show how far it is, on stderr, where it takes more than a second.
    """
    kept = (meta[CONTROL] | (meta["Metadata_MoA"] != "")).to_numpy()
    meta, x = meta[kept].reset_index(drop=True), np.asarray(x, dtype=np.float64)
    x = x if kept.all() else x[kept]
    batch = meta["Metadata_Batch"].to_numpy() if "Metadata_Batch" in meta else None
    lines: list[dict[str, Any]] = []
    first: list[dict[str, Any]] = []
    shares, groups = [], []
    with threadpool_limits(1), tqdm(unit="profile", delay=1, mininterval=1, disable=not bar) as shown:
        processed, undefined = postprocessed(x, meta[CONTROL].to_numpy(), batch, reg, coral_reg, coral_source_reg)
        shown.total = len(processed) * _queries(meta)
        for name in list(processed):
            values = processed.pop(name)
            shown.set_description(name, refresh=False)
            told = precision(meta, values, across_wells, seed, shown.update)
            lines += [{"postprocessing": name, **line} for line in told[0]]
            groups.append(told[1].assign(postprocessing=name))
            first += [{"postprocessing": name, **line} for line in told[2]]
            shares.append(variance_shares(meta, values).assign(postprocessing=name))
    lines += [{"postprocessing": name, "task": "all", "undefined": why} for name, why in undefined.items()]
    columns = ["postprocessing", "task", "map", "chance", "groups", "found", "undefined"]
    return Structure(
        pd.DataFrame(lines, columns=columns).fillna({"undefined": ""}),
        _named_first(pd.concat(shares, ignore_index=True)),
        _named_first(pd.concat(groups, ignore_index=True)),
        pd.DataFrame(first, columns=None if first else ["postprocessing", "task"]),
    )


def _named_first(table: pd.DataFrame) -> pd.DataFrame:
    return table[["postprocessing", *table.columns.drop("postprocessing")]]


def _queries(meta: pd.DataFrame) -> int:
    """How many queries the tasks of one post-processing have."""
    treated = meta[~meta[CONTROL]]
    counts = [len(treated), len(treated.drop_duplicates(TREATMENT))]
    if "Metadata_Batch" in meta:
        counts.append(len(treated.drop_duplicates([*TREATMENT, "Metadata_Batch"])))
    return sum(counts)


def precision(
    meta: pd.DataFrame,
    x: np.ndarray,
    across_wells: str = "median",
    seed: int = 0,
    done: Callable[[int], object] = lambda count: None,
) -> tuple[list[dict[str, Any]], pd.DataFrame, list[dict[str, Any]]]:
    """Mean average precision at three tasks, and hits among the first at the last two.

    replicates: a well finds the other wells of its treatment among the controls of its batch (of all, without batches).
        Controls of other batches would be told apart by the batch alone. Group: treatment; by compound as well.
    moas: a treatment finds those of other compounds with its MoA among those of other MoAs. Group: MoA.
    moas_other_batch: the same, for each treatment in each batch, among those of other batches only. Group: MoA.

    Of a treatment with several MoAs, `a|b`, each is a label of its own; what shares none of them is wrong.

    Returns:
        The lines of `Structure.precision`, `Structure.groups` and the lines of `Structure.first`, without the
        post-processing. Wells and treatments with a zero profile have no cosine and are left out.
    """
    lines: list[dict[str, Any]] = []
    groups: list[pd.DataFrame] = []
    first: list[dict[str, Any]] = []
    unit, rows = _units(x)
    wells = meta.iloc[rows].reset_index(drop=True)
    found: Ranked | str = _alike(unit) or _replicates(wells, unit, done)
    levels = {"treatment": TREATMENT, "compound": TREATMENT[:1]}
    lines.append(_line("replicates", found, wells, levels, seed, groups))
    for tasks in _together(meta):
        table, profiles = treatments(meta, x, across_wells, by_batch="moas_other_batch" in tasks)
        unit, rows = _units(profiles)
        table = table.iloc[rows].reset_index(drop=True)
        why = _alike(unit)
        ranks: Sequence[Ranked | str] = [why] * len(tasks) if why else _same_moa(table, unit, tasks, done)
        for task, of in zip(tasks, ranks, strict=True):
            lines.append(_line(task, of, table, {"moa": []}, seed, groups))
            if not isinstance(of, str) and len(of.query):
                first.append({"task": task, "treatments": len(of.query), **among_first(of)})
    return lines, pd.concat(groups, ignore_index=True), first


def _together(meta: pd.DataFrame) -> list[list[str]]:
    """The tasks of treatments; those that are of the same profiles are together, and rank the same cosines."""
    if "Metadata_Batch" not in meta:
        return [["moas"]]
    tasks = ["moas", "moas_other_batch"]
    return [[task] for task in tasks] if len(spans_batches(meta)) else [tasks]


def _line(
    task: str,
    found: Ranked | str,
    table: pd.DataFrame,
    levels: dict[str, list[str]],
    seed: int,
    groups: list[pd.DataFrame],
) -> dict[str, Any]:
    """The line of a task, from what `ranked` found or why it could not; its groups are added to `groups`, by level:
    columns of `table`, or the labels where there are none."""
    empty = pd.DataFrame(columns=["task", "level", *TREATMENT, "Metadata_MoA"])
    groups.append(empty)
    if isinstance(found, str):
        return {"task": task, "undefined": found}
    if not (found.positives > 0).any():
        what = "wells" if task == "replicates" else "treatments"
        return {"task": task, "undefined": f"no two {what} to find each other (there are no positive pairs)"}
    if np.isnan(found.precision).all():
        return {"task": task, "undefined": "no profile has both a match and a mismatch to find it among"}
    tables = {}
    for level, columns in levels.items():
        names = table.loc[found.query, columns] if columns else pd.DataFrame({"Metadata_MoA": found.label})
        tables[level] = precisions(found, names.reset_index(drop=True), seed).assign(task=task, level=level)
        groups.append(tables[level])
    main = next(iter(tables.values()))
    return {
        "task": task,
        "map": float(main["map"].mean()),
        "chance": float(main["chance"].mean()),
        "groups": len(main),
        "found": int((main["q"] < LEVEL).sum()),
        "undefined": "",
    }


def _units(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of x that are not zero, scaled to length 1, and which these are."""
    largest = np.abs(x).max(axis=1, initial=0)
    rows = np.flatnonzero(largest > 0)
    unit = x[rows] / largest[rows, None]
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return unit, rows


def _alike(unit: np.ndarray) -> str:
    """Why profiles (n, d) of length 1 cannot be ranked, or ""."""
    if len(unit) == 0 or (unit - unit.mean(axis=0)).var(axis=0).sum() < 1e-6:
        return "the profiles all have the same direction"
    return ""


def _replicates(meta: pd.DataFrame, unit: np.ndarray, done: Callable[[int], object]) -> Ranked:
    controls = np.flatnonzero(meta[CONTROL])
    treated = np.flatnonzero(~meta[CONTROL])
    code = meta.groupby(TREATMENT, sort=True).ngroup().to_numpy()
    batch = pd.factorize(meta["Metadata_Batch"])[0] if "Metadata_Batch" in meta else np.zeros(len(meta), dtype=int)
    by_code = {of: treated[rows] for of, rows in pd.Series(code[treated]).groupby(code[treated]).indices.items()}

    def candidates(block: np.ndarray) -> list[Candidates]:
        right = []
        for query in block:
            others = by_code[code[query]]
            right.append([("", unit[others[others != query]] @ unit[query])])
        return [Candidates(unit[block] @ unit[controls].T, batch[block][:, None] == batch[controls], right)]

    return ranked(parts(treated[np.argsort(code[treated], kind="stable")], len(controls)), candidates, done)[0]


def _same_moa(
    meta: pd.DataFrame, unit: np.ndarray, tasks: Sequence[str], done: Callable[[int], object]
) -> list[Ranked]:
    compound = pd.factorize(meta["Metadata_Compound"])[0]
    batch = pd.factorize(meta["Metadata_Batch"])[0] if "Metadata_Batch" in meta else compound
    sets = [moas(name) for name in meta["Metadata_MoA"]]
    labels = sorted({label for each in sets for label in each})
    of = {label: np.array([label in each for each in sets]) for label in labels}
    with_any = {each: np.logical_or.reduce([of[label] for label in each]) for each in set(sets)}

    def candidates(block: np.ndarray) -> list[Candidates]:
        cosines = unit[block] @ unit.T
        found = []
        for task in tasks:
            others = compound[block][:, None] != compound
            if task == "moas_other_batch":
                others &= batch[block][:, None] != batch
            right = [
                [(label, cosines[at, others[at] & of[label]]) for label in sets[query]]
                for at, query in enumerate(block)
            ]
            for at, query in enumerate(block):
                others[at] &= ~with_any[sets[query]]
            found.append(Candidates(cosines, others, right))
        return found

    return ranked(parts(np.arange(len(meta)), len(meta)), candidates, done)


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
    centred /= np.abs(centred).max(initial=0) or 1  # so that the squares of tiny numbers are not 0
    codes, names = pd.factorize(groups)
    n, k = len(x), len(names)
    sizes = np.bincount(codes, minlength=k)
    order = np.argsort(codes, kind="stable")
    sums = np.add.reduceat(centred[order], np.concatenate([[0], np.cumsum(sizes)[:-1]]), axis=0)
    total = np.vdot(centred, centred)
    if total == 0 or n <= k:
        return {"share": np.nan, "chance": np.nan, "adjusted": np.nan, "groups": k, "n": n}
    share = float((sums**2 / sizes[:, None]).sum() / total)
    chance = (k - 1) / (n - 1)
    return {"share": share, "chance": chance, "adjusted": 1 - (1 - share) * (n - 1) / (n - k), "groups": k, "n": n}
