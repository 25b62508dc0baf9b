"""What is measured of sweeps: of many trainings together, from the values that were measured of each.

    measure(records, settings) → rows

`records` are those of a panel's runs (`panels.records.read`), with the setting that is swept and its number; `settings`
are those of `measures.sweeps` in config.yaml. A row is a record without its source: the names of its run, "" where it
spans several, metric, value, and so on. A number that has no seed of its own, such as a count of classes in means over
seeds, has the seed 0, and its bootstrap draws over seeds have the others. What cannot be counted has a reason.

A measure joins by a line in `SWEEPS`, one in `study.metrics.SOURCES`, and one for each of its metrics there.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from phenoviews.curves.association import association
from phenoviews.curves.behaviour import agreement, ceiling, net, published, shown
from phenoviews.curves.equivalence import cross_fitted, equivalence
from phenoviews.curves.floors import FLOORS, beside, drawn, resampled
from phenoviews.curves.opposition import shared
from phenoviews.curves.summary import Tally, summary, tally
from phenoviews.curves.tables import Curves, Floats, curves
from phenoviews.curves.trends import by_range, changes, count_pairs, opposed
from phenoviews.errors import UserError
from phenoviews.panels.verdicts import holm
from phenoviews.study.metrics import AXES, measured
from phenoviews.study.names import bare

Row = dict[str, Any]
Settings = Mapping[str, Any]
Measure = Callable[[pd.DataFrame, Settings], Iterator[Row]]

CELL = (*AXES, "swept")
LINEAR, FINE_TUNED = "linear", "fine-tuned"
PREFIX = {LINEAR: "", FINE_TUNED: "fine_tuned_"}
MOST_AFFECTED = 10  # classes
PROPERTIES = ("intrinsic_dimension", "texture", "high_frequencies", "eigenvalue")


@dataclass(frozen=True)
class Sweep:
    """The trainings of one method over the values of one setting, seen by one classifier."""

    names: Row  # of `CELL` and regime
    records: pd.DataFrame

    def of(self, metric: str) -> pd.DataFrame:
        """The records of a metric of this classifier."""
        return self.records[self.records["metric"] == PREFIX[self.names["regime"]] + metric]

    def has(self, metric: str) -> bool:
        return not self.of(metric).empty

    def classes(self, metric: str) -> Curves:
        """The curves of the classes."""
        return curves(self.of(metric))

    def overall(self) -> Curves:
        """The curve of all images, as that of one class."""
        return curves(self.of("top1").assign(**{"class": "all"}))

    def generator(self, settings: Settings) -> np.random.Generator:
        """Of this sweep, so that another one in the panel changes none of its draws."""
        name = "/".join(str(value) for value in self.names.values())
        return np.random.default_rng([settings["seed"], zlib.crc32(name.encode())])


# --------------------------------------------------------------------------------------------- of one sweep, one method
def _opposition(sweep: Sweep, settings: Settings) -> Iterator[Row]:
    """How many classes have an opposite: as published with its floors, and honestly."""
    found = sweep.classes(settings["class_metric"])
    auroc = sweep.classes("auroc").y if sweep.has("auroc") else None
    counted = summary(found.x, found.y, sweep.generator(settings), auroc, settings["unit"], settings["draws"])
    classes, way = len(found.classes), counted.directions
    yield from _tallied("opposed", counted.tally, lambda flags: flags.sum(axis=-1), classes)
    yield _count("rising", (way > 0).sum(), classes)
    yield _count("falling", (way < 0).sum(), classes)
    yield _count("opposed_honest", opposed(way).any(axis=1).sum(), classes)
    yield {"metric": "opposed_in_part", "value": counted.pairs_by_range}
    yield {"metric": "replicated_pairs", "value": counted.replicated}
    yield {"metric": "replicated_by_chance", "value": counted.replicated_by_chance}
    yield _number("boundary_pairs", counted.boundary, "this classifier's AUROC is not measured")


def _superclasses(sweep: Sweep, settings: Settings) -> Iterator[Row]:
    """How many pairs of superclasses are opposed, over the whole range or half of it."""
    found = curves(sweep.records[sweep.records["metric"] == settings["superclass_metric"]], "superclass")
    parts = [opposed(way) for way in by_range(found.x, found.y).values()]
    yield {"metric": "opposed_superclasses", "value": count_pairs(np.any(parts, axis=0))}


def _spread(sweep: Sweep, settings: Settings) -> Iterator[Row]:
    """The overall accuracy: its mean, how far it is spread [A-44], and whether it hardly moves."""
    found = sweep.overall()
    y, rng = found.y[:, :, 0], sweep.generator(settings)
    moved = equivalence(y)
    draws = drawn(found.y, resampled, lambda y: y.mean(axis=0).std(ddof=1), rng, settings["draws"])
    yield from (
        {"metric": "top1_mean", "value": of.mean(), "seed": seed} for seed, of in zip(found.seeds, y, strict=True)
    )
    yield from _with_draws({"metric": "top1_std", "value": y.mean(axis=0).std(ddof=1)}, draws)
    yield {"metric": "top1_std_runs", "value": y.std(ddof=1)}
    yield {"metric": "top1_within", "value": moved.passes}
    yield {"metric": "top1_beyond", "value": moved.exceeds}


def _ranges(sweep: Sweep, settings: Settings) -> Iterator[Row]:
    """How far the overall accuracy moves, and how far the classes do that are affected most; by seed."""
    whole, found = sweep.overall(), sweep.classes(settings["class_metric"])
    most = min(MOST_AFFECTED, len(found.classes))
    moved = {"range_overall": cross_fitted(whole.y), "range_classes": cross_fitted(found.y, most)}
    for metric, by_seed in moved.items():
        yield from (
            {"metric": metric, "value": value, "seed": seed} for seed, value in zip(found.seeds, by_seed, strict=True)
        )
    for seed, of_seed in zip(found.seeds, changes(found.x, found.y), strict=True):
        for name, value in zip(found.classes, of_seed, strict=True):
            yield {"metric": "class_gain", "value": value, "class": name, "seed": seed}


# ---------------------------------------------------------------------------------------------------- of several sweeps
def _agreement(linear: Sweep, fine_tuned: Sweep, settings: Settings) -> Iterator[Row]:
    """Whether classes behave alike under linear evaluation and when all is fine-tuned."""
    one, other = (sweep.classes(settings["class_metric"]) for sweep in (linear, fine_tuned))
    classes, margin, rng = len(one.classes), settings["margin"], linear.generator(settings)
    sort = partial(published, level=settings["level"])
    same, kappa = agreement(sort(one.x, one.y), sort(other.x, other.y))
    honest, _ = agreement(shown(one.x, net(one.y), margin), shown(other.x, net(other.y), margin))
    draws = [
        agreement(sort(one.x, resampled(one.y, rng)), sort(other.x, resampled(other.y, rng)))[0]
        for _ in range(settings["draws"])
    ]
    yield from _with_draws(_count("behaviour_match", round(same * classes), classes), 100 * np.array(draws))
    yield _number("behaviour_kappa", kappa, "all classes behave alike")
    yield {"metric": "behaviour_ceiling", "value": 100 * ceiling(one.x, one.y, sort)[0]}
    yield _count("behaviour_match_honest", round(honest * classes), classes)


def _shared(sweeps: Sequence[Sweep], settings: Settings) -> Iterator[Row]:
    """How many classes have an opposite with at least so many methods, by the paper's count, with its floors."""
    found = [sweep.classes(settings["class_metric"]) for sweep in sweeps]
    tallies = [
        tally(of.y, sweep.generator(settings), settings["unit"], settings["draws"])
        for sweep, of in zip(sweeps, found, strict=True)
    ]
    together = Tally(  # (..., methods, classes)
        flags=np.stack([one.flags for one in tallies]),
        floors={name: np.stack([one.floors[name] for one in tallies], axis=1) for name in FLOORS},
        resampled=np.stack([one.resampled for one in tallies], axis=1),
    )
    for least in settings["at_least"]:
        for row in _tallied("shared", together, partial(shared, at_least=least), len(found[0].classes)):
            yield {**row, "at_least": float(least)}


def _association(sweeps: Sequence[Sweep], properties: pd.DataFrame, name: str, settings: Settings) -> Iterator[Row]:
    """Whether a property of the classes goes with how they behave."""
    found = [sweep.classes(settings["class_metric"]) for sweep in sweeps]
    classes, draws = found[0].classes, settings["permutations"]
    behaviours = np.stack([published(of.x, of.y, settings["level"]) for of in found])
    numbers, rng = property_of(properties, name, classes), sweeps[0].generator(settings)
    among = association(numbers, behaviours, rng, permutations=draws)
    yield _number("association_f", among.f, "all of its variance is between behaviours")
    yield {"metric": "association_p", "value": among.p}
    yield {"metric": "association_permuted", "value": among.permuted}
    above = superclasses_of(properties, classes)
    within = association(numbers, behaviours, rng, above, draws).permuted if above else None
    yield _number("association_within", within, "these classes have no superclasses")


# ------------------------------------------------------------------------------------------------------------- measures
def _of_each(measure: str, of_one: Callable[[Sweep, Settings], Iterator[Row]]) -> Measure:
    """A measure of every sweep of every method by itself."""
    return lambda records, settings: itertools.chain.from_iterable(
        _tried(measure, sweep.names, partial(of_one, sweep, settings)) for sweep in sweeps_in(records)
    )


def _of_regimes(records: pd.DataFrame, settings: Settings) -> Iterator[Row]:
    """`_agreement` of every sweep that was fine-tuned, too."""
    found = {tuple(sweep.names.values()): sweep for sweep in sweeps_in(records)}
    for (*names, regime), sweep in found.items():
        if regime == LINEAR and (other := found.get((*names, FINE_TUNED))):
            yield from _tried("agreement", {**sweep.names, "regime": ""}, partial(_agreement, sweep, other, settings))


def _of_methods(records: pd.DataFrame, settings: Settings) -> Iterator[Row]:
    """`_shared` of every sweep."""
    for names, sweeps in across_methods(records):
        places = [{"at_least": float(least)} for least in settings["at_least"]]
        yield from _tried("shared", names, partial(_shared, sweeps, settings), places)


def _of_properties(records: pd.DataFrame, settings: Settings) -> Iterator[Row]:
    """`_association` of every sweep, with p corrected over all of them."""
    found: list[Row] = []
    for names, sweeps in across_methods(records):
        properties = records[(records["swept"] == "") & (records["dataset"] == names["dataset"])]
        for name in PROPERTIES:
            rows = partial(_association, sweeps, properties, name, settings)
            found += _tried("association", {**names, "regime": "", "property": name}, rows)
    yield from (row for row in found if row["metric"] != "association_holm")
    permuted = [row for row in found if row["metric"] == "association_permuted"]
    corrected = holm([row["value"] for row in permuted])
    yield from ({**row, "metric": "association_holm", "value": p} for row, p in zip(permuted, corrected, strict=True))


SWEEPS: dict[str, Measure] = {
    "opposition": _of_each("opposition", _opposition),
    "superclasses": _of_each("superclasses", _superclasses),
    "spread": _of_each("spread", _spread),
    "ranges": _of_each("ranges", _ranges),
    "shared": _of_methods,
    "agreement": _of_regimes,
    "association": _of_properties,
}


# -------------------------------------------------------------------------------------------------------------- records
def sweeps_in(records: pd.DataFrame) -> Iterator[Sweep]:
    """Every sweep of a method, by every classifier: its names are without the number that is swept."""
    swept = records[records["swept"] != ""]
    keys = set(swept["swept"])
    swept = swept.assign(**{axis: [bare(name, keys) for name in swept[axis]] for axis in AXES})
    for names, of in swept.groupby([*CELL], sort=False):
        for regime, prefix in PREFIX.items():
            if (of["metric"] == f"{prefix}top1").any():
                yield Sweep({**dict(zip(CELL, names, strict=True)), "regime": regime}, of)


def across_methods(records: pd.DataFrame) -> list[tuple[Row, list[Sweep]]]:
    """The sweeps that differ in the method alone, each with the names that they share."""
    found: dict[tuple[Any, ...], list[Sweep]] = {}
    for sweep in sweeps_in(records):
        found.setdefault(tuple({**sweep.names, "method": ""}.items()), []).append(sweep)
    return [(dict(names), sweeps) for names, sweeps in found.items()]


def property_of(properties: pd.DataFrame, name: str, classes: Sequence[str]) -> Floats:
    """(classes, numbers) of a property, from the records of `measures.properties`.

    Raises:
        UserError: where it has no value for a class.
    """
    of = properties[properties["metric"] == name]
    if of.empty or of["value"].isna().any():
        raise UserError(f"no {name} of the classes: {next(filter(None, of['reason']), 'it was not measured')}")
    found = of.assign(component=of["component"].fillna(0.0)).pivot(index="class", columns="component", values="value")
    if absent := sorted(set(classes) - set(found.index)):
        raise UserError(f"no {name} of class '{absent[0]}'")
    return found.loc[list(classes)].to_numpy(dtype=np.float64)


def superclasses_of(properties: pd.DataFrame, classes: Sequence[str]) -> list[str] | None:
    """The superclass of each class; None where there are none."""
    above = dict(zip(properties["class"], properties["superclass"], strict=True))
    found = [above.get(name, "") for name in classes]
    return found if all(found) else None


# ----------------------------------------------------------------------------------------------------------------- rows
def _tried(measure: str, names: Row, rows: Callable[[], Iterator[Row]], places: Sequence[Row] = ({},)) -> list[Row]:
    """The rows of a sweep; where they cannot be had the reason in place of each metric, in all `places` that it has."""
    try:
        found = list(rows())
    except UserError as reason:
        found = [
            {"metric": metric, "value": np.nan, "reason": str(reason), **place}
            for metric in measured(measure)
            for place in places
        ]
    return [{**names, "seed": 0, **row} for row in found]


def _tallied(name: str, found: Tally, count: Callable[[npt.NDArray[np.bool_]], Any], classes: int) -> Iterator[Row]:
    """A count as published, in percent of the classes: beside its floors, and its excess over the second."""
    share = 100 / classes
    observed = int(count(found.flags))
    floors = {floor: np.asarray(count(of), dtype=np.float64) for floor, of in found.floors.items()}
    noise = beside(float(observed), floors)
    draws = share * np.asarray(count(found.resampled), dtype=np.float64)
    yield from _with_draws(_count(name, observed, classes), draws)
    for floor, of in floors.items():
        yield _between({"metric": f"{name}_{floor}", "value": share * noise.means[floor]}, share * of)
    expected = share * noise.means["without_class"]
    yield from _with_draws({"metric": f"{name}_excess", "value": share * noise.excess}, draws - expected)
    yield {"metric": f"{name}_p", "value": noise.largest}


def _count(metric: str, count: Any, classes: int) -> Row:
    """A share of the classes, in percent."""
    return {"metric": metric, "value": 100 * int(count) / classes, "correct": float(count), "of": float(classes)}


def _number(metric: str, value: float | None, otherwise: str) -> Row:
    """A value, or the reason why there is none."""
    there = value is not None and np.isfinite(value)
    return {"metric": metric, "value": value} if there else {"metric": metric, "value": np.nan, "reason": otherwise}


def _with_draws(row: Row, draws: Floats) -> Iterator[Row]:
    """A number with its interval, and its bootstrap draws."""
    yield _between(row, draws)
    yield from ({"metric": row["metric"], "value": float(value), "seed": at} for at, value in enumerate(draws, start=1))


def _between(row: Row, draws: Floats) -> Row:
    """With the interval that holds the middle 90 % of the draws."""
    low, high = np.quantile(draws, [0.05, 0.95])
    return {**row, "low": float(low), "high": float(high)}
