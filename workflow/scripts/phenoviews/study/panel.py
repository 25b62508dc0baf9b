"""A table or figure as config.yaml declares it: what it shows, what it is made of, whether that can be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from phenoviews.errors import UserError
from phenoviews.study.metrics import (
    ANY,
    CELLS,
    CHANGE,
    DIMENSIONS,
    METRICS,
    OBJECTIVES,
    RUN,
    SOURCES,
    SWEPT,
    TEST,
    TREATMENTS,
    counted,
    measured,
    on_the_way,
)
from phenoviews.study.schema import nearest

# The data that datasets of a kind hold, for what can be measured of them; those of other kinds have a test split.
DATA = {"cells": (TEST, CELLS, ANY), "treatments": (TREATMENTS, ANY)}


@dataclass(frozen=True)
class Plot:
    """A kind of figure: the metrics that it draws, and the keys that its declaration needs."""

    metrics: tuple[str, ...]
    needs: tuple[str, ...] = ()


PLOTS: dict[str, Plot] = {
    "tsne": Plot(("ami", "silhouette")),
    "nearest": Plot(("ami",), needs=("images", "columns")),
    "curves": Plot(("accuracy", "top1")),
    "superclasses": Plot(("superclass_accuracy", "top1")),
    "opposition": Plot(("opposed", "opposed_by_chance", "opposed_without_class", "opposed_honest")),
    "doses": Plot(("ami_treated", "ami_random_labels", "ami_random_most", "cells")),
    "treatments": Plot(("nsc", "nscb")),
}


# Keys that one kind of figure reads, and nothing else.
OF_PLOT = {"images": "nearest", "channels": "nearest", "highlight": "curves", "randomised": "doses"}


# What an audit needs of its runs whatever it counts by: of classes the probe, of treatments their profiles. Of data
# that know their plates also how well those are told.
AUDITED: dict[str, tuple[str, ...]] = {TEST: ("probe",), TREATMENTS: ("scores", "structure"), ANY: ()}
NUISANCES = "nuisances"


@dataclass(frozen=True)
class Panel:
    """A table or figure of a paper: its name (`no_free_lunch_table1`) and what config.yaml declares of it."""

    paper: str
    item: str
    declared: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.paper}_{self.item}"

    @property
    def is_audit(self) -> bool:
        """Whether it declares a set that is audited, of whose parts the runs follow (`study.audits`)."""
        return "start" in self.declared

    @property
    def judged(self) -> tuple[str, ...]:
        """The metrics of which an audit judges by the first that could be measured."""
        return OBJECTIVES[self.declared["objective"][0]]

    @property
    def audited_data(self) -> str:
        """What an audit is of: classes (`TEST`), treatments, or whatever the images are."""
        return counted(self.judged[0]).data

    @property
    def on_the_way(self) -> str:
        """The measure of the encoders that its trainings had on their way that an audit is told of; "" where none."""
        return next(filter(None, map(on_the_way, self.judged)), "") if "shortest" in self.declared else ""

    @property
    def is_table(self) -> bool:
        return not self.is_audit and "plot" not in self.declared

    @property
    def on_demand(self) -> bool:
        """Whether it is made only when it is asked for by name."""
        return bool(self.declared.get("on_demand"))

    @property
    def has_numbers(self) -> bool:
        """Whether it has a table of its numbers, and verdicts on the paper's claims; a figure where it declares so."""
        return "metrics" in self.declared

    @property
    def metrics(self) -> list[str]:
        """What it shows: in its table, and in its figure."""
        if self.is_audit:
            return [name for measure in self.measures for name in measured(measure)]
        drawn = () if self.is_table else PLOTS[self.declared["plot"]].metrics
        return list(dict.fromkeys([*self.declared.get("metrics", ()), *drawn]))

    @property
    def measures(self) -> list[str]:
        """The measures of its runs whose files hold that."""
        if self.is_audit:
            named = [counted(metric).measure for word in self.declared["objective"] for metric in OBJECTIVES[word]]
            nuisances = [NUISANCES] if self.declared["nuisances"] else []
            return [name for name in dict.fromkeys([*AUDITED[self.audited_data], *named, *nuisances]) if name]
        metrics = [METRICS[metric] for metric in self.metrics]
        return list(dict.fromkeys(metric.measure for metric in metrics if not metric.of_sweep))

    @property
    def measures_of_sweeps(self) -> list[str]:
        """The measures of its sweeps, of many runs together, that hold the rest."""
        metrics = [METRICS[metric] for metric in self.metrics]
        return list(dict.fromkeys(metric.measure for metric in metrics if metric.of_sweep))

    @property
    def sources(self) -> list[str]:
        """The measures of its runs that those of its sweeps are made from."""
        return list(dict.fromkeys(source for measure in self.measures_of_sweeps for source in SOURCES[measure]))

    @property
    def measures_of_clusters(self) -> list[str]:
        """Those of them that depend on the number of clusters."""
        metrics = [METRICS[metric] for metric in self.metrics]
        return list(dict.fromkeys(metric.measure for metric in metrics if "k" in metric.dimensions))

    @property
    def dimensions(self) -> list[str]:
        """What tells its values apart."""
        of_metrics = [name for metric in self.metrics for name in METRICS[metric].dimensions]
        return [name for name in DIMENSIONS if name in (*RUN, *SWEPT, *of_metrics)]

    def described(self, sweeps: Mapping[str, str]) -> dict[str, Any]:
        """What its declaration says of metrics, measures and dimensions, as plain data. `sweeps`: {leaf: label}."""
        dimensions = {name: asdict(DIMENSIONS[name]) for name in self.dimensions}
        dimensions["swept"]["names"] = sweeps
        of_sweeps = [name for measure in self.measures_of_sweeps for name in measured(measure)]
        return {
            "metrics": [{"name": name, **asdict(METRICS[name])} for name in self.declared.get("metrics", ())],
            "of_sweeps": {
                name: {key: getattr(METRICS[name], key) for key in ("by_seed", "drawn", "test")} for name in of_sweeps
            },
            "measures": self.measures,
            "dimensions": dimensions,
        }


def check_panel(panel: Panel, kinds: Mapping[str, str], frozen: Collection[str] = ()) -> None:
    """Refuse a panel that cannot be made.

    Args:
        kinds: {dataset of one of its runs: the dataset's kind}.
        frozen: the methods of its runs that are encoders which nobody trains here.

    Raises:
        UserError: a key that is missing, a dimension that its metrics do not have, data that are not the metrics'.
    """
    declared, where = panel.declared, f"config: panels.{panel.paper}.{panel.item}"
    if panel.is_audit:
        return _check_audit(panel, kinds)
    if missing := [f"`{key}`" for key in dict.fromkeys(_missing(panel))]:
        one = len(missing) == 1
        raise UserError(f"{where}: {', '.join(missing)} {'is missing; add it' if one else 'are missing; add them'}")
    for key, plot in OF_PLOT.items():
        if key in declared and declared.get("plot") != plot:
            raise UserError(f"{where}: `{key}` is of a figure with `plot: {plot}`; take it out, or make it one")
    for name, kind in kinds.items():
        for metric in panel.metrics:
            if METRICS[metric].data not in DATA.get(kind, (TEST, ANY)):
                what = metric if metric in declared.get("metrics", ()) else f"plot: {declared['plot']}"
                raise UserError(
                    f"{where}: `{what}` is measured on {METRICS[metric].data}; '{name}' is of kind {kind}, which has "
                    "none"
                )
    for metric in panel.metrics:
        if METRICS[metric].trained and frozen:
            raise UserError(
                f"{where}: `{metric}` is measured on the way of a training; '{sorted(frozen)[0]}' is not trained here"
            )
    there = ["metric", *panel.dimensions]
    for key in ("rows", "columns", "where", "average"):
        for name in declared.get(key, ()):
            if name not in there:
                raise UserError(f"{where}.{key}: none of its metrics has the dimension '{name}'{nearest(name, there)}")


def objective_of(declared: Mapping[str, Any], kind: str) -> list[str]:
    """What an audit of data of this kind counts by: as it says, or what the data have.

    Raises:
        UserError: what is none of `OBJECTIVES`.
    """
    named = declared.get("objective", ["treatments" if kind == "treatments" else "labels"])
    if unknown := [name for name in named if name not in OBJECTIVES]:
        raise UserError(f"unknown objective '{unknown[0]}'{nearest(unknown[0], OBJECTIVES)}")
    return list(named)


def _check_audit(panel: Panel, kinds: Mapping[str, str]) -> None:
    (kind,) = kinds.values()
    where, its = f"config: panels.{panel.paper}.{panel.item}", DATA.get(kind, (TEST, ANY))
    for name in panel.declared["objective"]:
        if (wanted := counted(OBJECTIVES[name][0]).data) not in its:
            fitting = ", ".join(other for other, metrics in OBJECTIVES.items() if counted(metrics[0]).data in its)
            raise UserError(
                f"{where}.objective: '{name}' needs {wanted}, and '{panel.declared['dataset']}' is of kind {kind}; it "
                f"can be: {fitting}"
            )
    if panel.measures_of_clusters and "clusters" not in panel.declared:
        raise UserError(f"{where}: `clusters` is missing; add it, for objective: ami")


def _missing(panel: Panel) -> Iterator[str]:
    """The keys that such a panel needs and does not have."""
    declared = panel.declared
    needed = ["metrics"] if panel.is_table else list(PLOTS[declared["plot"]].needs)
    needed += ["rows", "columns"] if panel.is_table or panel.has_numbers else []
    needed += ["base"] if any(metric.endswith(CHANGE) for metric in panel.metrics) else []
    needed += ["clusters"] if panel.measures_of_clusters else []
    yield from (key for key in needed if key not in declared)
