"""Records: the values of a panel's runs, one row each, with the dimensions of their run and the file they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from phenoviews import values
from phenoviews.errors import UserError
from phenoviews.files import atomic
from phenoviews.study.metrics import AXES, CHANGE, RUN, SWEPT, measured
from phenoviews.study.names import stand_in
from phenoviews.study.schema import nearest
from phenoviews.values import COUNTED


def of_panel(
    panel: Mapping[str, Any],
    measures: Iterable[Sequence[str]],
    sweeps: str | Path | None = None,
    absent: Mapping[str, str] = MappingProxyType({}),
) -> pd.DataFrame:
    """The records of a panel.

    Args:
        panel: its declaration; of it each (the runs), metrics, where and, where a metric ends in `_change`, base.
        measures: for every kind of measure one file per run, in the order of `each`.
        sweeps: the file of what is measured of its sweeps, where it shows anything of that.
        absent: as for `read`.

    Returns:
        As from `read`: all metrics of these files, and what is computed of them, as far as `where` lets them.

    Raises:
        UserError: what `read` and `chosen` raise; a metric of the panel that no run has.
    """
    of_runs = [(run, path) for of in measures for run, path in zip(panel["each"], of, strict=True)]
    parts = ([read(of_runs, absent)] if of_runs else []) + ([of_sweeps(sweeps)] if sweeps else [])
    found = values.joined(parts)
    if absent:  # where nothing of a metric is there, neither are its dimensions
        found = found.assign(**{name: "" for name in panel["dimensions"] if name not in found})
    names = [metric["name"] for metric in panel["metrics"]]
    changed = {name.removesuffix(CHANGE) for name in names if name.endswith(CHANGE)}
    if changed:
        found = pd.concat([found, changes(found[found["metric"].isin(changed)], panel["base"])], ignore_index=True)
    if unknown := [name for name in names if name not in set(found["metric"])]:
        files = ", ".join(sorted(set(found["source"])))
        raise UserError(f"no metric '{unknown[0]}' in {files}; delete these files to have them measured again")
    stand_ins = panel["scale"]["stand_ins"]
    where = {
        key: [stand_in(value, stand_ins) if isinstance(value, str) else value for value in of]
        for key, of in panel["where"].items()
    }
    return chosen(found, where, panel["name"])


def read(
    files: Iterable[tuple[Mapping[str, Any], str | Path]], absent: Mapping[str, str] = MappingProxyType({})
) -> pd.DataFrame:
    """The values in measure files.

    Args:
        files: each with its run, a dict with the keys of `RUN`, and of `SWEPT` where it is there for a number.
        absent: {file: why it is not there}; it then counts as a measure that could not be made, for this reason.

    Returns:
        One row per value: `RUN`; swept and at, the setting and the number that the run is there for, or else the number
        that is overridden in its names; metric, value (NaN where
        there is none), reason (why), `COUNTED`; source, the file; and every dimension that occurs, "" or NaN where a
        metric does not have it.

    Raises:
        UserError: a file that holds no values.
    """
    return values.joined(
        values.of_run(
            (_absent(path, absent[str(path)]) if str(path) in absent else values.read(path)).assign(source=str(path)),
            {key: run[key] for key in (*RUN, *SWEPT) if key in run},
        )
        for run, path in files
    )


def _absent(path: str | Path, why: str) -> pd.DataFrame:
    """In the place of a measure's file."""
    return values.missing(measured(Path(path).stem.partition("-k")[0]), why)


def of_sweeps(path: str | Path) -> pd.DataFrame:
    """What is measured of sweeps, as records; bootstrap draws among them (`without_draws`).

    Raises:
        UserError: a file that holds none.
    """
    try:
        found = pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors derive from both
        raise UserError(f"{path}: no records ({error}); delete it to have the sweeps measured again") from error
    return found.assign(source=str(path))


def write_sweeps(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what is measured of sweeps: rows with the columns of `panels.sweeps`.

    Raises:
        ValueError: what is no table of values; see `values.checked`.
    """
    checked = values.checked(pd.DataFrame(list(rows)), of_one_run=False)
    with atomic(path) as partial:
        checked.assign(at=np.nan, seed=checked["seed"].astype(int)).to_parquet(partial, index=False)


def without_draws(records: pd.DataFrame, panel: Mapping[str, Any]) -> pd.DataFrame:
    """The records that tables and figures show: of a number that has no seed of its own not its bootstrap draws."""
    drawn = [name for name, how in panel["of_sweeps"].items() if how["drawn"]]
    return records[~records["metric"].isin(drawn) | (records["seed"] == 0)].reset_index(drop=True)


def chosen(records: pd.DataFrame, where: Mapping[str, Sequence[Any]], panel: str) -> pd.DataFrame:
    """The records that have one of the values that `where` names in each of its dimensions.

    A metric that does not have a dimension is not asked for it, nor is a measure that could not be made.

    Raises:
        UserError: a value that no record has.
    """
    for key, wanted in where.items():
        if key not in records:
            continue  # no measure could be made
        column, blank = records[key], is_blank(records[key])
        typed = [_as_in(column, value) for value in wanted]
        known = set(column[~blank])
        if absent := [value for value in typed if value not in known and known]:
            raise UserError(f"panel {panel}: where.{key}: nothing has '{absent[0]}'{nearest(str(absent[0]), known)}")
        asked = records["metric"].isin(records.loc[~blank, "metric"])
        records = records[column.isin(typed) | (blank & (records["value"].isna() | ~asked))]
    return records.reset_index(drop=True)


def of_run(records: pd.DataFrame, run: Mapping[str, Any]) -> pd.DataFrame:
    """The records of one run, a dict with the keys of `RUN` or some of them."""
    return records[np.all([records[key] == run[key] for key in RUN if key in run], axis=0)]


def why_none(records: pd.DataFrame) -> str:
    """Why none of these records has a value; "" where one has."""
    return "" if records["value"].notna().any() else "; ".join(records["reason"].unique())


def is_blank(column: pd.Series) -> pd.Series:
    """Which rows do not have a dimension."""
    return column.isna() | (column.astype(object) == "")


def changes(records: pd.DataFrame, key: str) -> pd.DataFrame:
    """What overrides change: every value less that of the run of the same seed whose name of `key` is without them.

    Args:
        records: as from `read`; `cell_first+random_affine=off` is compared with `cell_first` if `key` is transform.
        key: dataset, transform, method or backbone.

    Returns:
        One row for each of `records`; the metric `ami` becomes `ami_change`. Runs without overrides, and those with
        nothing to compare them with, have a reason in the place of a value.
    """
    found = [name for name in values.dimensions(records) if name not in (*RUN, *SWEPT)]
    same = [*RUN, "metric", *found]
    base = records[key].str.split("+").str[0]
    before = records[[*same, "value"]].rename(columns={"value": "before"})
    at = records[same].assign(**{key: base}).merge(before, how="left", on=same, validate="many_to_one")
    value = records["value"] - at["before"].to_numpy()
    value[base == records[key]] = np.nan
    reason = records["reason"].where(records["reason"] != "", base + " of the same seed has no " + records["metric"])
    reason = reason.mask(base == records[key], "the changes are counted from here").mask(value.notna(), "")
    uncounted = dict.fromkeys(COUNTED, np.nan)
    return records.assign(metric=records["metric"] + CHANGE, value=value, reason=reason, **uncounted)


def published(rows: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """The published values of a panel as numbers.

    What the paper quotes from another has the method's name with its group, "Ljosa et al. [24], supervised".

    `rows`: as `study.resources.published` gives them, with the columns of `resources/published/README.md`; any other
    column is a dimension.
    """
    text = ["paper", "panel", *AXES, "metric", "unit", "note", "quoted"]
    number = ["value", "n_seeds", "decimals", "correct", "of"]
    table = pd.DataFrame(list(rows), columns=None if rows else text, dtype=object)
    table = table.assign(**{key: "" for key in text if key not in table})
    table = table.assign(**{key: "" for key in number if key not in table})
    quoted = table["quoted"] != ""
    table.loc[quoted, "method"] += ", " + table.loc[quoted, "quoted"]
    table[number] = table[number].replace("", np.nan).astype(float)
    return table.reset_index(drop=True)


def titles(panel: Mapping[str, Any]) -> list[str]:
    """What each run of a panel is called in it: the labels of what differs between its runs, without the seed."""
    varied = [axis for axis, names in panel["runs"].items() if len(names) > 1]
    return [" · ".join(panel["labels"][run[axis]] for axis in varied) for run in panel["each"]]


def class_names(index: str | Path) -> list[str]:
    """The name of each label, from a dataset's `index.parquet`."""
    classes = pd.read_parquet(index, columns=["label", "class"]).drop_duplicates().sort_values("label")
    return classes["class"].tolist()


def _as_in(column: pd.Series, value: Any) -> Any:
    """A value as a column has it, where it can be had so."""
    if not pd.api.types.is_numeric_dtype(column):
        return str(value)
    try:
        return float(value)
    except ValueError:
        return value
