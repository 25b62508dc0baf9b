"""From measure files to records: one line per run and metric, with the file it came from.

A measure file is a JSON object of metrics, {ami: 0.5, reason: ...}. Scores of profiles are there under each
post-processing, {postprocessings: {tvn: {nsc: 92.2, counts: {nsc: [95, 103]}, intervals: {nsc: [87.4, 97.1]},
reasons: {...}}, ...}}, with what they count and how well they are known.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from phenoviews.errors import UserError
from phenoviews.files import read_json

RUN = ["dataset", "transform", "method", "backbone", "seed"]
COUNTED = ["correct", "of", "low", "high"]  # k of n, and the interval of the value
COLUMNS = [*RUN, "postprocessing", "metric", "value", "reason", "source", *COUNTED]
CHANGE = "_change"  # ends the name of a metric that is the difference to another run


def read(
    runs: Iterable[dict[str, Any]], metrics: Sequence[str], postprocessings: Sequence[str] = ("",)
) -> pd.DataFrame:
    """Look up each metric in the measure files of each run.

    Args:
        runs: dicts with the keys of `RUN` and `files`, the run's measure files (JSON objects).
        metrics: keys of those objects, such as "ami" or "top1". A null value is kept as missing, with the
            object's `reason`.
        postprocessings: those of the profiles under which the metrics are looked up; "" for a metric of no profiles.

    Returns:
        `COLUMNS`; value is NaN and reason a text where there is no number; source is the file; `COUNTED` are NaN
        where the file has none.

    Raises:
        UserError: a metric that none of a run's files has, a number that is none, a broken file.
    """
    lines = []
    for run in runs:
        measures = {str(path): _object(path) for path in run["files"]}
        for postprocessing, metric in itertools.product(postprocessings, metrics):
            source, found = _found(measures, postprocessing, metric)
            value, reason = found[metric], found.get("reason")
            if value is None:
                value, reason = float("nan"), found.get("reasons", {}).get(metric) or reason or "not measured"
            elif not isinstance(value, int | float):
                raise UserError(f"{source}: '{metric}' is not a number; delete the file to have it measured again")
            correct, of = found.get("counts", {}).get(metric) or (None, None)
            low, high = found.get("intervals", {}).get(metric) or (None, None)
            line = {key: run[key] for key in RUN} | {"postprocessing": postprocessing, "metric": metric}
            line |= {"value": value, "reason": reason, "source": source}
            lines.append(line | {"correct": correct, "of": of, "low": low, "high": high})
    return pd.DataFrame(lines, columns=COLUMNS).astype(dict.fromkeys(["value", *COUNTED], float))


def of_panel(panel: Mapping[str, Any], measures: Iterable[Sequence[str]]) -> pd.DataFrame:
    """The records of everything that a panel shows.

    Args:
        panel: its declaration; of it each (the runs), metrics, postprocessings if it has that axis and, where a
            metric ends in `_change`, base.
        measures: for every kind of measure one file per run, in the order of `each`.

    Returns:
        `COLUMNS`, as from `read` and `changes`.
    """
    runs = [{**run, "files": files} for run, *files in zip(panel["each"], *measures, strict=True)]
    shown = [metric["name"] for metric in panel["metrics"]]
    names = list(dict.fromkeys(name.removesuffix(CHANGE) for name in shown))
    found = read(runs, names, panel.get("postprocessings", [""]))
    if any(name.endswith(CHANGE) for name in shown):
        found = pd.concat([found, changes(found, panel["base"])])
    return found[found["metric"].isin(shown)].reset_index(drop=True)


def changes(records: pd.DataFrame, key: str) -> pd.DataFrame:
    """What overrides change: every value less that of the run of the same seed whose name of `key` is without them.

    Args:
        records: as from `read`; `cell_first+random_affine=off` is compared with `cell_first` if `key` is transform.
        key: dataset, transform, method or backbone.

    Returns:
        `COLUMNS`, one line for each of `records`; the metric `ami` becomes `ami_change`. Runs without overrides, and
        those with nothing to compare them with, have a reason in the place of a value.
    """
    same = [*RUN, "postprocessing", "metric"]
    base = records[key].str.split("+").str[0]
    before = records.set_index(same)["value"].to_dict()
    values, reasons = [], []
    for line, name in zip(records.to_dict("records"), base, strict=True):
        at = tuple({**line, key: name}[part] for part in same)
        value = line["value"] - before.get(at, float("nan"))
        reason = f"{name} of the same seed has no {line['metric']}" if pd.isna(line["reason"]) else line["reason"]
        if line[key] == name:
            value, reason = float("nan"), "the changes are counted from here"
        values.append(value)
        reasons.append(reason if value != value else None)
    uncounted = dict.fromkeys(COUNTED, float("nan"))
    return records.assign(metric=records["metric"] + CHANGE, value=values, reason=reasons, **uncounted)


def published(path: str | Path | None, panel: str) -> pd.DataFrame:
    """The published values of one panel, by its full name such as `no_free_lunch_table1`; none is fine.

    What the paper quotes from another has the method's name with its group, "Ljosa et al. [24], supervised".

    The file is `resources/published/{paper}.csv`, whose columns are told in `resources/published/README.md`; None for
    a panel of the user's, of which nothing is published.
    """
    text = ["paper", "panel", "dataset", "transform", "method", "backbone", "metric", "unit", "note"]
    profiled = ["postprocessing", "quoted"]  # columns that a paper without such an axis need not have
    number = ["value", "n_seeds", "decimals", "correct", "of"]
    if path is None:
        table = pd.DataFrame(columns=text)
    else:
        empty = {key: [""] for key in number}
        table = pd.read_csv(path, dtype=dict.fromkeys(text + profiled, str), keep_default_na=False, na_values=empty)
        table = table[table["paper"] + "_" + table["panel"] == panel]
    table = table.assign(**{key: "" for key in profiled if key not in table})
    table = table.reindex(columns=text + profiled + number)
    quoted = table["quoted"] != ""
    table.loc[quoted, "method"] += ", " + table.loc[quoted, "quoted"]
    return table.astype(dict.fromkeys(number, float)).reset_index(drop=True)


def _found(measures: Mapping[str, dict[str, Any]], postprocessing: str, metric: str) -> tuple[str, dict[str, Any]]:
    """The file that has a metric, and the object in it."""
    for path, measure in measures.items():
        found = measure.get("postprocessings", {}).get(postprocessing, {}) if postprocessing else measure
        if metric in found:
            return path, found
        if postprocessing and not measure.get("postprocessings") and "reason" in measure:
            return path, {metric: None, "reason": measure["reason"]}  # no encoder, and so no profiles
    under = f" under '{postprocessing}'" if postprocessing else ""
    raise UserError(f"no measure '{metric}'{under} in {', '.join(measures) or 'no file'}; see the panel's `metrics`")


def _object(path: str | Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); delete it to have it measured again") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: not a JSON object; delete it to have it measured again")
    return value


def titles(panel: dict[str, Any]) -> list[str]:
    """What each run of a panel is called in it: the labels of what differs between its runs, without the seed."""
    varied = [axis for axis, names in panel["runs"].items() if len(names) > 1]
    return [" · ".join(panel["labels"][run[axis]] for axis in varied) for run in panel["each"]]


def class_names(index: str | Path) -> list[str]:
    """The name of each label, from a dataset's `index.parquet`."""
    classes = pd.read_parquet(index, columns=["label", "class"]).drop_duplicates().sort_values("label")
    return classes["class"].tolist()
