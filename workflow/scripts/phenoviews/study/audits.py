"""An audit: one set of views as it is, and with less, none or more of each of its parts; as runs like any other's.

A *part* is what can be weaker by itself: an operation, or one of the strengths of an operation that has several, such
as the hue of colour jitter. A *setting* is a transform by its name with overrides, so that every run of an audit is
shared by name with all panels that ask for the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from phenoviews.errors import UserError
from phenoviews.study import names
from phenoviews.study.metrics import OBJECTIVES, on_the_way
from phenoviews.study.resolve import Resolver
from phenoviews.study.resolved import Pretraining, Training
from phenoviews.study.run import AXES, Run
from phenoviews.study.schema import nearest

FEWEST_SEEDS, ENOUGH_SEEDS, MOST_SEEDS = 3, 5, 10
FEWEST_EPOCHS = 20  # twice the recipes' warm-up: a training is cut to no fewer for a budget's sake
FEWEST_IMAGES = 80  # to train with: where a fifth is held out, each of the ten that choose is ten points
UNTRAINED = ("plain", "untrained")  # transform and method of the baseline
PREFIXED = ("constant", "repo")  # schedules whose rate does not depend on how many steps are to come

# What each operation's strengths are, and the value at which one does nothing. Of an operation with several, each is a
# part, and so is the operation.
STRENGTHS: dict[str, dict[str, float]] = {
    "random_resized_crop": {"scale.0": 1.0},
    "random_crop": {"fraction.0": 1.0},
    "center_crop": {"fraction": 1.0},
    "pad": {"fraction.1": 0.0},
    "random_rotation": {"degrees": 0.0},
    "random_affine": {"degrees": 0.0, "translate": 0.0, "shear": 0.0, "scale": 1.0},
    "random_horizontal_flip": {"p": 0.0},
    "random_vertical_flip": {"p": 0.0},
    "random_rotate_90": {"p": 0.0},
    "color_jitter": {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0},
    "random_grayscale": {"p": 0.0},
    "random_gain": {"gain": 1.0},
    "random_contrast": {"contrast": 1.0},
    "random_gamma": {"gamma": 1.0},
    "random_invert": {"p": 0.0},
    "random_solarize": {"p": 0.0},
    "gaussian_blur": {"sigma.1": 0.0},
    "random_erasing": {"p": 0.0},
}
# Beyond these a strength is not doubled. A probability is not at all: half of all images is where it does most.
MOST = {"degrees": 180.0, "translate": 0.5, "shear": 45.0, "hue": 0.5, "brightness": 1.0, "contrast": 1.0,
        "saturation": 1.0, "scale.0": 0.05, "fraction.0": 0.2, "fraction": 0.2, "sigma.1": 4.0}  # fmt: skip

TIMES = (0.5, 2.0)  # how many times its strength in the set a part is tried at, besides none

# Parts that may do the same work, so that leaving out either shows nothing.
INTERACT = (("random_resized_crop", "color_jitter"), ("random_rotation", "random_affine"))


@dataclass(frozen=True)
class Part:
    """What can be weaker by itself: its name, its operation, its strength in the set (the operation's alone: 1)."""

    name: str
    operation: str
    strength: float
    levels: Mapping[float, str]  # {times the strength in the set: the override that says so}; 0 takes it out


@dataclass(frozen=True)
class Search:
    """What an audit goes on to search: in each of `rounds` so many `settings`, each with `seeds`, which are among the
    audit's, so that it is compared with the set itself; of the best so many `candidates` are trained with new seeds.

    `space`: of every part, from none to most, the overrides that say so, of which "" leaves it as it is in the set.
    """

    rounds: int
    settings: int
    candidates: int
    sampler: str
    seed: int
    seeds: tuple[int, ...]
    space: Mapping[str, tuple[str, ...]]

    @property
    def trainings(self) -> int:
        """The most that its rounds may train."""
        return self.rounds * self.settings * len(self.seeds)


@dataclass(frozen=True)
class Design:
    """What an audit trains: each of `settings` (the set itself first) with each of `seeds`, and what of it is again
    trained with `new_seeds`, once the choice is made: `told` of them at most. `hours`: of one seed of all settings, on
    the plan's GPU.
    `declared`: the panel's declaration, with the `epochs` that the budget pays for."""

    declared: Mapping[str, Any]
    parts: tuple[Part, ...]
    settings: tuple[str, ...]
    pairs: tuple[tuple[str, str, str], ...]  # of settings: without one, without the other, without both
    alone: Mapping[str, str]  # {operation: the setting in which it is the only one}; of "" that without any
    apart: tuple[str, ...]  # settings that are there for that alone
    seeds: tuple[int, ...]
    new_seeds: tuple[int, ...]
    told: int
    hours: float
    search: Search | None = None

    @property
    def rounds(self) -> list[tuple[int, ...]]:
        """The seeds that are trained before each look, the last of which is the end: all, where there are no others."""
        ends = self.declared.get("looks", [len(self.seeds)])
        return [self.seeds[first:end] for first, end in itertools.pairwise([0, *ends])]


def parts(name: str, entry: Any, keep: Sequence[str] = (), times: Sequence[float] = TIMES) -> list[Part]:
    """The parts of the transform `name`, whose entry is `entry`, without those of the operations that it is to `keep`;
    with their levels at these `times` (rising, without 1) of their strengths, as far as there are such, and at none.

    Raises:
        UserError: nothing else in it is random; a sum, or views with pipelines of their own; none of it to keep.
    """
    if not isinstance(entry, list):
        what = "a sum of sets" if "sum" in entry else "one whose views have pipelines of their own"
        raise UserError(f"start: '{name}' is {what}; audit a set that is one list of operations")
    there = [operation for step in entry for operation in step]
    if missing := [operation for operation in keep if operation not in there]:
        raise UserError(f"keep: '{name}' has no operation '{missing[0]}'{nearest(missing[0], there)}")
    found = [
        part
        for step in entry
        for operation, of in step.items()
        if operation not in keep
        for part in _parts(entry, operation, of, times)
    ]
    if not found:
        besides = " besides those of `keep`" if keep else ""
        raise UserError(
            f"start: '{name}' has no random operation{besides}, so there is nothing to audit; take another set"
        )
    return found


def _parts(entry: Any, operation: str, of: Mapping[str, Any], times: Sequence[float]) -> Iterator[Part]:
    strengths = {}
    for leaf, none in STRENGTHS.get(operation, {}).items():
        value = _number(of, leaf)
        if value is not None and value != none:
            strengths[leaf] = (value, none)
    if not strengths or of.get("p", 1) == 0:
        return
    out = {0.0: f"{names.shortest(entry, (operation,))}=off"}
    if len(strengths) == 1:
        (leaf, (value, none)) = next(iter(strengths.items()))
        yield Part(operation, operation, value, {**out, **_levels(entry, operation, of, leaf, value, none, times)})
        return
    yield Part(operation, operation, 1.0, out)
    for leaf, (value, none) in strengths.items():
        levels = _levels(entry, operation, of, leaf, value, none, times)
        out = {0.0: _override(entry, operation, of, leaf, none)}
        yield Part(f"{operation}.{leaf}", operation, value, {**out, **levels})


def _levels(
    entry: Any, operation: str, of: Mapping[str, Any], leaf: str, value: float, none: float, times: Sequence[float]
) -> dict[float, str]:
    """So many times the strength, as far as there is such a thing: the first that would be too much is the most that
    there is, and the last."""
    found = {one: round(none + one * (value - none), 4) for one in times if one < 1}
    most = MOST.get(leaf)
    if most is not None and abs(value - none) < abs(most - none):
        for one in (one for one in times if one > 1):
            number = none + one * (value - none)
            beyond = abs(number - none) > abs(most - none)
            found[one] = round(most if beyond else number, 4)
            if beyond:
                break
    return {one: _override(entry, operation, of, leaf, number) for one, number in found.items()}


def _number(of: Mapping[str, Any], leaf: str) -> float | None:
    """The strength at a leaf: of a range its end that is further from the middle, the upper one."""
    key, _, place = leaf.partition(".")
    value = of.get(key)
    if isinstance(value, list):
        return float(value[int(place)] if place else value[-1])
    return None if value is None else float(value)


def _override(entry: Any, operation: str, of: Mapping[str, Any], leaf: str, number: float) -> str:
    key, _, place = leaf.partition(".")
    spelled: Any = number
    if isinstance(of[key], list) and not place:
        # A range about a middle of 1 has its other end at the reciprocal or mirrored place; others have both the same.
        spelled = [number, number] if key == "translate" else [round(2 - number, 4), number]
    return f"{names.shortest(entry, (operation, *leaf.split('.')))}={names.spell(spelled)}"


def entry(study: Resolver, declared: Mapping[str, Any]) -> Any:
    """The set that is audited, as its method is trained with it on its data."""
    dataset, method = (_named(study, declared, axis) for axis in ("dataset", "method"))
    recipe = study.entry("datasets", dataset)["recipe"]
    return study.transform(declared["start"], names.parse(method)[0], recipe)


def design(
    study: Resolver,
    declared: Mapping[str, Any],
    seconds: Callable[[Run], float],
    beside: Callable[[Run], float],
) -> Design:
    """What the budget is spent on: the first of what the declaration `tries` in any case, the others as long as
    `ENOUGH_SEEDS` can be paid; then seeds. `seconds`: of the steps of a run's training; `beside`: what that takes
    besides. With `looks` there are as many seeds as the last has, and what is bought is what can be paid if nothing
    stops before.

    An operation alone is compared with none: where several destroy the same, leaving out one shows nothing. What a
    search may cost is set aside first.

    Raises:
        UserError: a set without random operations, or without what is tried first; a budget that does not pay for the
            least; looks or a search that cannot be.
    """
    looks, search = _looks(declared), _search(declared)
    found = _parts_of(study, declared, TIMES)
    whole = [declared["start"], *declared["beside"]]
    tiers = _tiers(declared["start"], found)
    first, *later = declared["tries"]
    for key in ("search", "shortest"):
        if key in declared and first == "alone":
            raise UserError(
                f"{key}: is of changes of the set, and of `tries` only the first, 'alone', is sure to be bought; put "
                f"'out' before it, or leave {key} out"
            )
    if not tiers[first]:
        raise UserError(f"tries: '{declared['start']}' has nothing of '{first}'; put another first")
    changes = {name for what in ("out", "half", "twice") for name in tiers[what]}

    def told(settings: Sequence[str]) -> int:
        """What is recommended in place of the set is trained again beside it, with new seeds, and so are a search's
        best. Of operations alone nothing is recommended."""
        return 2 * (not changes.isdisjoint(settings)) + int(search.get("candidates", 0))

    searching = search["rounds"] * search["settings"] * search["seeds"] if search else 0
    settings = [*whole, *tiers[first]]
    fewest = len(settings) + told(settings)
    enough = looks[-1] if looks else ENOUGH_SEEDS
    declared = kept(study, _shortened(study, declared, seconds, beside, fewest * enough + searching))
    itself = _run(study, declared, declared["start"])
    hours = (seconds(itself) + beside(itself)) / 3600
    budget = declared["budget_gpu_hours"]
    times = looks[-1] if looks else FEWEST_SEEDS
    least = (fewest * times + searching) * hours
    if budget < least:
        of_search = (searching + search.get("candidates", 0) * times) * hours
        its = f", {of_search:.2g} of it the search" if search else ""
        raise UserError(
            f"budget_gpu_hours: {budget:g} is too little: '{declared['start']}' and {len(settings) - 1} others that "
            f"`tries` begins with, {times} times{', as `looks` ends with,' * bool(looks)} takes {least:.2g}{its} "
            f"({hours:.2g} each); raise it, {'end `looks` earlier, ' * bool(looks)}"
            f"{'search fewer `rounds` or `settings`, ' * bool(search)}or train shorter with `epochs`"
        )
    left = budget - searching * hours
    for what in later:
        more = [*dict.fromkeys([*settings, *tiers[what]])]
        if (len(more) + told(more)) * enough * hours <= left:
            settings = more
    count = looks[-1] if looks else min(MOST_SEEDS, int(left / ((len(settings) + told(settings)) * hours)))
    seeds = _seeds(study.config["seeds"], 2 * count)
    first = looks[0] if looks else count
    if search and search["seeds"] > first:
        why = "its first look is after" if looks else "the budget pays for"
        raise UserError(
            f"search.seeds: {search['seeds']}, but {why} {first} of the set itself, which what is found is compared "
            f"with; lower `seeds`{'' if looks else ', or raise `budget_gpu_hours`'}"
        )

    def spell(name: str) -> str:
        return _run(study, declared, name).transform

    # Of two operations each is alone where the other is left out, but nothing to compare it with need be trained.
    alone = _alone(declared["start"], found) if set(tiers["alone"]) <= set(settings) else {}
    others = {spell(name) for name in settings if name not in alone.values()}
    others |= {spell(name) for name in tiers["out"]}
    return Design(
        declared=declared,
        alone={operation: spell(name) for operation, name in alone.items()},
        apart=tuple(there for name in alone.values() if (there := spell(name)) not in others),
        parts=tuple(found),
        settings=tuple(dict.fromkeys(map(spell, settings))),
        pairs=tuple(
            (spell(one), spell(other), spell(both))
            for one, other, both in _pairs(declared["start"], found)
            if {one, other, both} <= set(settings)
        ),
        seeds=seeds[:count],
        new_seeds=seeds[count:],
        told=told(settings),
        hours=len(settings) * hours,
        search=Search(
            **{key: search[key] for key in ("rounds", "settings", "candidates", "sampler", "seed")},
            seeds=seeds[: search["seeds"]],
            space=_space(study, declared, search["step"]),
        )
        if search
        else None,
    )


def _search(declared: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an audit says of its search; nothing where it has none.

    Raises:
        UserError: an objective that no single setting has a number of.
    """
    search: Mapping[str, Any] = declared.get("search", {})
    if search and "agreement" in declared["objective"][:1]:
        raise UserError(
            "search: the agreement between seeds is one number of all seeds, which what is tried with a few does not "
            "have; leave `search` out, or put another objective first"
        )
    return search


def _space(study: Resolver, declared: Mapping[str, Any], step: float) -> dict[str, tuple[str, ...]]:
    """See `Search.space`: in steps of this share of a part's strength."""
    rising = [round(step * number, 4) for number in range(1, int(2 / step) + 1)]
    times = [*(one for one in rising if one < 1), *(one for one in rising if 1 < one < 2), 2.0]
    return {
        part.name: tuple(override for _, override in sorted({**part.levels, 1.0: ""}.items()))
        for part in _parts_of(study, declared, times)
    }


def _parts_of(study: Resolver, declared: Mapping[str, Any], times: Sequence[float]) -> list[Part]:
    """The parts of the set that is audited, without levels that no transform may have: half of `sigma: [1.0, 1.2]` is
    a range that falls."""
    found = parts(declared["start"], entry(study, declared), declared["keep"], times)
    return [
        replace(
            part,
            levels={one: level for one, level in part.levels.items() if not one or _can_be(study, declared, level)},
        )
        for part in found
    ]


def _can_be(study: Resolver, declared: Mapping[str, Any], override: str) -> bool:
    try:
        _run(study, declared, f"{declared['start']}+{override}")
    except UserError:
        return False
    return True


def _looks(declared: Mapping[str, Any]) -> list[int]:
    """After how many seeds each an audit is looked at, the last of which is the end; none where it does not say.

    Raises:
        UserError: what cannot be, of them and of how the error is spent over them.
    """
    looks: list[int] = declared.get("looks", [])
    if not looks:
        if "spending" in declared:
            raise UserError("spending: there are no `looks` to spend the error over; name some, or leave it out")
        return []
    if len(looks) == 1:
        raise UserError(
            f"looks: {looks} is one look, which is the end; name those before it too, [2, 4, 6], or leave `looks` out"
        )
    if any(later <= earlier for earlier, later in itertools.pairwise(looks)):
        raise UserError(f"looks: {looks} must rise: each is after more seeds than the one before")
    if looks[0] < 2:
        raise UserError(f"looks: after {looks[0]} seed nothing can be told from noise; the first is after 2 at least")
    if "agreement" in declared["objective"][:1]:
        raise UserError(
            "looks: the agreement between seeds is one number of all seeds, which no look has; leave `looks` out, or "
            "put another objective first"
        )
    return looks


def kept(study: Resolver, declared: Mapping[str, Any]) -> Mapping[str, Any]:
    """The declaration, with the number of epochs after each of which the weights are kept, where it has `shortest`.

    Raises:
        UserError: less than one epoch; an objective that is not measured on the way.
    """
    if "shortest" not in declared:
        return declared
    if not any(map(on_the_way, OBJECTIVES[declared["objective"][0]])):
        there = ", ".join(name for name, metrics in OBJECTIVES.items() if any(map(on_the_way, metrics)))
        raise UserError(
            f"shortest: '{declared['objective'][0]}' is not measured on the way of a training; leave `shortest` out, "
            f"or put one of these objectives first: {there}"
        )
    training = study.resolve(replace(_run(study, declared, declared["start"]), seed=study.config["seeds"][0])).training
    assert training is not None
    every = int(training.epochs * declared["shortest"])
    if every < 1:
        raise UserError(
            f"shortest: {declared['shortest']:g} of {training.epochs} epochs is less than one; raise it, or `epochs`"
        )
    return {**declared, "snapshot_epochs": every}


def ladder(training: Training | None) -> list[int]:
    """After how many epochs a training is measured on its way: the first whose weights are kept, and then always twice
    as many, before the last."""
    if training is None or not training.snapshot_epochs:
        return []
    every = training.snapshot_epochs
    return list(itertools.takewhile(lambda at: at < training.epochs, (every * 2**n for n in itertools.count())))


def is_shorter_training(run: Pretraining) -> bool:
    """Whether the weights on the way are those of a training that ends there: where nothing of a step depends on how
    many are to come, neither the rate nor a momentum encoder, and the last weights are what is kept."""
    first, last = run.method.parameters.get("ema", (0, 0))
    return run.training.schedule in PREFIXED and first == last and run.training.keep == "last"


def _shortened(
    study: Resolver,
    declared: Mapping[str, Any],
    seconds: Callable[[Run], float],
    beside: Callable[[Run], float],
    trainings: int,
) -> Mapping[str, Any]:
    """The declaration, with the most `epochs` of which so many trainings can be paid, where it says no number itself
    and the recipe's is more."""
    if "epochs" in declared:
        return declared
    start = _run(study, declared, declared["start"])
    training = study.resolve(start).training
    assert training is not None
    each = declared["budget_gpu_hours"] * 3600 / trainings - beside(start)
    epochs = max(FEWEST_EPOCHS, int(each / (seconds(start) / training.epochs)))
    return declared if epochs >= training.epochs else {**declared, "epochs": epochs}


def _tiers(start: str, found: Sequence[Part]) -> dict[str, list[str]]:
    """The settings of each thing that an audit may try, by what it is called under `tries`."""
    at = {"out": 0.0, "half": 0.5, "twice": 2.0}
    tiers = {
        what: [f"{start}+{part.levels[times]}" for part in found if times in part.levels] for what, times in at.items()
    }
    pairs = itertools.chain.from_iterable(_pairs(start, found))
    return {**tiers, "alone": [*_alone(start, found).values()], "pairs": [*dict.fromkeys(pairs)]}


def _pairs(start: str, found: Sequence[Part]) -> Iterator[tuple[str, str, str]]:
    out = {part.name: part.levels[0.0] for part in found}
    for one, other in INTERACT:
        if one in out and other in out:
            yield f"{start}+{out[one]}", f"{start}+{out[other]}", f"{start}+{out[one]}+{out[other]}"


def _alone(start: str, found: Sequence[Part]) -> dict[str, str]:
    out = {part.operation: part.levels[0.0] for part in found if part.name == part.operation}
    without = {name: [override for other, override in out.items() if other != name] for name in ["", *out]}
    return {name: "+".join([start, *overrides]) for name, overrides in without.items()} if len(out) > 1 else {}


def again(study: Resolver, declared: Mapping[str, Any], settings: Sequence[str], seeds: Sequence[int]) -> list[Run]:
    """The runs of these settings with these seeds, and of the network before its training."""
    spelled = [_run(study, declared, name) for name in settings]
    plain, untrained = UNTRAINED
    baseline = study.spelled(replace(spelled[0], transform=plain, method=untrained))
    return [replace(run, seed=seed) for run in [*spelled, baseline] for seed in seeds]


def _run(study: Resolver, declared: Mapping[str, Any], transform: str) -> Run:
    dataset, method, backbone = (_named(study, declared, axis) for axis in ("dataset", "method", "backbone"))
    settings = "".join(f"+{key}={declared[key]}" for key in ("epochs", "snapshot_epochs") if key in declared)
    return study.spelled(Run(dataset, transform, method + settings, backbone, seed=0))


def _named(study: Resolver, declared: Mapping[str, Any], axis: str) -> str:
    name = names.stand_in(declared[axis], study.config["stand_ins"])
    study.base(AXES[axis], name)
    return name


def _seeds(known: Sequence[int], count: int) -> tuple[int, ...]:
    """Those of the study, and then others that it does not have."""
    return tuple([*known, *range(max(known) + 1, max(known) + 1 + count)][:count])
