"""The plan: which runs a panel shows, and what a training asks of a machine."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phenoviews.errors import UserError
from phenoviews.study import at_hand, audits, listing, names, paths
from phenoviews.study.metrics import TEST
from phenoviews.study.panel import Panel
from phenoviews.study.resolve import TIMM, Resolver
from phenoviews.study.resolved import Backbone, FineTuning, Pretraining, Training
from phenoviews.study.run import AXES, Run
from phenoviews.study.schema import nearest

BESIDE_S = 30.0  # seconds that a training takes besides its steps: its start, and its embeddings
UNKNOWN = 10000  # images, where nothing says how many there are

HELD_MB = 4 * 2**30 / 1e6  # of a split in host memory, at most: `phenoviews.data.pool.HOST`, whose module needs torch


# --------------------------------------------------------------------------------------------------------------- panels
@dataclass(frozen=True)
class Place:
    """A run where a panel shows it. `swept`: the setting whose number, `at`, the run is there for; "" and NaN without.

    Where sweeps meet in a point they share its run, which then has a place in each.
    """

    run: Run
    swept: str
    at: float


def places(study: Resolver, panel: Panel) -> list[Place]:
    """What a panel shows, each once, in the order in which it declares them and under the names that it gives them;
    `Resolver.on_disk` has those of their paths."""
    if panel.is_audit:
        found = design(study, panel)
        its = audits.again(study, found.declared, found.settings, found.seeds)
        return [Place(run, *names.swept(getattr(run, axis) for axis in AXES)) for run in its]
    declared: dict[tuple[Run, str], Place] = {}
    for grid in grids(panel):
        axes = [[names.stand_in(name, study.config["stand_ins"]) for name in listed(grid[axis])] for axis in AXES]
        seeds = _seeds(study, panel, grid)
        for dataset, transform, method, backbone in itertools.product(*axes):
            unswept = Run(dataset, transform, method, backbone, seed=0)
            # Spelled once per combination, not once per seed.
            for spelled, swept, at in _swept(study, unswept, listed(grid.get("sweep", []))):
                for seed in seeds:
                    run = replace(spelled, seed=seed)
                    declared.setdefault((run, swept), Place(run, swept, at))
    return list(declared.values())


def design(study: Resolver, panel: Panel) -> audits.Design:
    """What an audit trains.

    Raises:
        UserError: besides those of `audits.design`, data that no audit could tell anything of.
    """
    _audited(study, panel)
    for measure in panel.measures:
        study.measure_settings(measure)  # a transform that there is not is refused here
    return audits.design(
        study, panel.declared, lambda run: load(study, run).seconds, lambda run: _beside(study, panel, run)
    )


def _beside(study: Resolver, panel: Panel, run: Run) -> float:
    """Seconds that an audit's training takes besides its steps, by the shipped figures: its start and embeddings and,
    where it is trained on random views, the probe, which sees every image anew in each of its epochs."""
    resolved, asked = study.resolve(run), load(study, run)
    if "probe" not in panel.measures or not resolved.probe.is_on_random_views:
        return BESIDE_S
    training, gmacs = Pretraining.of(resolved), gmacs_of(study, run)
    passes = training_flop(training, gmacs) / forward_flop(training.backbone, training.dataset.size, gmacs)
    probes = 1 + len(audits.ladder(training.training)) * panel.on_the_way.startswith("probe")
    seen = probes * resolved.probe.epochs * images(study, run.dataset)
    return BESIDE_S + seen * asked.seconds / asked.images / passes


def _audited(study: Resolver, panel: Panel) -> None:
    name = names.stand_in(panel.declared["dataset"], study.config["stand_ins"])
    study.base("datasets", names.parse(name)[0])
    if study.is_drawn_by_run(name):
        raise UserError(
            f"dataset: '{name}' is drawn by the seed of each run, so that an image that is held out of one "
            f"training is learnt from in another; ask for '{name}+split_seed=0', one split for all of the audit's seeds"
        )
    entry = study.entry("datasets", name)
    path = entry.get("path")
    if path is None and _counted(study, name) is None:
        is_screen = "screen" in entry
        what = "cells" if is_screen else "images"
        tells = ": `python -m phenoviews.screen check` expects a number" if is_screen else ""
        raise UserError(
            f"dataset: nothing says how many {what} '{name}' will have, and what an audit buys depends on it; say "
            f"about how many with `images`{tells}"
        )
    found = listing.classes(paths.users_path(path)) if path else None
    if panel.audited_data == TEST and found is not None and found < 2:
        raise UserError(
            f"dataset: '{name}' has {found} class folder(s) in {path}, so labels tell nothing of its views; put its "
            "images into a folder for each class, two at least"
        )
    if (count := images(study, name)) < audits.FEWEST_IMAGES:
        raise UserError(
            f"dataset: '{name}' has about {count} images to train with, and an audit needs {audits.FEWEST_IMAGES}: of "
            "fewer, each that is held out weighs more than most differences; add images"
        )


def rounds_of_search(study: Resolver, panel: Panel) -> int:
    """How many rounds an audit's search has: none where it does not search."""
    search = design(study, panel).search
    return search.rounds if search else 0


def rounds(study: Resolver, panel: Panel) -> int:
    """How many rounds an audit is trained in at most: one, or as many as it has `looks`."""
    return len(design(study, panel).rounds)


def in_round(study: Resolver, panel: Panel, number: int, settings: Sequence[str] | None = None) -> list[Run]:
    """The runs of an audit that are trained in a round, from 0: of those settings that the look before it left, which
    may be none; of all in the first."""
    found = design(study, panel)
    named = found.settings if settings is None else settings
    return audits.again(study, found.declared, named, found.rounds[number]) if named else []


def confirming(study: Resolver, panel: Panel, settings: Sequence[str]) -> list[Run]:
    """The runs of an audit that are trained once the choice is made, of these settings, with seeds that it did not
    see."""
    found = design(study, panel)
    return audits.again(study, found.declared, settings, found.new_seeds)


def searched(study: Resolver, panel: Panel, settings: Sequence[str]) -> list[Run]:
    """The runs of what a round of an audit's search tries: these settings."""
    found = design(study, panel)
    assert found.search is not None
    its = audits.again(study, found.declared, settings, found.search.seeds) if settings else []
    return [run for run in its if study.is_trained(run)]


def to_come(study: Resolver, panel: Panel) -> tuple[list[Run], int]:
    """What an audit trains besides its settings: the runs that its search and its choice have named by now, and how
    many more they may name at the most. Of other panels nothing."""
    if not panel.is_audit:
        return [], 0
    found = design(study, panel)
    named = _named_by(study, panel, "choice.json")
    runs = confirming(study, panel, named) if named else []
    left = found.told * len(found.new_seeds) if named is None else 0
    for number in range(1, rounds_of_search(study, panel) + 1):
        assert found.search is not None
        proposed = _named_by(study, panel, f"search{number}.json")
        if proposed is None:
            left += found.search.settings * len(found.search.seeds)
        else:
            runs += searched(study, panel, proposed)
    return [run for run in runs if study.is_trained(run)], left


def _named_by(study: Resolver, panel: Panel, file: str) -> list[str] | None:
    """The settings that a file of an audit's names; None where there is none, or it is of another set."""
    path = Path(paths.panel_file(study, panel, file))
    if not path.exists():
        return None
    named: list[str] = json.loads(path.read_text())
    found = design(study, panel)
    try:
        audits.again(study, found.declared, [found.settings[0], *named], found.seeds[:1])
    except UserError:
        return None
    return named


def strengths(study: Resolver, panel: Panel) -> list[Run]:
    """A run at every strength of every part of an audit's set, trained or not, for a person to look at; of other panels
    none."""
    if not panel.is_audit:
        return []
    found = design(study, panel)
    named = [f"{found.declared['start']}+{override}" for part in found.parts for override in part.levels.values()]
    its = audits.again(study, found.declared, named, found.seeds[:1])
    return [run for run in its if study.is_trained(run)]


def runs(study: Resolver, panel: Panel) -> list[Run]:
    """The run of every one of a panel's `places`."""
    return [place.run for place in places(study, panel)]


def sweep_sources(panel: Panel, shown: Sequence[Place]) -> dict[str, list[Place]]:
    """{measure: the places whose files a panel's sweeps are measured from}.

    The properties of classes are seen by the runs that are swept by nothing, all else is of those that are swept.
    """
    return {name: [place for place in shown if bool(place.swept) != (name == "properties")] for name in panel.sources}


def _swept(study: Resolver, run: Run, sweeps: Sequence[str]) -> Iterator[tuple[Run, str, float]]:
    """A run at each value of these sweeps, or as it is if there are none: (the run under the one spelling of its names,
    the setting, its number)."""
    if not sweeps:
        spelled = study.spelled(run)
        yield (spelled, *names.swept(getattr(spelled, axis) for axis in AXES))
    for name in sweeps:
        sweep = study.base("sweeps", name)
        for value in sweep_values(sweep):
            number = [value, value] if sweep["both_ends"] else value
            override = f"+{sweep['leaf']}={names.spell(number)}"
            if sweep["of"] == "transform":
                there = replace(run, transform=run.transform + override)
            else:
                there = replace(run, method=run.method + override)
            yield study.spelled(there), sweep["leaf"], value


def sweep_values(sweep: Mapping[str, Any]) -> list[float]:
    """The values of a sweep in their order: as listed, or evenly from end to end, to the fourth decimal."""
    if "values" in sweep:
        return [float(value) for value in sweep["values"]]
    first, last, steps = sweep["from"], sweep["to"], sweep["steps"]
    return [round(first + (last - first) * step / (steps - 1), 4) for step in range(steps)]


def asked(panels: Mapping[str, Panel], only: Sequence[str]) -> list[Panel]:
    """Of these panels, by their names, those that `only` names, by their own or their papers'; where it names none, all
    but those on demand.

    Raises:
        UserError: a name of neither.
    """
    wanted = [name.strip() for one in only for name in one.split(",")]
    if not wanted:
        return [panel for panel in panels.values() if not panel.on_demand]
    known = {*panels, *(panel.paper for panel in panels.values())}
    if unknown := [name for name in wanted if name not in known]:
        raise UserError(f"config: only: no panel '{unknown[0]}'{nearest(unknown[0], known)}")
    return [panel for panel in panels.values() if {panel.name, panel.paper} & {*wanted}]


def grids(panel: Panel) -> list[Mapping[str, Any]]:
    """What a panel's `runs` declare; of an audit what it is of."""
    if panel.is_audit:
        return [{**{axis: panel.declared.get(axis) for axis in AXES}, "transform": panel.declared["start"]}]
    return listed(panel.declared["runs"])


def listed(value: Any) -> list[Any]:
    """One thing, or a list of things, as a list."""
    return value if isinstance(value, list) else [value]


def _seeds(study: Resolver, panel: Panel, grid: Mapping[str, Any]) -> list[int]:
    """Of the study's seeds the first few, as many as the grid says, or else `panel_seeds` of its paper; or all. With
    `{most: 3}` three, or all where there are fewer."""
    seeds: list[int] = study.config["seeds"]
    count = grid.get("seeds", study.config["panel_seeds"].get(panel.paper, "all"))
    if count == "all":
        return seeds
    if isinstance(count, dict):
        return seeds[: count["most"]]
    if count > len(seeds):
        asked = "its `seeds`" if "seeds" in grid else f"`panel_seeds.{panel.paper}`"
        raise UserError(
            f"{asked} asks for {count}, and `seeds` has {len(seeds)} at scale {study.scale}; add some there"
        )
    return seeds[:count]


# ----------------------------------------------------------------------------------------------------------------- load
@dataclass(frozen=True)
class Load:
    """What a training asks for: epochs, steps, images (each is twice viewed), PFLOP, minutes on one GPU and MB of host
    memory. `seconds`: what its steps take by the shipped figures (`modelled`)."""

    epochs: int
    steps: int
    images: int
    pflop: float
    seconds: float
    minutes: int
    mem_mb: int


def load(study: Resolver, run: Run) -> Load:
    """What a training asks for, from its size."""
    resolved = study.resolve(run)
    pretraining = Pretraining.of(resolved)
    training = pretraining.training
    count = images(study, run.dataset)
    _check(study, run, training, count)
    steps = training.epochs * max(training.min_iters_per_epoch, count // training.batch_size, 1)
    seen = steps * training.batch_size
    gmacs = gmacs_of(study, run)
    seconds = seen * modelled(pretraining, gmacs, study.config["resources"])
    # The training images, those evaluated, and their embeddings. Of either split no more than HELD_MB is held: what is
    # larger is read as it is used, and written so, and the file's pages are the kernel's to give back.
    data_mb = count * resolved.dataset.channels * resolved.dataset.size**2 / 1e6
    return Load(
        epochs=training.epochs,
        steps=steps,
        images=seen,
        pflop=seen * training_flop(pretraining, gmacs) / 1e15,
        seconds=seconds,
        minutes=int(20 + 1.5 * seconds / 60),  # half as much again, and the start-up and the probe
        mem_mb=int(6000 + min(3 * data_mb, 2 * HELD_MB)),
    )


def gmacs_of(study: Resolver, run: Run) -> float:
    """1e9 multiply-adds of a run's backbone, as for `forward_flop`: what its entry says, or timm."""
    resolved = study.resolve(run)
    if resolved.backbone.kind == TIMM:
        return at_hand.facts(resolved.backbone, resolved.dataset.channels).gmacs
    return float(study.entry("backbones", run.backbone).get("gmacs", 1.0))


def modelled(run: Pretraining, gmacs: float, resources: Mapping[str, Any]) -> float:
    """Seconds that an image of a training takes by the shipped figures, `sustained_tflops` and `step_ms`: what is to be
    computed, or a step's least time where that is more. `gmacs`: as for `forward_flop`."""
    computed = training_flop(run, gmacs) / (resources["sustained_tflops"] * 1e12)
    return float(max(computed, len(run.transform.sets) * resources["step_ms"] / 1e3 / run.training.batch_size))


def training_flop(run: Pretraining, gmacs: float) -> float:
    """FLOP that a training needs for an image: two views of each set; forward and backward are three forwards, a
    momentum encoder's is a fourth. `gmacs`: as for `forward_flop`."""
    passes = 2 * len(run.transform.sets) * (4 if "ema" in run.method.parameters else 3)
    return passes * forward_flop(run.backbone, run.dataset.size, gmacs)


def forward_flop(backbone: Backbone, size: int, gmacs: float) -> float:
    """FLOP of one image's way through a backbone. `gmacs`: 1e9 multiply-adds of an image of 32 × 32 pixels, at width 1
    with the small stem."""
    # What the stride of 2 and the pooling of the standard stem save, for every ResNet.
    saved = 19 if backbone.kind.startswith("resnet") and backbone.stem == "standard" else 1
    return 2e9 * gmacs * backbone.width**2 * (size / 32) ** 2 / saved


def _check(study: Resolver, run: Run, training: Training, count: int) -> None:
    """Refuse what would end the training at its start. `count`: about how many images there are."""
    entry, method = study.entry("datasets", run.dataset), names.parse(run.method)[0]
    own = study.config["recipes"][entry["recipe"]]["methods"].get(method, {}).get("training", {})

    def where(key: str) -> str:
        return f"recipes.{entry['recipe']}" + f".methods.{method}" * (key in own) + f".training.{key}"

    if training.warmup_epochs and training.warmup_epochs >= training.epochs:
        raise UserError(
            f"training {run.name}: {where('warmup_epochs')} is {training.warmup_epochs}, which leaves nothing of "
            f"epochs: {training.epochs}; set it lower, or to 0 for no warm-up"
        )
    if training.watch_epochs > training.epochs:
        raise UserError(
            f"training {run.name}: {where('watch_epochs')} is {training.watch_epochs}, of epochs: {training.epochs}, "
            "so that it would never be watched; set it lower, or to 0"
        )
    _enough(study, run, where("batch_size"), training.batch_size, count)


def fine_tuning(study: Resolver, run: Run) -> FineTuning:
    """How a run's encoder is fine-tuned. Raises `UserError` where there are too few images for it."""
    settings, recipe = study.fine_tuning(run), study.entry("datasets", run.dataset)["recipe"]
    key = f"recipes.{recipe}.fine_tuning.training.batch_size"
    _enough(study, run, key, settings.training.batch_size, images(study, run.dataset))
    return settings


def _enough(study: Resolver, run: Run, key: str, batch_size: int, count: int) -> None:
    # Some more than are counted, since how splits are rounded is the reader's.
    if "path" in study.entry("datasets", run.dataset) and batch_size > 1.05 * count + 10:
        raise UserError(
            f"training {run.name}: {key} is {batch_size}, but dataset '{run.dataset}' has about {count} images to "
            "train with; lower it, or add images"
        )


def images(study: Resolver, dataset: str) -> int:
    """About how many images a dataset trains with: as it declares, or as its files say; of cells that are not made, and
    of images that are not there, a guess."""
    found = _counted(study, dataset)
    return int(UNKNOWN * share_to_train_with(study.entry("datasets", dataset))) if found is None else found


def is_guessed(study: Resolver, dataset: str) -> bool:
    """Whether `images` is a guess: they are to be trained with, are not there, and how many they are is not said."""
    return _counted(study, dataset) is None and share_to_train_with(study.entry("datasets", dataset)) > 0


def share_to_train_with(entry: Mapping[str, Any]) -> float:
    """The fraction of images that is trained with, where no split of theirs says what they are for."""
    held_out = 0 if entry.get("split_by") == "none" else entry.get("test_fraction", 0)
    return float(entry.get("fraction", 1) * (1 - held_out - entry["val_fraction"]))


def _counted(study: Resolver, dataset: str) -> int | None:
    """As `images`; None where it would be a guess.

    What an audit buys depends on it, so it is the same before and after images are made: a folder of the user's is
    counted, if it is there, and not what was made of it. A job has no folder to walk over, and is told what the call
    that began it has counted.
    """
    entry = study.entry("datasets", dataset)
    if "images" in entry:
        return int(entry["images"])
    shares = share_to_train_with(entry)
    if entry.get("cells"):
        return int(entry["cells"] * shares)
    if dataset in study.counts:
        return study.counts[dataset]
    listed = listing.training_images(paths.users_path(entry["path"]), shares) if "path" in entry else None
    if listed is not None:
        return listed
    made = listing.rows(Path(paths.IMAGES.format(dataset=dataset)))
    return None if made is None else int(made * shares)
