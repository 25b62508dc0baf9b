"""What an audit says: of each part of a set what leaving it out, halving and doubling it do, to whom, and what follows.

All error is spent once: half of `LEVEL` on the objective, over all settings (Holm), half on its classes, over all
settings and classes (Benjamini and Hochberg); so where nothing does anything, something is recommended with probability
`LEVEL` at most. A change is recommended where the objective or a class gains, as far as is shown, and no class loses.
Where some gain and others lose, that is a choice, not a winner: such sets make the front. Of an operation alone, from
which nothing is recommended, a class is said to lose what it is shown to lose beyond the margin.

Images that are held out are parted in two, class by class. One half chooses; what was chosen is told of the other, with
seeds that the choice has not seen. Where nothing is chosen, since no change of the set is tried, all are told of.

Where an audit looks at its trainings before all are there, the error is spent over the looks (`curves.spending`), and a
setting that is decided has no more seeds: what is said of it is what was said then. What helps goes on to the end, so
that those whom it hurts have all seeds to show it by, and so does an operation alone that is worse.
"""

from __future__ import annotations

import dataclasses
import itertools
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml
from scipy.special import stdtrit

from phenoviews.curves.contrasts import LEVEL, Contrasts, Flags, contrasts, every, front, interaction, needed, shown
from phenoviews.curves.floors import by_chance, chance, drawn
from phenoviews.curves.ranks import Ranks, means, ranks
from phenoviews.curves.spending import spent
from phenoviews.curves.tables import Floats
from phenoviews.curves.trends import count_pairs, opposed
from phenoviews.errors import UserError
from phenoviews.panels.verdicts import holm, over_seeds
from phenoviews.study import names
from phenoviews.study.metrics import BY_EPOCH

BETTER, WORSE, SAME, CANNOT = "better", "worse", "no difference", "cannot tell"
DRAWS = 199
UNTRAINED = "untrained"
NOTHING = "none"
SPENT_BY = "obrien_fleming"  # of `curves.spending.SPENDING`, where an audit does not say
_ALL = {"test": "all held-out images", "all": "all cells, those that are trained with among them"}
UNITS = {"rankme": "dimensions"}  # of metrics that are neither percentages nor numbers about 1


@dataclass(frozen=True)
class Scores:
    """What is counted: `y` (seeds, settings, outcomes) of which the first is the objective and the others are `classes`
    (its classes, superclasses or mechanisms), NaN where a training failed; `unit` of all."""

    y: Floats
    settings: tuple[str, ...]
    seeds: tuple[int, ...]
    classes: tuple[str, ...]
    unit: str
    objective: str
    metric: str = ""  # its name
    halved: bool = False  # whether it is of one half of the held-out images


@dataclass(frozen=True)
class Judged:
    """Scores, and every setting against the one that is audited, the first.

    `before`: the same at the look before this one, where there is one, at `level`s that add up to that of all. What was
    decided then stays as it was, and counts among all settings, since those that are left were chosen by what was seen.
    `alone`: whether settings are operations by themselves, which are asked what they cost, not whether to keep them.
    """

    scores: Scores
    margin: float
    level: float = LEVEL
    before: Judged | None = None
    alone: bool = False

    @cached_property
    def found(self) -> Contrasts:
        return contrasts(self.scores.y)

    @property
    def tried(self) -> bool:
        """Whether there is anything but the first setting."""
        return len(self.scores.settings) > 1

    @cached_property
    def stopped(self) -> Flags:
        """Which settings an earlier look decided, (settings,)."""
        if self.before is None:
            return np.zeros(len(self.scores.settings), dtype=np.bool_)
        return self.before.stopped | self.before.decided

    @cached_property
    def decided(self) -> Flags:
        """Which settings need no more seeds, (settings,): what is shown to be worse, or to make no difference, and
        helps nobody. An operation alone that is worse goes on: its classes may need all seeds to show it."""
        enough = (SAME,) if self.alone else (WORSE, SAME)
        settled = [verdict in enough and not self.helps(at) for at, verdict in enumerate(self.verdicts)]
        return np.array(settled) & (np.arange(len(settled)) > 0)

    @cached_property
    def seeds(self) -> npt.NDArray[np.int64]:
        """Of how many seeds what is said of each setting is, at most, (settings,)."""
        own = np.full(len(self.scores.settings), len(self.scores.seeds))
        return own if self.before is None else np.where(self.stopped, self.before.seeds, own)

    def _or_then(self, now: npt.NDArray[Any], then: Callable[[Judged], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """What is found `now`, (settings, …); of settings that have stopped what was found then."""
        if self.before is None:
            return now
        return np.where(self.stopped.reshape(-1, *[1] * (now.ndim - 1)), then(self.before), now)

    @cached_property
    def p(self) -> Floats:
        """Of each setting against the first, uncorrected, (settings, outcomes); see `negligible`."""
        return self._or_then(self.found.beyond(self.negligible)[0], lambda before: before.p)

    @property
    def negligible(self) -> float:
        """What a class may gain or lose without being told of. Of changes of the set nothing, since none that costs a
        class anything is recommended; of operations alone what makes no difference, since each costs most a little."""
        return self.margin if self.alone else 0.0

    @cached_property
    def corrected(self) -> Floats:
        """p of the objective, of each setting against the first: Holm's; NaN of the first."""
        p = self.found.p[0, :, 0].copy()
        if self.before is not None:
            worse = np.array(self.before.verdicts) == WORSE
            p = np.where(self.stopped, np.where(worse, 0.0, 1.0), p)
        p[0] = np.nan
        return self._or_then(holm(p), lambda before: before.corrected)

    @cached_property
    def changes(self) -> Floats:
        """Of each setting against the first, (settings, outcomes)."""
        return self._or_then(self.found.change[0], lambda before: before.changes)

    @cached_property
    def reaches(self) -> Floats:
        """Half-widths of their intervals: those of the objective right all at once, those of the classes likewise."""
        settings, outcomes = self.found.change.shape[1:]
        objective = self.found.reach(self.level / 2, max(settings - 1, 1))[0, :, :1]
        classes = self.found.reach(self.level / 2, max((settings - 1) * (outcomes - 1), 1))[0, :, 1:]
        return self._or_then(np.concatenate([objective, classes], axis=1), lambda before: before.reaches)

    @cached_property
    def ways(self) -> npt.NDArray[np.int64]:
        """Which classes each setting raises (1) and lowers (-1), as far as is shown: (settings, classes)."""
        now = shown(self.found.of(slice(1, None)).untested(self.stopped), 0, self.level / 2, self.negligible)
        return self._or_then(now, lambda before: before.ways)

    @cached_property
    def verdicts(self) -> list[str]:
        """Of each setting, on the objective: better, worse, no difference (within ± margin), cannot tell."""
        change, reach, p = self.changes[:, 0], self.reaches[:, 0], self.corrected
        tests = [p < self.level / 2, np.abs(change) + reach <= self.margin]
        now = np.select(tests, [np.where(change > 0, BETTER, WORSE), SAME], CANNOT)
        return list(self._or_then(now, lambda before: np.array(before.verdicts)))

    def helps(self, setting: int) -> bool:
        """Whether it is shown to raise the objective or a class, and to lower none."""
        ways = self.ways[setting]
        gains = self.verdicts[setting] == BETTER or bool((ways > 0).any())
        return gains and self.verdicts[setting] != WORSE and not bool((ways < 0).any())

    def trades(self, setting: int) -> bool:
        """Whether it is shown to raise some and to lower others."""
        ways = self.ways[setting]
        gains = self.verdicts[setting] == BETTER or bool((ways > 0).any())
        return gains and (self.verdicts[setting] == WORSE or bool((ways < 0).any()))

    @cached_property
    def undominated(self) -> npt.NDArray[np.bool_]:
        """The front: which settings none beats."""
        return front(every(self.found, self.level))

    def of(self, way: int, setting: int) -> list[str]:
        """The classes that it raises or lowers, with their changes: "retina -9.0 ± 2.1"."""
        at = np.flatnonzero(self.ways[setting] == way)
        order = at[np.argsort(-np.abs(self.changes[setting, 1 + at]))]
        changes, reaches = self.changes[setting, 1:], self.reaches[setting, 1:]
        return [f"'{self.scores.classes[one]}' {changes[one]:+z.1f} ± {reaches[one]:.1f}" for one in order]

    def opposition(self, rng: np.random.Generator) -> tuple[int, float, float]:
        """How many pairs of classes a setting opposes, all settings together; how many of them there are on average
        where settings are assigned anew within each seed; and p. Of seeds that all settings have: those of the first
        look."""
        if self.before is not None:
            return dataclasses.replace(self.before, level=LEVEL).opposition(rng)

        def count(y: Floats) -> int:
            ways = shown(contrasts(y), 0, self.level / 2)
            return sum(count_pairs(opposed(way)) for way in ways)

        of_classes = self.scores.y[..., 1:]
        observed = count(of_classes)
        draws = drawn(of_classes, by_chance, count, rng, DRAWS)
        return observed, float(draws.mean()), float(chance(observed, draws))


@dataclass(frozen=True)
class Recommendation:
    """A set: the overrides that make it from the one that is audited, and of each of its parts why, in words."""

    overrides: tuple[str, ...]
    reasons: dict[str, str]
    trades: tuple[str, ...]  # settings on the front that raise some and lower others

    def name(self, start: str) -> str:
        return "+".join([start, *self.overrides])


def recommended(judged: Judged, design: Mapping[str, Any], start: str, entry: Any) -> Recommendation:
    """What follows of what was found, part by part."""
    overrides: list[str] = []
    reasons = dict.fromkeys(design["declared"]["keep"], "kept, as `keep` says: every setting has it")
    places = {name: at for at, name in enumerate(judged.scores.settings)}
    by_operation: dict[str, list[Mapping[str, Any]]] = {}
    for part in design["parts"]:
        by_operation.setdefault(part["operation"], []).append(part)
    for operation, parts in by_operation.items():
        tried = {
            part["name"]: {
                float(times): places[spelled]
                for times, override in part["levels"].items()
                if (spelled := names.override(entry, f"{start}+{override}")[1]) in places
            }
            for part in parts
        }
        best = {name: _best(judged, levels) for name, levels in tried.items()}
        taken = {name: times for name, times in best.items() if times is not None}
        # The operation out, or some of its strengths changed: whichever raises the objective more.
        if operation in taken and len(taken) > 1:
            whole = judged.changes[tried[operation][taken[operation]], 0]
            others = [judged.changes[tried[name][times], 0] for name, times in taken.items() if name != operation]
            taken = {operation: taken[operation]} if whole >= max(others) else {
                name: times for name, times in taken.items() if name != operation
            }  # fmt: skip
        for part in parts:
            reasons[part["name"]] = _reason(judged, tried[part["name"]], taken.get(part["name"]))
            if part["name"] in taken:
                overrides.append(part["levels"][_key(part["levels"], taken[part["name"]])])
    trades = tuple(
        name for at, name in enumerate(judged.scores.settings) if at and judged.trades(at) and judged.undominated[at]
    )
    return Recommendation(tuple(overrides), reasons, trades)


def _key(levels: Mapping[Any, str], times: float) -> Any:
    return next(key for key in levels if float(key) == times)


def _best(judged: Judged, levels: Mapping[float, int]) -> float | None:
    """Of those levels that help the one that raises the objective most."""
    helping = {times: judged.changes[at, 0] for times, at in levels.items() if judged.helps(at)}
    return max(helping, key=lambda times: helping[times]) if helping else None


WORDS = {0.0: "without it", 0.5: "at half of it", 2.0: "at twice of it"}
CALLED = {0.0: "without", 0.5: "half of", 2.0: "twice"}
DONE = {0.0: "dropped", 0.5: "halved", 2.0: "doubled"}


def _reason(judged: Judged, levels: Mapping[float, int], taken: float | None) -> str:
    """Why a part is kept, changed, or not told of."""
    at = levels.get(0.0 if taken is None else taken)
    if at is None:
        return "kept: not tried"
    gains, losses = judged.of(1, at), judged.of(-1, at)
    change, reach, verdict = judged.changes[at, 0], judged.reaches[at, 0], judged.verdicts[at]
    overall = f"all {change:+z.1f} ± {reach:.1f} {judged.scores.unit}"
    told = {"gain": gains, "lose": losses}
    who = "; ".join(f"{word}: {', '.join(named)}" for word, named in told.items() if named)
    if taken is not None:
        return f"{DONE[taken]}: {WORDS[taken]} {overall}" + f"; {who}" * bool(who)
    if judged.trades(at):
        return f"kept, and a choice: without it {overall}; {who}"
    if verdict == WORSE or losses:
        return f"kept: without it {overall}" + f"; {who}" * bool(who)
    if verdict == SAME:
        most = -min(judged.changes[at, 1:].min(initial=0.0), 0.0)
        return f"kept: it makes no difference, {overall}; no class loses more than {most:.1f} without it"
    enough = needed(reach, len(judged.scores.seeds), judged.margin)
    return f"kept, as this budget cannot tell: without it {overall}; about {enough} seeds of each would tell"


def scores_of_labels(runs: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], images: str) -> Scores:
    """Accuracy in percent, of all classes together and of each (superclass, where there are some).

    Args:
        runs: each with transform, method and seed.
        found: of each run `predictions` (n,), empty where there are none; `labels` (n,); `classes`, by label;
            `superclasses`, of each class, or None.
        images: of those that are held out the half that is `choosing` or `telling`, or `all`.
    """
    first = found[0]
    groups = first["superclasses"] or first["classes"]
    outcomes = list(dict.fromkeys(groups))
    member = np.array([outcomes.index(group) for group in groups])

    def row(one: Mapping[str, Any]) -> Floats:
        predictions, labels = one["predictions"], one["labels"]
        if not len(predictions):
            return np.full(1 + len(outcomes), np.nan)
        of = (images == "all") | (halves(labels) == (images == "choosing"))
        right, at = (predictions == labels)[of], labels[of]
        shares = [right[at == label].mean() if (at == label).any() else np.nan for label in range(len(groups))]
        by_class = np.array(shares)
        by_group = np.array([by_class[member == group].mean() for group in range(len(outcomes))])
        return 100 * np.array([right.mean(), *by_group])

    scores = _arranged(runs, [row(one) for one in found], outcomes, "points", "accuracy of the linear probe (%)")
    return dataclasses.replace(scores, metric="top1", halved=images != "all")


def halves(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which images choose, (n,): every other one of each class, in an order that is drawn once for all."""
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        at = np.flatnonzero(labels == label)
        chosen[np.random.default_rng([0, int(label)]).permutation(at)[::2]] = True
    return chosen


def scores_of_values(
    runs: Sequence[Mapping[str, Any]], records: pd.DataFrame, judged: Sequence[str], metrics: Mapping[str, Any]
) -> Scores:
    """By values of measures: the first of the metrics `judged` that could be measured of any run, and as classes, of
    treatments, the share of each mechanism's that NSCB finds.

    Args:
        records: of the measures of these runs, as from `records.read`.
        metrics: what is known of each metric, as `study.metrics` has it, as plain data.

    Raises:
        UserError: none of `judged` could be measured.
    """
    columns = {name: values_of(runs, records, name, metrics[name]) for name in judged}
    name = next((name for name, of in columns.items() if np.isfinite(of).any()), None)
    if name is None:
        raise UserError(f"{', '.join(judged)} could not be measured of any run, so there is nothing to judge sets by")
    unit, label = _unit(name, metrics[name])
    right = _profiled(records[records["metric"] == "nscb_right"])
    moas = sorted(set(right["moa"]) - {""}) if len(right) else []
    rows = []
    for run, value in zip(runs, columns[name], strict=True):
        by_moa: Any = _of(right, run, "nscb_right").groupby("moa")["value"].mean() if moas else {}
        rows.append(np.array([value, *(100 * by_moa.get(moa, np.nan) for moa in moas)]))
    return dataclasses.replace(_arranged(runs, rows, moas, unit, label), metric=name)


def by_value(scores: Scores, values: Scores) -> Scores:
    """Scores of classes that are judged by the first outcome of `values` in place of their own."""
    y = np.concatenate([values.y[:, :, :1], scores.y[:, :, 1:]], axis=2)
    return dataclasses.replace(scores, y=y, objective=values.objective, metric=values.metric)


def values_of(runs: Sequence[Mapping[str, Any]], records: pd.DataFrame, name: str, metric: Mapping[str, Any]) -> Floats:
    """A metric of each run, (runs,), so that more is better: under TVN, on held-out images; in hundredths what has no
    unit, but for RankMe; with its sign turned where less is better. NaN where there is none."""
    found = records[records["metric"] == name]
    if "split" in found:
        found = found[found["split"].isin(["test", ""])]
    found = _profiled(found)
    of = np.array([_only(_of(found, run, name)) for run in runs])
    return of * (1 if _unit(name, metric)[0] != "hundredths" else 100) * (-1 if metric["better"] == "lower" else 1)


def _profiled(records: pd.DataFrame) -> pd.DataFrame:
    return records[records["postprocessing"].isin(["tvn", ""])] if "postprocessing" in records else records


def _unit(name: str, metric: Mapping[str, Any]) -> tuple[str, str]:
    """The unit of a metric's changes, and what it is called."""
    if metric["unit"] == "%":
        return "points", f"{metric['label']} (%)"
    if name in UNITS:
        return UNITS[name], metric["label"]
    turned = ", its sign turned, as less is better" if metric["better"] == "lower" else ""
    return "hundredths", f"{metric['label']} (in hundredths{turned})"


def _of(records: pd.DataFrame, run: Mapping[str, Any], metric: str) -> pd.DataFrame:
    same = [records[key] == run[key] for key in ("transform", "method", "seed")]
    found: pd.DataFrame = records[np.all(same, axis=0) & (records["metric"] == metric)]
    return found


def _only(records: pd.DataFrame) -> float:
    return float(records["value"].iloc[0]) if len(records) else float("nan")


def _arranged(
    runs: Sequence[Mapping[str, Any]], rows: Sequence[Floats], classes: Sequence[str], unit: str, objective: str
) -> Scores:
    settings = list(dict.fromkeys(_setting(run) for run in runs))
    seeds = sorted({run["seed"] for run in runs})
    y = np.full((len(seeds), len(settings), 1 + len(classes)), np.nan)
    for run, row in zip(runs, rows, strict=True):
        y[seeds.index(run["seed"]), settings.index(_setting(run))] = row
    # A class that a run has no number of, such as one without images in a half, is not compared.
    trained = np.isfinite(y[..., 0])
    whole = np.isfinite(y[trained]).all(axis=0)
    kept = [name for name, there in zip(classes, whole[1:], strict=True) if there]
    return Scores(y[..., whole], tuple(settings), tuple(seeds), tuple(kept), unit, objective)


def _setting(run: Mapping[str, Any]) -> str:
    return UNTRAINED if run["method"] == UNTRAINED else str(run["transform"])


def without(scores: Scores, *settings: str) -> Scores:
    """Scores without some of their settings."""
    return only(scores, *(name for name in scores.settings if name not in settings))


def only(scores: Scores, *settings: str) -> Scores:
    """Scores of these settings, in this order."""
    places = [scores.settings.index(name) for name in settings]
    return dataclasses.replace(scores, y=scores.y[:, places], settings=settings)


def alone(scores: Scores, design: Mapping[str, Any], margin: float) -> Judged | None:
    """Each operation by itself against none of them, which is called "none"; None where that was not trained."""
    named = {operation or NOTHING: setting for operation, setting in design["alone"].items()}
    if not named:
        return None
    its = dataclasses.replace(only(scores, *named.values()), settings=tuple(named))
    return at_looks(its, design, margin, alone=True)


def of_the_set(scores: Scores, design: Mapping[str, Any], margin: float) -> Judged:
    """All other settings, against the set that is audited."""
    return at_looks(without(scores, UNTRAINED, *design["apart"]), design, margin)


def at_looks(scores: Scores, design: Mapping[str, Any], margin: float, alone: bool = False) -> Judged:
    """Scores as they are judged at the last look that they reach: of all their seeds, where the design has none."""
    declared = design["declared"]
    if not declared.get("looks"):
        return Judged(scores, margin, alone=alone)
    judged = None
    for look, level in zip(declared["looks"], spent_at(declared), strict=True):
        there = [seed in design["seeds"][:look] for seed in scores.seeds]
        seeds = tuple(itertools.compress(scores.seeds, there))
        of_look = dataclasses.replace(scores, y=scores.y[there], seeds=seeds)
        judged = Judged(of_look, margin, level, judged, alone)
        if len(seeds) == len(scores.seeds):
            break
    assert judged is not None
    return judged


def spent_at(declared: Mapping[str, Any]) -> list[float]:
    """The error that is spent at each look of an audit."""
    return spent(declared["looks"], LEVEL, declared.get("spending", SPENT_BY))


def going_on(judged: Judged, by_itself: Judged | None, design: Mapping[str, Any]) -> list[str]:
    """The settings that are trained with the seeds of the next look: those that are not decided, and what they are
    compared with."""
    named = list(judged.scores.settings)
    left = [name for name, done in zip(named[1:], _done(judged)[1:], strict=True) if not done]
    found = [named[0], *left] if left else []
    if by_itself:
        spelled = [design["alone"]["" if name == NOTHING else name] for name in by_itself.scores.settings]
        of_each = [name for name, done in zip(spelled[1:], _done(by_itself)[1:], strict=True) if not done]
        found += [spelled[0], *of_each] if of_each else []
    return list(dict.fromkeys(found))


def _done(judged: Judged) -> Flags:
    return judged.stopped | judged.decided


def tidy(
    judged: Judged,
    by_itself: Judged | None,
    told_beside: Sequence[Scores],
    design: Mapping[str, Any],
    start: str,
    entry: Any,
) -> pd.DataFrame:
    """A row for each setting and outcome: what is changed, the change with its interval, p, whether it is shown.
    `against`: the setting that changes are counted from, the set or none of its operations. `metric`: of the rows that
    are judged "", of the others what was measured beside, each interval by itself. `look`: after how many seeds it was
    judged."""
    told = {
        names.override(entry, f"{start}+{override}")[1]: (part["name"], float(times))
        for part in design["parts"]
        for times, override in part["levels"].items()
    }
    rows = _rows(judged, start, told)
    rows += _rows(by_itself, NOTHING, {}) if by_itself else []
    for one in told_beside:
        for column, outcome in enumerate(["all", *one.classes]):
            of = dataclasses.replace(one, y=one.y[:, :, column : column + 1])
            changes, reaches = one_by_one(of)
            for at, setting in enumerate(judged.scores.settings):
                part, times = told.get(setting, ("", 1.0 if setting == start else np.nan))
                rows.append({
                    "against": start, "metric": one.metric, "setting": setting, "part": part, "times": times,
                    "outcome": outcome, "mean": mean(of.y[:, at]), "trainings": int(np.isfinite(of.y[:, at]).sum()),
                    "look": len(one.seeds),
                    "change": changes[at], "low": changes[at] - reaches[at], "high": changes[at] + reaches[at],
                    "p": np.nan, "verdict": "",
                })  # fmt: skip
    return pd.DataFrame(rows)


def _rows(judged: Judged, start: str, told: Mapping[str, tuple[str, float]]) -> list[dict[str, Any]]:
    rows = []
    for at, setting in enumerate(judged.scores.settings):
        part, times = told.get(setting, ("", 1.0 if setting == start else np.nan))
        for column, outcome in enumerate(["all", *judged.scores.classes]):
            of = judged.scores.y[:, at, column]
            change, reach = judged.changes[at, column], judged.reaches[at, column]
            rows.append({
                "against": start, "metric": "", "setting": setting, "part": part, "times": times, "outcome": outcome,
                "mean": mean(of), "trainings": int(np.isfinite(of).sum()), "look": judged.seeds[at],
                "change": change, "low": change - reach, "high": change + reach,
                "p": judged.corrected[at] if column == 0 else judged.p[at, column],
                "verdict": "" if at == 0 else judged.verdicts[at] if column == 0 else
                {1: "gains", -1: "loses", 0: ""}[int(judged.ways[at, column - 1])],
            })  # fmt: skip
    return rows


def beside(
    runs: Sequence[Mapping[str, Any]], records: pd.DataFrame, told: Sequence[str], metrics: Mapping[str, Any],
    settings: Sequence[str],
) -> list[Scores]:  # fmt: skip
    """What else was measured of these settings: scores of each of the metrics `told` that two seeds have of the first
    setting and of another."""
    found = []
    for name in told:
        values = values_of(runs, records, name, metrics[name])
        every_setting = _arranged(runs, list(values[:, None]), [], *_unit(name, metrics[name]))
        of = dataclasses.replace(only(every_setting, *settings), metric=name)
        there = np.isfinite(of.y[:, :, 0])
        if (there[:, :1] & there[:, 1:]).sum(axis=0).max(initial=0) > 1:
            found.append(of)
    return found


@dataclass(frozen=True)
class Length:
    """What is seen of an audit's settings after so many `epochs` by a metric: their changes, (settings,) without the
    set itself, and how these rank beside those in the end."""

    metric: str
    epochs: int
    changes: Floats
    ranks: Ranks


def at_lengths(
    runs: Sequence[Mapping[str, Any]], early: pd.DataFrame, last: pd.DataFrame, panel: Mapping[str, Any], name: str,
    settings: Sequence[str],
) -> list[Length]:  # fmt: skip
    """What settings (the set itself first) do after each length of training, on all images that are evaluated.

    Args:
        early: records of what was measured on the way, with epoch; `last`: of the trainings' ends.
        panel: of it `lengths` and `metrics`.
        name: of the metric.
    """
    lengths, metric = panel["lengths"], panel["metrics"][name]

    def changes(records: pd.DataFrame) -> Floats:
        values = values_of(runs, records, name, metric)
        y = only(_arranged(runs, list(values[:, None]), [], *_unit(name, metric)), *settings).y[:, :, 0]
        return y[:, 1:] - y[:, :1]

    # Where no training came so far there is no epoch either.
    early = early.assign(metric=early["metric"].str.removesuffix(BY_EPOCH), epoch=early.get("epoch", np.nan))
    in_the_end = changes(last)
    found = []
    for epochs in lengths["at"]:
        there = changes(early[early["epoch"] == epochs])
        found.append(Length(name, epochs, means(there), ranks(there, in_the_end)))
    return [*found, Length(name, lengths["epochs"], means(in_the_end), ranks(in_the_end, in_the_end))]


def lengths_table(found: Sequence[Length], panel: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each length: metric, epochs, share of the whole, whether it is what a training of that length gives,
    and its `Ranks`."""
    lengths = panel["lengths"]
    rows = [
        {
            "metric": one.metric, "epochs": one.epochs, "share": one.epochs / lengths["epochs"],
            "shorter_training": lengths["shorter_trainings"] or one.epochs == lengths["epochs"],
            **dataclasses.asdict(one.ranks),
        }
        for one in found
    ]  # fmt: skip
    return pd.DataFrame(rows)


def said_of_lengths(found: Sequence[Length], panel: Mapping[str, Any]) -> list[str]:
    """Whether shorter trainings would rank the settings alike: a sentence for each length, and what the lengths are."""
    lengths, (*early, last) = panel["lengths"], found
    label = panel["metrics"][last.metric]["label"]
    lines = []
    for one in early:
        of = one.ranks
        told = (
            f"Spearman {of.spearman:.2f} ({of.spearman_low:.2f} to {of.spearman_high:.2f}), Kendall {of.kendall:.2f} "
            f"({of.kendall_low:.2f} to {of.kendall_high:.2f})"
            if np.isfinite(of.spearman)
            else "no correlation can be told"
        )
        halves_ = f"; between halves of the seeds {of.between:.2f}" if np.isfinite(of.between) else ""
        lines.append(f"After {one.epochs} of {last.epochs} epochs, {of.settings} settings: {told}{halves_}.")
    if np.isfinite(last.ranks.between):
        lines.append(f"In the end, between halves of the seeds, {last.ranks.between:.2f}: more cannot be expected.")
    what = (
        "A training that ends there has the same weights, since nothing in it depends on how long it is to be."
        if lengths["shorter_trainings"]
        else f"They are looked at on the way of a training whose steps depend on its length ({lengths['schedule']} "
        "rate), so that one that ends there is another; what it would rank is only told by training it, with `epochs`."
    )
    return [
        f"Changes of {label}, {_ALL[panel['evaluated']]}, ranked as in the end; 95 % intervals, over settings.",
        *lines,
        f"{what} Nothing is chosen by this: looks count seeds of whole trainings.",
    ]


def one_by_one(scores: Scores) -> tuple[Floats, Floats]:
    """Changes against the first setting, and half-widths of 95 % intervals of each by itself, (settings,)."""
    found = contrasts(scores.y)
    return found.change[0, :, 0], found.reach(LEVEL)[0, :, 0]


def mean(y: Floats) -> float:
    """Of what there is; NaN where there is nothing."""
    return float(np.nanmean(y)) if np.isfinite(y).any() else float("nan")


def recommended_yaml(recommendation: Recommendation, start: str, entry: Any, name: str) -> str:
    """The recommended set as it can be pasted into a config, with the reason for every line."""
    changed = names.override(entry, recommendation.name(start))[0]
    lines = ["transforms:", f"  {name}:"]
    shown_parts: set[str] = set()
    for step in changed:
        lines += _comments(recommendation, next(iter(step)), shown_parts)
        lines.append(step_yaml(step))
    gone = [part for part in recommendation.reasons if part not in shown_parts]
    lines += [
        f"    # {line}" for part in gone for line in textwrap.wrap(f"{part}: {recommendation.reasons[part]}", 110)
    ]
    return "\n".join(lines) + "\n"


def step_yaml(step: Mapping[str, Any]) -> str:
    """An operation of a transform as a line of YAML."""
    ((operation, parameters),) = step.items()
    given = yaml.safe_dump(parameters, default_flow_style=True, width=1000, sort_keys=False).strip()
    return f"    - {operation}: {given}"


def _comments(recommendation: Recommendation, operation: str, shown_parts: set[str]) -> list[str]:
    lines = []
    for part, reason in recommendation.reasons.items():
        if part.partition(".")[0] == operation and part not in shown_parts:
            shown_parts.add(part)
            lines += [f"    # {line}" for line in textwrap.wrap(f"{part}: {reason}", 110)]
    return lines


def budget_that_tells(judged: Judged, design: Mapping[str, Any]) -> tuple[int, float]:
    """How many seeds bring every interval of the objective within ± margin, and the hours that they take with what is
    trained again."""
    open_ = judged.reaches[1:, 0][~judged.stopped[1:]]
    widest = float(np.nanmax(open_)) if len(open_) else 0.0
    seeds = needed(widest, len(judged.scores.seeds), judged.margin)
    per_setting = design["hours"] / max(len(design["settings"]), 1)
    return seeds, seeds * (design["hours"] + design["told"] * per_setting)


def report(
    judged: Judged,
    recommendation: Recommendation,
    panel: Mapping[str, Any],
    by_itself: Judged | None,
    again: Judged | None,
    nuisances: Sequence[Told],
    baselines: Mapping[str, float],
    told_beside: Sequence[Scores] = (),
    lengths: Sequence[Length] = (),
    lead: Sequence[str] = (),
    beyond: Sequence[str] = (),
) -> str:
    """The audit in words, as Markdown: what is recommended, how sure, for whom, at what cost.

    Args:
        by_itself: as from `alone`.
        again: the set and what is recommended in its place, with new seeds, on the half that tells; None where nothing
            is recommended.
        nuisances: as from `told_nuisances`.
        baselines: {what is known without any training: percent}.
        told_beside: as from `beside`.
        lengths: as from `at_lengths`.
        lead, beyond: sentences that are said before what follows of the parts, and after it.
    """
    scores, design = judged.scores, panel["design"]
    lines = [f"# {panel['title']}", ""]
    lines += [f"> {panel['scale']['note']}", ""] if panel["scale"]["note"] else []
    first, *others = in_short(judged, recommendation, panel, by_itself, again, lead, beyond)
    lines += [f"**{first}**", ""] + [line for other in others for line in (other, "")]
    lines += [f"* {what}: {value:.1f}" for what, value in baselines.items()] + ["" * bool(baselines)]
    lines += ["| setting | mean | change | verdict | gain | lose |", "|---|---|---|---|---|---|"]
    order = np.argsort(-np.nan_to_num(judged.changes[:, 0], nan=-np.inf), kind="stable")
    for at in order:
        change = "" if at == 0 else f"{judged.changes[at, 0]:+z.1f} ± {judged.reaches[at, 0]:.1f}"
        verdict = "the set itself" if at == 0 else judged.verdicts[at]
        verdict += f", after {judged.seeds[at]} seeds" if judged.stopped[at] else ""
        told = [", ".join(judged.of(way, at)) for way in (1, -1)]
        lines.append(
            f"| {scores.settings[at]} | {mean(scores.y[:, at, 0]):.1f} | {change} | {verdict} | {told[0]} | {told[1]} |"
        )
    lines += ["", "## Part by part", ""]
    lines += [f"* **{part}** {reason}" for part, reason in recommendation.reasons.items()]
    if by_itself:
        lines += ["", "## Each operation alone, against none", ""]
        if by_itself.scores.classes:
            lines += [f"Of classes what is shown to be more than {by_itself.margin:g} {scores.unit}.", ""]
        lines += _each(by_itself)
    if told_beside:
        lines += ["", "## By other measures", "", *_table_beside(judged, told_beside)]
    if lengths:
        lines += ["", "## Would shorter trainings do?", "", *(f"* {line}" for line in said_of_lengths(lengths, panel))]
    if design["pairs"]:
        lines += ["", "## Parts that may do the same work", ""] + [_pair(judged, pair) for pair in design["pairs"]]
    if recommendation.trades:
        lines += ["", "## Sets that trade classes against each other", ""]
        lines += ["None of these beats another, and which is better is yours to say.", ""]
        lines += [
            f"* `{name}`: gain: {', '.join(judged.of(1, at)) or 'all'}; lose: {', '.join(judged.of(-1, at)) or 'all'}"
            for name in recommendation.trades
            for at in [scores.settings.index(name)]
        ]
    if scores.classes and judged.tried:
        observed, floor, p = judged.opposition(np.random.default_rng(0))
        lines += ["", f"Opposed pairs of classes: {observed}; noise alone has {floor:.1f} on average (p = {p:.3f})."]
    if nuisances:
        lines += ["", "## What it should not tell", "", *_table_of_nuisances(nuisances)]
    return "\n".join(lines) + "\n"


def in_short(
    judged: Judged, recommendation: Recommendation, panel: Mapping[str, Any], by_itself: Judged | None,
    again: Judged | None, lead: Sequence[str] = (), beyond: Sequence[str] = (),
) -> list[str]:  # fmt: skip
    """What is recommended, whether it won again, what cannot be told and what would tell it, and how it was counted: a
    sentence or two each; with `lead` before all, and `beyond` after what is recommended. Where no change of the set was
    tried, of each operation alone."""
    start, name = panel["start"], recommendation.name(panel["start"])
    by_parts = "Of its parts: " if panel["design"].get("search") else ""  # a search may say otherwise
    if recommendation.overrides:
        follows = f"Recommended: `{name}` in place of `{start}`."
    elif judged.tried or by_itself is None:
        follows = f"Nothing is recommended in place of `{start}`."
    else:
        follows = (
            f"What each operation of `{start}` costs by itself; no change of the set was tried, as `tries` says, so "
            "nothing is recommended in its place."
        )
        judged = by_itself
    scores, changes = judged.scores, len(judged.scores.settings) - 1
    seeds, hours = budget_that_tells(judged, panel["design"])
    spread = float(np.nanmean(np.nanstd(scores.y[:, :, 0], axis=0, ddof=1))) if len(scores.seeds) > 1 else np.nan
    lines = [*lead, by_parts + follows]
    lines += [_confirmed(again, name, start, panel["evaluated"])] if again else []
    lines += beyond
    undecided = judged.verdicts[1:].count(CANNOT)
    if undecided:
        lines.append(
            f"Of {changes} changes it cannot tell {undecided} at this budget; about {seeds} seeds of each, "
            f"{hours:.3g} GPU hours in all, would tell differences of {judged.margin:g} {scores.unit}."
        )
    lines.append(
        f"Counted by {scores.objective}, on {_where(scores, 'chooses', panel['evaluated'])}; {len(scores.seeds)} "
        f"seeds, between which it varies by {spread:.1f} {scores.unit} (SD). Intervals are right all at once (95 %): "
        f"paired by seed, for {changes} settings."
    )
    return lines + _looked(judged, panel)


def _looked(judged: Judged, panel: Mapping[str, Any]) -> list[str]:
    """What looks before the end came to; nothing where there are none."""
    design = panel["design"]
    found = looks_of(judged, design)
    if not found:
        return []
    words = {
        "seeds": _listed([str(one["seeds"]) for one in found]),
        "spent": _listed([f"{100 * one['spent']:.2f}" for one in found]),
        "decided": _listed([str(one["decided"]) for one in found]),
    }
    most = len(design["settings"]) * len(design["seeds"])
    trained = sum(run["method"].split("+")[0] != UNTRAINED for run in panel["each"])
    return [
        f"It was looked at after {words['seeds']} seeds, as fixed beforehand, and of the error of 5 % it spent "
        f"{words['spent']} % then ({SPENDERS[design['declared'].get('spending', SPENT_BY)]}). What is worse, or makes "
        f"no difference, had no more seeds: {words['decided']} settings (an operation alone that is worse had all), so "
        f"that {trained} of {most} trainings were made."
    ]


SPENDERS = {"obrien_fleming": "as O'Brien and Fleming", "pocock": "as Pocock"}


def looks_of(judged: Judged, design: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of each look: after how many `seeds`, what share of error is `spent`, how many settings it `decided`; empty where
    an audit has none. One that was not come to, as all was decided before it, decided nothing."""
    if not design["declared"].get("looks"):
        return []
    chain = [judged]
    while (before := chain[0].before) is not None:
        chain.insert(0, before)
    decided = [int((one.decided & ~one.stopped).sum()) for one in chain]
    declared = design["declared"]
    return [
        {"seeds": seeds, "spent": level, "decided": count}
        for seeds, level, count in zip(
            declared["looks"],
            spent_at(declared),
            [*decided, *[0] * (len(declared["looks"]) - len(decided))],
            strict=True,
        )
    ]


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + f" and {words[-1]}"


def document(
    judged: Judged, recommendation: Recommendation, panel: Mapping[str, Any], by_itself: Judged | None,
    again: Judged | None, nuisances: Sequence[Told], baselines: Mapping[str, float], told_beside: Sequence[Scores] = (),
    lengths: Sequence[Length] = (), lead: Sequence[str] = (), beyond: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """What a page shows of an audit, as plain data; the arguments of `report`.

    Returns:
        said: `in_short`; unit, margin, classes; settings, the set itself first and then the best: setting, called,
        mean, change, reach (None of the set itself), verdict, cells (of each class its change and whether it is shown:
        1, -1, 0); alone, likewise, against none of the operations; reasons, {part: why}; parts: name, and levels with
        times, said and transform; trades; baselines; beside: name, label, and of every setting mean, change and reach;
        opposition; nuisances.
    """
    parts = [
        {
            "name": part["name"],
            "levels": _levels(part, panel["start"], panel["entry"]),
        }
        for part in panel["design"]["parts"]
    ]
    called = {
        level["transform"]: f"{CALLED[level['times']]} {part['name']}"
        for part in parts
        for level in part["levels"]
        if level["times"] != 1
    }
    scores = judged.scores
    opposition = None
    if scores.classes and judged.tried:
        observed, floor, p = judged.opposition(np.random.default_rng(0))
        opposition = {"pairs": observed, "by_noise": floor, "p": p}
    return {
        "start": panel["start"],
        "said": in_short(judged, recommendation, panel, by_itself, again, lead, beyond),
        "unit": scores.unit,
        "margin": judged.margin,
        "budget": panel["budget_gpu_hours"],
        "classes": list(scores.classes),
        "settings": _lines(judged, {panel["start"]: "the set itself", **called}, panel["start"]),
        "alone": _lines(by_itself, {NOTHING: "none of them"}, NOTHING) if by_itself else [],
        "parts": parts,
        "reasons": dict(recommendation.reasons),
        "trades": [{"setting": name, "called": called.get(name, name)} for name in recommendation.trades],
        "opposition": opposition,
        "baselines": [{"what": what, "value": _number(value)} for what, value in baselines.items()],
        "beside": [
            {
                "name": one.metric,
                "label": one.objective,
                "settings": {
                    setting: {"mean": _number(mean(one.y[:, at])), "change": _number(change), "reach": _number(reach)}
                    for at, (setting, change, reach) in enumerate(zip(one.settings, *one_by_one(one), strict=True))
                },
            }
            for one in told_beside
        ],
        "nuisances": {
            "said": said_of_nuisances(nuisances),
            "told": [{"setting": one.setting, "percent": dict(one.percent)} for one in nuisances],
        }
        if nuisances
        else None,
        "looks": looks_of(judged, panel["design"]),
        "lengths": {
            "said": said_of_lengths(lengths, panel),
            "epochs": [one.epochs for one in lengths],
            "changes": {
                name: [_number(one.changes[at]) for one in lengths] for at, name in enumerate(scores.settings[1:])
            },
        }
        if lengths
        else None,
    }


def _levels(part: Mapping[str, Any], start: str, entry: Any) -> list[dict[str, Any]]:
    """The strengths of a part from none to most, that of the set (1) among them."""
    levels = {1.0: start} | {
        float(times): names.override(entry, f"{start}+{override}")[1] for times, override in part["levels"].items()
    }
    return [
        {"times": times, "said": {1.0: "as in the set", **WORDS}[times], "transform": levels[times]}
        for times in sorted(levels)
    ]


def _lines(judged: Judged, called: Mapping[str, str], start: str) -> list[dict[str, Any]]:
    """Settings with what is found of each, the set itself first and then the best first."""
    order = sorted(
        range(len(judged.verdicts)), key=lambda at: (at > 0, -np.nan_to_num(judged.changes[at, 0], nan=-np.inf))
    )
    return [
        {
            "setting": setting,
            "called": called.get(setting, setting.removeprefix(f"{start}+")),
            "mean": _number(mean(judged.scores.y[:, at, 0])),
            "change": _number(judged.changes[at, 0]) if at else None,
            "reach": _number(judged.reaches[at, 0]) if at else None,
            "verdict": judged.verdicts[at] if at else "",
            "after": int(judged.seeds[at]) if judged.stopped[at] else None,
            "cells": [
                {"change": _number(change), "shown": int(way)}
                for change, way in zip(judged.changes[at, 1:], judged.ways[at], strict=True)
            ],
        }
        for at in order
        for setting in [judged.scores.settings[at]]
    ]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _confirmed(again: Judged, name: str, start: str, evaluated: str) -> str:
    change, reach = again.changes[1, 0], again.found.reach()[0, 1, 0]
    seeds = int(np.isfinite(again.scores.y[:, :, 0]).all(axis=1).sum())
    won = "It wins" if change - reach > 0 else "It loses" if change + reach < 0 else "It is not shown to win"
    return (
        f"{won} with {seeds} seeds that the choice has not seen, on {_where(again.scores, 'tells', evaluated)}: "
        f"{change:+z.1f} ± {reach:.1f} {again.scores.unit} against `{start}` (95 %)."
    )


def _where(scores: Scores, what: str, evaluated: str) -> str:
    """The images that scores are of."""
    if evaluated == "all":
        return _ALL[evaluated]
    half = f"the half of the held-out images that {what}"
    if scores.halved and scores.metric == "top1":
        return half
    return _ALL[evaluated] + (f" (its classes by the linear probe, on {half})" if scores.halved else "")


def _table_beside(judged: Judged, told_beside: Sequence[Scores]) -> list[str]:
    lines = [
        "Changes with 95 % intervals, each by itself: they are told, and nothing is chosen by them.",
        "",
        f"| setting | {' | '.join(one.objective for one in told_beside)} |",
        "|---" * (1 + len(told_beside)) + "|",
    ]
    changes = [one_by_one(one) for one in told_beside]
    for at, setting in enumerate(judged.scores.settings):
        cells = [f"{mean(one.y[:, 0]):.1f}" for one in told_beside] if at == 0 else [
            f"{change[at]:+z.1f} ± {reach[at]:.1f}" if np.isfinite(reach[at]) else "" for change, reach in changes
        ]  # fmt: skip
        lines.append(f"| {setting} | {' | '.join(cells)} |")
    return lines


def _each(judged: Judged) -> list[str]:
    lines = []
    for at, name in enumerate(judged.scores.settings[1:], start=1):
        told = {"gain": judged.of(1, at), "lose": judged.of(-1, at)}
        who = "; ".join(f"{word}: {', '.join(named)}" for word, named in told.items() if named) or "no class is told of"
        lines.append(f"* **{name}** all {judged.changes[at, 0]:+z.1f} ± {judged.reaches[at, 0]:.1f} "
                     f"{judged.scores.unit} ({judged.verdicts[at]}); {who}")  # fmt: skip
    return lines


def _pair(judged: Judged, pair: Sequence[str]) -> str:
    places = [judged.scores.settings.index(name) for name in pair]
    try:
        change, spread, df = interaction(judged.scores.y, 0, *places)
    except UserError as error:
        return f"* {pair[2]}: {error}"
    reach = stdtrit(df, 1 - LEVEL / 2) * spread[0]
    return (
        f"* {pair[2]}: {change[0]:+z.1f} ± {reach:.1f} {judged.scores.unit} beyond both by themselves (95 %, by seed)"
    )


@dataclass(frozen=True)
class Told:
    """What neighbours in other wells tell of a setting's images: `percent` beyond chance of the class and of plate,
    week, row and column; and which of these are shown to be told `better` than the class."""

    setting: str
    percent: Mapping[str, float]
    better: Sequence[str]


def told_nuisances(records: pd.DataFrame) -> list[Told]:
    """`records`: of the measure `nuisances`."""
    told = records[records["metric"] == "told"]
    settings = told["transform"].mask(told["method"].str.split("+").str[0] == UNTRAINED, UNTRAINED)
    found = []
    for setting, of in told.groupby(settings, sort=False):
        wide = of.pivot_table(index="seed", columns="nuisance", values="value")
        if "class" not in wide:
            continue
        beyond = {name: (wide[name] - wide["class"]).dropna().to_numpy() for name in wide if name != "class"}
        better = [str(name) for name, of_seeds in beyond.items() if len(of_seeds) and over_seeds(of_seeds)[0] < LEVEL]
        found.append(Told(str(setting), {"class": wide["class"].mean(), **wide[[*beyond]].mean()}, better))
    return found


def said_of_nuisances(told: Sequence[Told]) -> list[str]:
    """A sentence for each setting that tells one better than the class."""
    return [
        f"`{one.setting}` tells the {' and the '.join(one.better)} better than the class." for one in told if one.better
    ]


def _table_of_nuisances(told: Sequence[Told]) -> list[str]:
    names = list(dict.fromkeys(name for one in told for name in one.percent))
    lines = [f"* {line}" for line in said_of_nuisances(told)] or ["Nothing is shown to be told better than the class."]
    lines += ["", "In percent beyond chance, by neighbours in other wells:", ""]
    lines += [f"| setting | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    return lines + [
        f"| {one.setting} | {' | '.join(f'{one.percent.get(name, np.nan):.1f}' for name in names)} |" for one in told
    ]
