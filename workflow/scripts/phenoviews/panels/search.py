"""A search over all parts of an audited set jointly: what is tried next, and what was found.

What is tried next is proposed by Optuna, asked and told anew in each round from what all trainings so far gave, so that
nothing but their results is kept: the same results lead to the same proposals. What looks best of many trainings with
few seeds looks better than it is; so the best are candidates, no more, until they are trained with new seeds.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from phenoviews.curves.contrasts import LEVEL
from phenoviews.panels.audit import Judged, Scores, step_yaml
from phenoviews.study import names

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

Space = Mapping[str, Sequence[str]]  # see `study.audits.Search.space`
ASKS = 100  # proposals for each setting of a round, of which those that were tried before are left out
FIRST = 5  # settings that must be told before anything is learned from them
DRAWS = 20000  # of the noise of the best of many
PROPOSED = {"tpe": "proposed by Optuna's TPE from all trainings before", "random": "drawn at random"}


@dataclass(frozen=True)
class Tried:
    """A setting that was trained: in which `round` of the search (0: by the audit); its `change` against the set
    itself, the mean over its seeds, and its `mean`, NaN where a training of it failed, and how it `failed`."""

    setting: str
    round: int
    change: float
    mean: float
    failed: str = ""


def propose(
    space: Space, start: str, entry: Any, tried: Iterable[Tried], count: int, sampler: str, seed: Sequence[int]
) -> list[str]:
    """Up to `count` settings that were not tried yet: fewer where hardly any are left.

    Args:
        start: the set that is audited, whose entry is `entry`.
        tried: what is known so far; of it what is no point of the space, such as whole other sets, is passed over.
        sampler: `tpe` learns from what was tried, `random` does not.
        seed: of this round.
    """
    import optuna
    from optuna.distributions import BaseDistribution, IntDistribution
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # A part of one level has nothing to choose.
    distributions: dict[str, BaseDistribution] = {
        part: IntDistribution(0, len(levels) - 1) for part, levels in space.items() if len(levels) > 1
    }
    study = optuna.create_study(direction="maximize", sampler=_sampler(sampler, seed))
    known = set()
    for one in tried:
        known.add(one.setting)
        point = point_of(one.setting, space, start, entry)
        if point is not None:
            there = math.isfinite(one.change)
            state, value = (TrialState.COMPLETE, one.change) if there else (TrialState.FAIL, None)
            study.add_trial(create_trial(state=state, value=value, params=point, distributions=distributions))
    found: list[str] = []
    for _ in range(ASKS * count):
        if len(found) == count:
            break
        trial = study.ask(distributions)
        setting = setting_of(trial.params, space, start, entry)
        if setting in known:
            study.tell(trial, state=TrialState.FAIL)
            continue
        # It stays open, so that the next is proposed elsewhere (the constant liar).
        known.add(setting)
        found.append(setting)
    return found


def _sampler(kind: str, seed: Sequence[int]) -> BaseSampler:
    from optuna.samplers import RandomSampler, TPESampler

    (number,) = np.random.SeedSequence(list(seed)).generate_state(1)
    if kind == "random":
        return RandomSampler(seed=int(number))
    return TPESampler(seed=int(number), n_startup_trials=FIRST, multivariate=True, constant_liar=True)


def setting_of(point: Mapping[str, int], space: Space, start: str, entry: Any) -> str:
    """The transform at a point of the space, {part: the place of its level}, under its one spelling."""
    chosen = {part: space[part][place] for part, place in point.items()}
    out = {part for part, override in chosen.items() if override.endswith("=off")}
    # Where an operation is out, its strengths are nothing.
    overrides = [one for part, one in chosen.items() if one and (part in out or part.partition(".")[0] not in out)]
    return names.override(entry, "+".join([start, *overrides]))[1]


def point_of(setting: str, space: Space, start: str, entry: Any) -> dict[str, int] | None:
    """The point of the space that a transform is at; None where it is none of them."""
    places = {
        names.override(entry, f"{start}+{override}")[1].removeprefix(f"{start}+"): (part, place)
        for part, levels in space.items()
        for place, override in enumerate(levels)
        if override
    }
    base, *overrides = setting.split("+")
    if base != start.split("+")[0] or any(override not in places for override in overrides):
        return None
    found = {part: levels.index("") for part, levels in space.items() if len(levels) > 1}
    return {**found, **dict(places[override] for override in overrides)}


# ------------------------------------------------------------------------------------------------------ what was found
@dataclass(frozen=True)
class Found:
    """What a search came to.

    `tried`: by its rounds, in their order, of `most` that it may try. `mean`: of the set itself, with the seeds of the
    search. `spread`: the standard deviation, between seeds, of what two settings differ by. `again`: the set itself and
    the candidates with new seeds, on the images that tell; None where there are none that can be told. `lost`:
    candidates whose trainings with new seeds failed.
    """

    start: str
    tried: tuple[Tried, ...]
    most: int
    mean: float
    spread: float
    seeds: int
    sampler: str
    candidates: tuple[str, ...]
    lost: tuple[str, ...]
    again: Judged | None

    @property
    def winner(self) -> str:
        """Of the candidates that are shown to help with new seeds, the one that raises the objective most; or ""."""
        if self.again is None:
            return ""
        helping = [at for at in range(1, len(self.again.scores.settings)) if self.again.helps(at)]
        best = max(helping, key=lambda at: self.again.changes[at, 0] if self.again else 0.0, default=0)
        return self.again.scores.settings[best] if best else ""

    def by_noise(self, count: int) -> float:
        """What the best of `count` settings that do nothing gains with the seeds of the search, in 95 of 100 searches
        at most: all are compared with the same trainings of the set itself."""
        if not count or not math.isfinite(self.spread):
            return math.nan
        noise = np.random.default_rng(0).normal(size=(DRAWS, 1 + count))
        best = noise[:, 1:].max(axis=1) - noise[:, 0]
        return float(np.quantile(best, 1 - LEVEL) * self.spread / math.sqrt(2 * self.seeds))

    @property
    def rounds(self) -> list[dict[str, Any]]:
        """Of each round: round, tried, failed, best (of the round), so_far, by_noise (of as many as were tried so
        far); None for what there is not."""
        rounds: list[dict[str, Any]] = []
        for number in range(1, max((one.round for one in self.tried), default=0) + 1):
            of = [one for one in self.tried if one.round == number]
            until = [one for one in self.tried if one.round <= number]
            rounds.append({
                "round": number, "tried": len(of), "failed": sum(bool(one.failed) for one in of), "best": _best(of),
                "so_far": _best(until), "by_noise": _finite(self.by_noise(sum(not one.failed for one in until))),
                "changes": [_finite(one.change) for one in of],
            })  # fmt: skip
        return rounds


def _best(tried: Iterable[Tried]) -> float | None:
    return max((one.change for one in tried if math.isfinite(one.change)), default=None)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def tried_by_audit(judged: Judged) -> list[Tried]:
    """The set itself and the settings that an audit changes a part of, for a search to begin with."""
    y = judged.scores.y[:, :, 0]
    return [
        Tried(setting, 0, float(judged.changes[at, 0]), float(y[np.isfinite(y[:, at]), at].mean()))
        if np.isfinite(judged.changes[at, 0])
        else Tried(setting, 0, math.nan, math.nan, "too few of its trainings went well")
        for at, setting in enumerate(judged.scores.settings)
    ]


def tried_in_round(
    scores: Scores, start: str, settings: Iterable[str], number: int, seeds: Sequence[int], reasons: Mapping[str, str]
) -> list[Tried]:
    """What a round of the search tried, against the set itself, seed by seed.

    Args:
        scores: of all of them and of `start`.
        seeds: with which the search trains.
        reasons: {setting: why there is no score}, where that is known.
    """
    rows = [scores.seeds.index(seed) for seed in seeds]
    y = scores.y[rows, :, 0]
    base = y[:, scores.settings.index(start)]
    found = []
    for setting in settings:
        of = y[:, scores.settings.index(setting)]
        if np.isfinite(of - base).all():
            found.append(Tried(setting, number, float((of - base).mean()), float(of.mean())))
        else:
            failed = reasons.get(setting) or ("it has no score" if not np.isfinite(of).all() else f"'{start}' has none")
            found.append(Tried(setting, number, math.nan, math.nan, failed))
    return found


def candidates(tried: Iterable[Tried], count: int) -> list[str]:
    """The best that the search tried, of those that gain on the set itself."""
    gaining = [one for one in tried if one.round and one.change > 0]
    return [one.setting for one in sorted(gaining, key=lambda one: -one.change)[:count]]


def spread_of(judged: Judged) -> float:
    """The standard deviation, between seeds, of what two settings of an audit differ by: the median over them."""
    y = judged.scores.y[:, :, 0]
    both = np.isfinite(y[:, 1:] - y[:, :1]).sum(axis=0)
    spreads = judged.found.error[0, 1:, 0] * np.sqrt(both)
    return float(np.nanmedian(spreads)) if np.isfinite(spreads).any() else math.nan


def said(found: Found, unit: str) -> list[str]:
    """What a search came to, in words: what it recommends or that it does not, and how much it tried."""
    count, failed = len(found.tried), sum(bool(one.failed) for one in found.tried)
    best = max((one for one in found.tried if not one.failed), key=lambda one: one.change, default=None)
    in_rounds = f"{len(found.rounds)} round{'s' * (len(found.rounds) > 1)}"
    how = f"It tried {count} settings in {in_rounds}, {PROPOSED[found.sampler]}, each with "
    how += f"{found.seeds} seed{'s' * (found.seeds > 1)}" + (f"; {failed} failed." if failed else ".")
    how += " There were no others to try." if count < found.most else ""
    if best is None:
        return ["The search recommends nothing: it tried nothing that went well.", how]
    noise = found.by_noise(count - failed)
    seen = f"The best looked {best.change:+z.1f} {unit} better"
    seen += f", where the best of as many that do nothing looks up to {noise:+.1f}." if math.isfinite(noise) else "."
    lines = [f"The search recommends `{found.winner}` in place of `{found.start}`."] if found.winner else [
        f"The search recommends nothing in place of `{found.start}`."
    ]  # fmt: skip
    lines.append(f"{how} {seen}")
    if not found.candidates:
        lines.append("None gains on the set itself, so that none was trained with new seeds.")
    return [*lines, *_again(found, unit)]


def _again(found: Found, unit: str) -> list[str]:
    lines = [f"`{name}` could not be told again: its trainings with new seeds failed." for name in found.lost]
    if found.again is None:
        return lines
    seeds = len(found.again.scores.seeds)
    for at, name in enumerate(found.again.scores.settings[1:], start=1):
        change, reach = found.again.changes[at, 0], found.again.reaches[at, 0]
        told = {"gain": found.again.of(1, at), "lose": found.again.of(-1, at)}
        who = "".join(f"; {word}: {', '.join(named)}" for word, named in told.items() if named)
        lines.append(
            f"`{name}` with {seeds} seeds that the search has not seen: {change:+z.1f} ± {reach:.1f} {unit} "
            f"({found.again.verdicts[at]}){who}."
        )
    return lines


def report(found: Found, unit: str) -> str:
    """A section of an audit's Markdown: the search round by round."""
    lines = ["", "## The search", ""]
    lines += [f"The set itself: {found.mean:.1f} with these seeds. Changes in {unit}, against it, seed by seed.", ""]
    lines += ["| round | tried | failed | best | best so far | by noise, 95 % |", "|---|---|---|---|---|---|"]
    for one in found.rounds:
        shown = ["" if one[key] is None else f"{one[key]:+z.1f}" for key in ("best", "so_far", "by_noise")]
        lines.append(f"| {one['round']} | {one['tried']} | {one['failed']} | {' | '.join(shown)} |")
    failed = [one for one in found.tried if one.failed]
    lines += ["", *(f"* `{one.setting}` failed: {one.failed}" for one in failed)] if failed else []
    return "\n".join(lines) + "\n"


def found_yaml(found: Found, entry: Any, name: str, scores: Scores) -> str:
    """What a search recommends as a transform `name` that can be pasted, below `transforms:`, with what it was judged
    at; where it recommends nothing, that it does not."""
    if not found.winner:
        return comment(f"The search recommends nothing: of {len(found.tried)} settings none is shown to be better.")
    changed = names.override(entry, found.winner)[0]
    (told,) = [line for line in _again(found, scores.unit) if line.startswith(f"`{found.winner}`")]
    why = comment(f"found by a search of {len(found.tried)} settings, counted by {scores.objective}: {told}")
    return why + "".join(f"{line}\n" for line in [f"  {name}:", *map(step_yaml, changed)])


def comment(text: str) -> str:
    return "".join(f"  # {line}\n" for line in textwrap.wrap(text.replace("`", ""), 110))


def table(found: Found) -> pd.DataFrame:
    """A row for each setting that was tried: round, setting, mean, change, failed; best, so far; by_noise, what the
    best of as many that do nothing may seem to gain; of candidates what new seeds say: again, low, high, verdict."""
    again: dict[str, dict[str, Any]] = {}
    if found.again is not None:
        for at, name in enumerate(found.again.scores.settings[1:], start=1):
            change, reach = found.again.changes[at, 0], found.again.reaches[at, 0]
            again[name] = {
                "again": change, "low": change - reach, "high": change + reach, "verdict": found.again.verdicts[at]
            }  # fmt: skip
    by_round = {one["round"]: one for one in found.rounds}
    none = {"again": math.nan, "low": math.nan, "high": math.nan, "verdict": ""}
    return pd.DataFrame(
        {
            "round": one.round, "setting": one.setting, "mean": one.mean, "change": one.change, "failed": one.failed,
            "best": by_round[one.round]["so_far"], "by_noise": by_round[one.round]["by_noise"],
            "candidate": one.setting in found.candidates, **again.get(one.setting, none),
        }
        for one in found.tried
    )  # fmt: skip


def document(found: Found, unit: str) -> dict[str, Any]:
    """What a page shows of a search, as plain data: said; rounds, as `Found.rounds`; mean; one, what a single setting
    that does nothing may seem to gain or lose (95 %); failed, {setting: why}; winner."""
    return {
        "said": said(found, unit),
        "rounds": found.rounds,
        "mean": _finite(found.mean),
        "one": _finite(1.96 * found.spread / math.sqrt(found.seeds)),
        "failed": {one.setting: one.failed for one in found.tried if one.failed},
        "winner": found.winner,
    }
