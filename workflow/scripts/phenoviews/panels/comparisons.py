"""A paper's claims as predicates over measures: how far each holds, seed by seed.

`resources/claims/{paper}.yaml` lists, under the name of a panel, claims of the form

    - id: A.T1.c1
      says: the claim in words
      where: {dose: [1, 2, 3, 4]}      optional: only the records that have one of these values
      each: [method, backbone]         optional: the comparisons are made for every combination of these dimensions
      average: [dataset]               optional: margins are averaged over these dimensions within each of the above
      beyond: [opposed_p of hue]       optional: the p of noise, in whatever cells; a claim that holds, though one of
                                     these is .05 or more, is *not distinguishable from noise*
    every_cell: also                 optional: the strict form of the claim stands beside it, as `A.T1.c1.every`;
                                       or `only`: the claim itself is of the strict form
      holds:                           all of these have to hold
        - ami of mnist_first > ami of mnist_second
        - fall of ami from mnist_first to mnist_second > fall of silhouette from mnist_first to mnist_second
        - gain of nscb from identity to mlp > gain of nscb from resnet101 to resnet18
        - top1 < 90
        - nscb of none > nscb of whitening - 2

A term is a number; a metric; `METRIC of NAME`; `fall of METRIC from NAME to NAME`, the relative fall (first - second) /
first; or `gain of METRIC from NAME to NAME`, second - first. A NAME is the paper's, of whatever dimension the records
have (dataset, transform, method, backbone, post-processing, ...), or several of them joined by `/`; what stands in for
it at a scale takes its place. Several metrics joined by a comma are their mean. Of a metric a number may be taken or
added, in its unit: `a > b - 0.5` allows a to be worse by less than that, and `b - 2 < a < b + 2` says how far two may
differ that are called equal. A chain `a < b < c` is two comparisons.

How it nests: claim, comparison, cell, seed.

* A **claim** holds if all of its comparisons do, of whatever metrics (`verdicts` tells how they are combined).
* A **comparison** is made in every **cell**: each combination of the dimensions in `each` that occurs among the terms
  that name none of these dimensions. A term that names one has its own value of it: with `each: [method]`, `ami of dual
  > ami of imagenet/vgg16` compares every method's `dual` with the same encoder. Without `each` there is one cell.
* In a cell the comparison is made within each **seed**, which both sides must have; the margin is how far it holds.
  With `average`, the margin of a cell and seed is the mean over the combinations of those dimensions.
* A comparison is judged by the mean of its margins over its cells within each seed. In the strict form (`every_cell`)
  each cell is a comparison of its own, and all of them have to hold.

A seed that is missing anywhere in a comparison, because its training collapsed or was not run, is missing for that
comparison, and named: the mean over what is left would be of something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from phenoviews.errors import UserError
from phenoviews.study.names import stand_in

KEYS = ["id", "says", "where", "each", "average", "beyond", "every_cell", "holds"]
NO_DIMENSION = {"seed", "value", "reason", "source", "correct", "of", "low", "high"}
NOWHERE: Mapping[str, Any] = MappingProxyType({})
Part = tuple[float, str, tuple[str, ...]]  # weight, metric, names of the runs


# ------------------------------------------------------------------------------------------------------ what is claimed
@dataclass(frozen=True)
class Term:
    """One side of a comparison: a weighted sum of metrics of runs, and a number; or how far such a sum has fallen."""

    text: str
    parts: tuple[Part, ...] = ()
    plus: float = 0.0
    start: tuple[Part, ...] = ()  # of a fall, which ends at `parts`


@dataclass(frozen=True)
class Comparison:
    """`more` is claimed to be greater than `less`."""

    text: str
    more: Term
    less: Term

    @property
    def terms(self) -> tuple[Term, Term]:
        return self.more, self.less


@dataclass(frozen=True)
class Claim:
    id: str
    says: str
    comparisons: tuple[Comparison, ...]
    where: Mapping[str, Sequence[Any]]
    each: tuple[str, ...]
    average: tuple[str, ...]
    beyond: tuple[Term, ...] = ()  # the p of noise
    every: bool = False  # every cell is a comparison of its own


def read(claims: Sequence[Mapping[str, Any]], stand_ins: Mapping[str, str] = NOWHERE) -> list[Claim]:
    """Parse claims, the strict forms included; the names in them are then those of the records.

    Raises:
        UserError: what cannot be read.
    """
    found = []
    for given in claims:
        name = given.get("id", "without `id`")
        if wrong := (given.keys() - set(KEYS)) | ({"id", "says", "holds"} - given.keys()):
            raise UserError(
                f"claim {name}: {', '.join(sorted(wrong))}: unknown or missing; a claim has the keys {', '.join(KEYS)}"
            )
        where = {
            key: [stand_in(value, stand_ins) if isinstance(value, str) else value for value in values]
            for key, values in given.get("where", {}).items()
        }
        strict = given.get("every_cell")
        if strict not in (None, "also", "only") or (strict and not given.get("each")):
            raise UserError(f"claim {name}: `every_cell` is `also` or `only`, of a claim that has `each`")
        claim = Claim(
            id=given["id"],
            says=given["says"],
            comparisons=tuple(one for text in given["holds"] for one in _comparisons(text, name, stand_ins)),
            where=where,
            each=tuple(given.get("each", ())),
            average=tuple(given.get("average", ())),
            beyond=tuple(_term(str(text).split(), name, stand_ins) for text in given.get("beyond", ())),
            every=strict == "only",
        )
        found.append(claim)
        if strict == "also":
            says = f"{claim.says} So for each {', '.join(claim.each)}."
            found.append(replace(claim, id=f"{claim.id}.every", says=says, every=True))
    return found


def _comparisons(text: str, claim: str, stand_ins: Mapping[str, str]) -> Iterator[Comparison]:
    words = str(text).split()
    signs = [at for at, word in enumerate(words) if word in ("<", ">")]
    if not signs:
        raise UserError(f"claim {claim}: '{text}' compares nothing; write `a > b` or `a < b < c`")
    sides = [words[a + 1 : b] for a, b in zip([-1, *signs], [*signs, len(words)], strict=True)]
    terms = [_term(side, claim, stand_ins) for side in sides]
    for left, at, right in zip(terms, signs, terms[1:], strict=False):
        if not left.parts and not right.parts:
            raise UserError(f"claim {claim}: '{text}' compares two numbers; name a metric")
        more, less = (left, right) if words[at] == ">" else (right, left)
        yield Comparison(f"{left.text} {words[at]} {right.text}", more, less)


def _term(words: Sequence[str], claim: str, stand_ins: Mapping[str, str]) -> Term:
    def parts(metrics: str, path: str = "", weight: float = 1.0) -> tuple[Part, ...]:
        names = tuple(stand_in(name, stand_ins) for name in path.split("/")) if path else ()
        split = metrics.split(",")
        return tuple((weight / len(split), metric, names) for metric in split)

    text = " ".join(words)
    match words:
        case [number] if _is_number(number):
            return Term(text, plus=float(number))
        case ["fall", "of", metrics, "from", first, "to", second]:
            return Term(text, parts(metrics, second), start=parts(metrics, first))
        case ["gain", "of", metrics, "from", first, "to", second]:
            return Term(text, parts(metrics, second) + parts(metrics, first, -1.0))
        case [metrics, *of, "+" | "-" as sign, number] if _is_number(number) and len(of) in (0, 2):
            return replace(_term([metrics, *of], claim, stand_ins), text=text, plus=float(sign + number))
        case [metrics]:
            return Term(text, parts(metrics))
        case [metrics, "of", path]:
            return Term(text, parts(metrics, path))
    raise UserError(
        f"claim {claim}: '{text}' cannot be read; write `METRIC`, `METRIC of NAME`, either with `+ NUMBER` or "
        "`- NUMBER`, `fall of METRIC from NAME to NAME`, `gain of METRIC from NAME to NAME` or a number"
    )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


# ----------------------------------------------------------------------------------------------------- what is measured
@dataclass(frozen=True)
class Values:
    """Records side by side: a row for everything that differs in more than the seed, a column per seed."""

    dimensions: Mapping[str, npt.NDArray[np.object_]]  # dimension, or "metric": (rows,)
    seeds: Sequence[int]
    values: npt.NDArray[np.float64]  # (rows, seeds), NaN where there is none
    there: npt.NDArray[np.bool_]  # (rows, seeds), whether there is a record
    reasons: Mapping[tuple[int, int], str]  # (row, seed's column): why a record has no value

    @classmethod
    def of(cls, records: pd.DataFrame) -> Values:
        keys = [column for column in records.columns if column not in NO_DIMENSION]
        named = records[keys].astype(object)
        named = named.where(named.notna(), "")
        # A value that is there twice would be overwritten; it gets a row of its own, and is refused when it is used.
        twice = pd.concat([named, records["seed"]], axis=1).groupby([*keys, "seed"], sort=False).cumcount()
        row = named.assign(twice=twice).groupby([*keys, "twice"], sort=False).ngroup().to_numpy()
        seeds, column = np.unique(records["seed"].to_numpy(int), return_inverse=True)
        _, first = np.unique(row, return_index=True)
        shape = (len(first), len(seeds))
        values, there = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
        values[row, column], there[row, column] = records["value"].to_numpy(float), True
        missing = np.flatnonzero(records["value"].isna())
        why = records["reason"].iloc[missing]
        return cls(
            dimensions={key: named[key].to_numpy()[first] for key in keys},
            seeds=seeds.tolist(),
            values=values,
            there=there,
            reasons={(row[at], column[at]): str(reason) for at, reason in zip(missing, why, strict=True)},
        )

    def restricted(self, where: Mapping[str, Sequence[Any]]) -> Values:
        """The rows that have one of the values of each of these dimensions."""
        kept = np.ones(len(self.values), dtype=bool)
        for key, chosen in where.items():
            kept &= np.any([self.has(key, value) for value in chosen], axis=0)
        place = np.cumsum(kept) - 1
        return Values(
            dimensions={key: column[kept] for key, column in self.dimensions.items()},
            seeds=self.seeds,
            values=self.values[kept],
            there=self.there[kept],
            reasons={(int(place[row]), seed): why for (row, seed), why in self.reasons.items() if kept[row]},
        )

    def unknown(self, key: str) -> npt.NDArray[np.bool_]:
        """(rows,): those without values and a place in this dimension; such a run is missing all along it."""
        return np.asarray(self.dimensions[key] == "") & np.isnan(self.values).all(axis=1)

    def has(self, key: str, value: Any) -> npt.NDArray[np.bool_]:
        """(rows,): those that are there in this dimension, or would be if they had a value."""
        return np.asarray(self.dimensions[key] == value) | self.unknown(key)

    def axes(self, names: Sequence[str]) -> set[str]:
        """The dimensions that these are names in."""
        columns = self.dimensions.items()
        return {key for key, column in columns for name in names if key != "metric" and (column == name).any()}

    def rows(self, metric: str, names: Sequence[str], at: Mapping[str, Any] = NOWHERE) -> npt.NDArray[np.int64]:
        """Those of a metric that have all of these names, and elsewhere the values `at`, by dimension."""
        found = self.dimensions["metric"] == metric
        for name in names:
            found = found & np.any([np.zeros_like(found), *(self.has(key, name) for key in self.axes([name]))], axis=0)
        for key in at.keys() - self.axes(names):
            found = found & self.has(key, at[key])
        return np.flatnonzero(found)


@dataclass(frozen=True)
class Cell:
    """A comparison in one cell."""

    name: str
    margins: npt.NDArray[np.float64]  # (seeds,), NaN where one is missing
    missing: Sequence[tuple[int, str]]  # (column of the seed, why)
    at: Sequence[Mapping[str, Any]]  # the combinations that it is averaged over


def selected(claim: Claim, values: Values) -> Values:
    """What a claim is about: the values that its `where` leaves, in all of the dimensions that it names.

    Raises:
        UserError: a dimension that these values do not have.
    """
    blank = np.full(len(values.values), "", dtype=object)
    needed = dict.fromkeys((*claim.where, *claim.each, *claim.average), blank)
    if (strange := needed.keys() - values.dimensions.keys()) and not np.isnan(values.values).all():
        raise UserError(f"claim {claim.id}: the records have no dimension {', '.join(sorted(strange))}")
    return replace(values, dimensions={**needed, **values.dimensions}).restricted(claim.where)


def compare(claim: Claim, values: Values) -> list[tuple[Comparison, list[Cell]]]:
    """Every comparison of a claim in each of its cells, seed by seed.

    Args:
        values: as from `selected`.

    Raises:
        UserError: a term meets several values of one seed, or every term names a dimension of `each` or `average`.
    """
    found = []
    for comparison in claim.comparisons:
        cells: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
        keys = [*claim.each, *claim.average]
        for combination in _combinations(comparison, keys, values, claim.id):
            at = dict(zip(keys, combination, strict=True))
            cells.setdefault(combination[: len(claim.each)], []).append(at)
        found.append((comparison, [_cell(comparison, name, at, values, claim.id) for name, at in cells.items()]))
    return found


def _combinations(comparison: Comparison, keys: list[str], values: Values, claim: str) -> list[tuple[Any, ...]]:
    """The combinations of the keys that a comparison is made for, in the order of the records."""
    if not keys:
        return [()]
    parts = [(metric, names) for term in comparison.terms for _, metric, names in term.parts + term.start]
    open_ = [values.rows(*part) for part in parts if not values.axes(part[1]) & set(keys)]
    if not open_:
        raise UserError(f"claim {claim}: every term names one of `{', '.join(keys)}`; take that key out of `each`")
    columns = [values.dimensions[key] for key in keys]
    known = ~np.any([values.unknown(key) for key in keys], axis=0)
    # Where there are no runs at all, one comparison is left to say so.
    occurring = dict.fromkeys(tuple(column[row] for column in columns) for rows in open_ for row in rows if known[row])
    return list(occurring) or [("any",) * len(keys)]


def _cell(
    comparison: Comparison, name: tuple[Any, ...], at: Sequence[Mapping[str, Any]], values: Values, claim: str
) -> Cell:
    margins: list[npt.NDArray[np.float64]] = []
    missing: list[tuple[int, str]] = []
    for one in at:
        sides = [_seedwise(term, one, values, claim) for term in comparison.terms]
        margins.append(sides[0][0] - sides[1][0])
        missing += [why for _, reasons in sides for why in reasons]
    return Cell(", ".join(map(str, name)), np.mean(margins, axis=0), list(dict.fromkeys(missing)), at)


def _seedwise(
    term: Term, at: Mapping[str, Any], values: Values, claim: str
) -> tuple[npt.NDArray[np.float64], list[tuple[int, str]]]:
    """A term in every seed, and where and why it has no value."""
    missing: list[tuple[int, str]] = []

    def total(parts: Sequence[Part]) -> npt.NDArray[np.float64]:
        summed = np.zeros(len(values.seeds))
        for weight, metric, names in parts:
            what = metric + f" of {'/'.join(names)}" * bool(names)
            rows = values.rows(metric, names, at)
            there = values.there[rows]
            if (there.sum(axis=0) > 1).any():
                raise UserError(f"claim {claim}: '{what}' has several values per seed; name what differs under `each`")
            summed += weight * np.where(there, values.values[rows], 0).sum(axis=0)
            absent = np.flatnonzero(~there.any(axis=0))
            summed[absent] = np.nan
            # Without any seed, the reason must not be lost.
            missing.extend((int(seed), f"no runs of {what}") for seed in (absent if len(values.seeds) else [-1]))
            for row, seed in zip(*np.nonzero(there & np.isnan(values.values[rows])), strict=True):
                missing.append((int(seed), values.reasons[rows[row], int(seed)]))
        return summed

    ends = total(term.parts)
    if term.start:
        starts = total(term.start)
        ends = (starts - ends) / np.where(starts > 0, starts, np.nan)
        missing += [(int(seed), f"{term.text}: it starts at {starts[seed]:g}") for seed in np.flatnonzero(starts <= 0)]
    return ends + term.plus, missing
