"""Measured values as tidy tables: one row per value, in one form for every measure.

A table of values has the columns

    metric        text
    value         float; NaN where there is none
    reason        text: why there is no value; "" where there is one
    correct, of   float: of a value that counts something, how many of how many; else NaN
    low, high     float: the ends of its interval; else NaN

and any number of dimensions, named freely, which tell the values of a metric apart: text, "" where a metric does not
have the dimension, or float, NaN where it does not (`study.metrics` tells what they are called in print). No two rows
have the same metric and dimensions. The dimensions of the run (dataset, transform, method, backbone, seed) are the
file's path; `gather` adds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.errors import UserError
from phenoviews.files import atomic
from phenoviews.study.metrics import AXES, RUN, SWEPT
from phenoviews.study.names import swept

COUNTED = ["correct", "of", "low", "high"]
FIXED = ["metric", "value", "reason", *COUNTED]
NO_DIMENSION = [*FIXED, "source"]


def table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table of values.

    Args:
        rows: each with metric and value (None or NaN where there is none, and then with reason), and its dimensions.

    Raises:
        ValueError: what is no table of values; see `checked`.
    """
    return checked(pd.DataFrame(list(rows)))


def missing(metrics: Iterable[str], reason: str) -> pd.DataFrame:
    """The table of values of a measure that could not be made: each of its metrics, without a value, and why."""
    return table({"metric": metric, "value": np.nan, "reason": reason} for metric in metrics)


def dimensions(values: pd.DataFrame) -> list[str]:
    """The dimensions of a table of values, those of the run included where it has them."""
    return [column for column in map(str, values.columns) if column not in NO_DIMENSION]


def checked(values: pd.DataFrame, of_one_run: bool = True) -> pd.DataFrame:
    """A copy of `values` in the form above: `FIXED` first, those that are missing filled in; numbers are float.

    `of_one_run`: the path of the file tells the run, so that its dimensions are not among those of the values.

    Raises:
        ValueError: no rows or no metric, a value that is infinite, a value with a reason or without both, a dimension
            that is neither text nor a number or is the run's, or two rows of the same metric and dimensions.
    """
    if values.empty or not {"metric", "value"} <= set(values):
        raise ValueError("no rows, or no columns metric and value")
    values = values.assign(**{key: np.nan for key in FIXED if key not in values})
    values = values[[*FIXED, *dimensions(values)]].reset_index(drop=True)
    named = dimensions(values)
    if of_one_run and (taken := [name for name in named if name in (*RUN, *SWEPT)]):
        raise ValueError(f"the dimension {taken[0]} is the run's, and is told by the path of the file")
    values = values.astype(dict.fromkeys(["value", *COUNTED], float))
    for name in ["metric", "reason", *named]:
        column = values[name]
        if pd.api.types.is_numeric_dtype(column) and name in named:
            values[name] = column.astype(float)
        elif column.dropna().map(lambda value: isinstance(value, str)).all():
            values[name] = column.astype(object).where(column.notna(), "").astype(str)
        else:
            raise ValueError(f"{name} is neither text nor a number")
    if (values["metric"] == "").any() or np.isinf(values["value"]).any():
        raise ValueError("a value is infinite, or of no metric")
    if ((values["reason"] == "") == values["value"].isna()).any():
        raise ValueError("a row has neither a value nor the reason why there is none, or it has both")
    if (twice := values.duplicated(["metric", *named])).any():
        row = values.loc[twice, ["metric", *named]].iloc[0]
        raise ValueError(f"two values of {', '.join(f'{key} {value}' for key, value in row.items() if value != '')}")
    return values


def write(path: str | Path, values: pd.DataFrame) -> None:
    """Write a table of values as parquet, whole or not at all."""
    values = checked(values)
    with atomic(path) as partial:
        values.to_parquet(partial, index=False)


def read(path: str | Path) -> pd.DataFrame:
    """Read a table of values.

    Raises:
        UserError: a file that is none.
    """
    try:
        return checked(pd.read_parquet(path))
    except (OSError, ValueError) as error:  # pyarrow's errors derive from both
        raise UserError(f"{path}: no table of values ({error}); delete it to have it measured again") from error


def gather(results: str | Path) -> pd.DataFrame:
    """Every value that was measured below a folder of results, in one table: of every run whose folder is there, also
    of those that the study asked for once and no longer does.

    Args:
        results: `results`, or a folder in it such as `results/demo` or that of a run.

    Returns:
        One row per value, as above, after the dimensions of its run: scale, dataset, transform, method, backbone, seed
        (of what is measured before any training, such as LPIPS, method and backbone are ""); swept and at, the one
        number that is overridden in these names; and last measure, the name of the file.

    For example, the mean accuracy of each class over seeds, by the hue that was set:

        found = gather("results/paper")
        of_hue = found[(found["metric"] == "accuracy") & (found["swept"] == "hue")]
        of_hue.groupby(["method", "at", "class"])["value"].mean()

    Raises:
        UserError: no measure below the folder, or a file that is none.
    """
    parts = []
    for file in sorted(Path(results).resolve().rglob("measures/*.parquet")):
        of_views = file.parents[4].name == "views"  # …/views/dataset/transform/seed5/measures
        scale, _, dataset, transform = file.parents[2 if of_views else 4].parts[-4:]
        method, backbone = ("", "") if of_views else file.parents[2].parts[-2:]
        seed = file.parents[1].name.removeprefix("seed")
        # A dataset that is drawn by the seed of each run has that in its path, and not in its name.
        dataset = dataset.replace(f"+split_seed={seed}", "")
        names = {"dataset": dataset, "transform": transform, "method": method, "backbone": backbone}
        run = {"scale": scale, **names, "seed": int(seed)}
        parts.append(of_run(read(file).assign(measure=file.stem), run))
    if not parts:
        raise UserError(f"{results}: no measures below this folder; run `snakemake` first, or name another folder")
    return joined(parts)


def of_run(values: pd.DataFrame, run: Mapping[str, Any]) -> pd.DataFrame:
    """A table of values with the dimensions of its run before each row, the swept setting and its number among them:
    those that `run` tells, or else what its names override."""
    number = dict(zip(SWEPT, swept([run[axis] for axis in AXES]), strict=True))
    return pd.concat([pd.DataFrame({**run, **number, **run}, index=values.index), values], axis=1)


def joined(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Tables of values one after the other, with the dimensions of all."""
    found = pd.concat(list(parts), ignore_index=True)
    text = [name for name in found if not pd.api.types.is_numeric_dtype(found[name])]
    return found.fillna(dict.fromkeys(text, ""))
