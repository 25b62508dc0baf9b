"""From a tidy table of values to the arrays of this package."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from phenoviews.errors import NOT_YET, UserError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """One number for each class, swept value and seed.

    `left_out`: the values at which a training has none, with the reason of the first. All else is of those that stay.
    """

    y: Floats  # (seeds, values, classes)
    x: Floats  # (values,), ascending
    seeds: tuple[int, ...]
    classes: tuple[str, ...]
    left_out: dict[float, str]


def curves(values: pd.DataFrame, of: str = "class") -> Curves:
    """The curves in a table of values of one metric and one sweep.

    A value of the sweep counts where every seed has a number for every class, so that all means are over the same
    trainings; others are left out and named.

    Args:
        values: a row per number with the columns at (the swept value), seed, value (NaN where there is none) and `of`;
            swept and reason, where it has them, are for messages. Rows in which `of` is "" are trainings without
            numbers.
        of: the column of the classes, or of what takes their place.

    Raises:
        UserError: no numbers; one without its place in the sweep; two of one class and training; a class that no
            training has a number of; fewer than two values of the sweep at which nothing is missing.
    """
    name = "/".join(sorted(set(values["swept"]))) if "swept" in values else "the sweep"
    if waits := _waits(values):
        raise UserError(f"{NOT_YET}: {waits} trainings of {name}")
    if values["at"].isna().any():
        raise UserError(f"{name}: a training has no value of the sweep; name the one that it stands for")
    if (twice := values.duplicated([of, "at", "seed"])).any():
        row = values[twice].iloc[0]
        raise UserError(
            f"{name}: two numbers of {of} '{row[of]}' at {row['at']:g}, seed {row['seed']}; choose one data set, "
            "method, backbone and metric"
        )
    classes = tuple(sorted(set(values[of]) - {""}))
    grid = values.pivot(index=["at", "seed"], columns=of, values="value").reindex(columns=list(classes))
    if grid.empty or not grid.notna().any(axis=None):
        raise UserError(f"{name}: no training has a number of any {of}{_told(_reason(values))}")
    if none := [key for key in classes if grid[key].isna().all()]:
        why = _told(_reason(values[values[of] == none[0]]))
        raise UserError(f"{name}: no training has a number of {of} '{none[0]}'{why}; leave it out, or give it images")
    x, seeds = (np.array(sorted(set(values[axis])), dtype=float) for axis in ("at", "seed"))
    every = pd.MultiIndex.from_product([x, seeds], names=["at", "seed"])
    y = grid.reindex(every).to_numpy(dtype=np.float64).reshape(len(x), len(seeds), len(classes))
    whole = np.isfinite(y).all(axis=(1, 2))
    left_out = {float(at): _reason(values[values["at"] == at]) for at in x[~whole]}
    if whole.sum() < 2:
        raise UserError(
            f"{name}: {whole.sum()} of {len(x)} values have a number of every {of} and seed, and curves need two"
            f"{_told(next(iter(left_out.values()), ''))}; give it more values, or mend its trainings"
        )
    return Curves(y[whole].swapaxes(0, 1).copy(), x[whole], tuple(int(seed) for seed in seeds), classes, left_out)


def _waits(values: pd.DataFrame) -> int:
    """How many trainings may yet come: of fewer, all counts would be of another sweep."""
    if "reason" not in values:
        return 0
    late = values[values["reason"].fillna("").str.startswith(NOT_YET)]
    return len(late[["at", "seed"]].drop_duplicates())


def mean_curves(y: Floats) -> Floats:
    """The curves of the classes, (values, classes): means over the seeds of (seeds, values, classes).

    Equal means of numbers in another order differ by the rounding of floats, and would be no ties.
    """
    return np.asarray(y.mean(axis=0).round(9))


def _reason(values: pd.DataFrame) -> str:
    """The first reason why there is none, among rows; "" where none is given."""
    return next(filter(None, values.loc[values["value"].isna(), "reason"]), "") if "reason" in values else ""


def _told(reason: str) -> str:
    return f" ({reason})" if reason else ""
