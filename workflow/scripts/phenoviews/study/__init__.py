"""The study: config.yaml → runs, their resolved settings, their paths. Pure, and quick to import: no torch.

Everything that a stage does is decided here and handed to it as plain data.
"""

from __future__ import annotations

import copy
import functools
import itertools
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from phenoviews.errors import UserError
from phenoviews.study import names
from phenoviews.study.document import changes, merge
from phenoviews.study.panel import METRICS, Panel, missing, shown
from phenoviews.study.schema import complete, nearest, part, schema, validate

# The kind of method that trains nothing: an encoder as it is given, ImageNet's or with random weights.
FROZEN = "frozen"

BY_RUN = "run"  # a dataset's `split_seed`: what is drawn of it is drawn by the seed of the run that uses it

HELD_MB = 4 * 2**30 / 1e6  # of a split in host memory, at most: `phenoviews.data.pool.HOST`, whose module needs torch

SMALL = 64  # pixels: up to here `stem: auto` is the papers' stem for small images

AXES = {"dataset": "datasets", "transform": "transforms", "method": "methods", "backbone": "backbones"}


@dataclass(frozen=True, order=True)
class Run:
    """dataset × transform × method × backbone × seed: one training. Its path is its name."""

    dataset: str
    transform: str
    method: str
    backbone: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.dataset}/{self.transform}/{self.method}/{self.backbone}/seed{self.seed}"


class Study:
    """A validated config document at one of its scales. Raises `UserError` for anything in it that cannot be.

    `shipped`: the document as the project ships it, of which `config` is a changed copy; every panel then names the
    changes.
    """

    def __init__(self, config: dict, shipped: dict | None = None):
        config = copy.deepcopy(dict(config))
        validate(config)
        self.scale: str = config["scale"]
        if self.scale not in config["scales"]:
            raise UserError(f"config: scale: unknown scale '{self.scale}'{nearest(self.scale, config['scales'])}")
        for scale, patch in config["scales"].items():
            at_scale = merge(config, patch)
            try:
                validate(at_scale)
            except UserError as error:
                raise UserError(f"{error} (at scale {scale}; look under `scales.{scale}` too)") from None
            if scale == self.scale:
                self.config = complete(at_scale, schema())
                # Compared at the scale, since a change under `scales` is a change too.
                before = merge(shipped, shipped["scales"].get(scale, {})) if shipped else at_scale
                self.changes = list(changes(before, at_scale))
        self._check()

    # ------------------------------------------------------------------------------------------------------- entries
    def entry(self, section: str, name: str) -> dict:
        """The entry that `name` (with overrides) stands for in `section`, complete with defaults. For methods see
        `method`."""
        return copy.deepcopy(self._overridden(section, name)[0])

    def _base(self, section: str, name: str) -> Any:
        base = names.parse(name)[0]
        if base not in self.config[section]:
            kind = section.removesuffix("s")
            raise UserError(f"config: unknown {kind} '{base}'{nearest(base, self.config[section])}")
        return self.config[section][base]

    @functools.cache  # noqa: B019  (one study lives as long as its process)
    def _overridden(self, section: str, name: str) -> tuple[Any, str]:
        changed, spelling = names.override(self._base(section, name), name)
        validate(changed, [section, name], part(section.removesuffix("s")))
        return changed, spelling

    @functools.cache  # noqa: B019
    def _pair(self, method: str, recipe: str) -> dict:
        """A method as a recipe has it, with its training if it is trained."""
        settings = self.config["recipes"][recipe]
        entry = merge(self._base("methods", method), settings["methods"].get(method, {}))
        where = ["recipes", recipe, "methods", method]
        training = merge(settings["training"], entry.pop("training", {})) if entry["kind"] != FROZEN else None
        validate(entry, where, part("method"))
        entry = complete(entry, part("method"))
        if training is None:
            return entry
        validate(training, [*where, "training"], part("training"))
        return {**entry, "training": training}

    @functools.cache  # noqa: B019
    def _method(self, name: str, recipe: str) -> tuple[dict, str]:
        """A method with its training, as the recipe of a dataset has it → (entry, the name's one spelling)."""
        changed, spelling = names.override(self._pair(names.parse(name)[0], recipe), name)
        validate(_without(changed, "training"), ["methods", name], part("method"))
        if "training" in changed:
            validate(changed["training"], ["methods", name, "training"], part("training"))
        return changed, spelling

    def sets(self, name: str) -> list[dict]:
        """A transform as `[{"weight": w, "views": [pipeline, pipeline]}, …]`; one set unless it is a sum."""
        entry = self.entry("transforms", name)
        if isinstance(entry, dict) and "sum" in entry:
            return [
                {**inner, "weight": term["weight"]} for term in entry["sum"] for inner in self.sets(term["transform"])
            ]
        views = [entry, entry] if isinstance(entry, list) else [entry["first"], entry["second"]]
        for pipeline in views:
            if [operation for step in pipeline for operation in step].count("normalize") != 1:
                raise UserError(
                    f"config: transforms.{name}: needs `normalize: {{}}` exactly once, at its end as a rule"
                )
        return [{"weight": 1.0, "views": views}]

    # ---------------------------------------------------------------------------------------------------------- runs
    def spelled(self, run: Run) -> Run:
        """The run under the one spelling of its names."""
        recipe = self.entry("datasets", run.dataset)["recipe"]
        return Run(
            self._overridden("datasets", run.dataset)[1],
            self._overridden("transforms", run.transform)[1],
            self._method(run.method, recipe)[1],
            self._overridden("backbones", run.backbone)[1],
            run.seed,
        )

    def on_disk(self, run: Run) -> Run:
        """The run as its path names it: what of its dataset is drawn by the run's seed has that seed in its name."""
        if self._overridden("datasets", run.dataset)[0].get("split_seed") != BY_RUN:
            return run
        dataset = f"{run.dataset}+split_seed={run.seed}"
        return replace(run, dataset=self._overridden("datasets", dataset)[1])

    def resolve(self, run: Run) -> dict:
        """Everything that a training is given, as plain data: dataset, transform, method, training, backbone, probe,
        seed."""
        spelled = self.on_disk(self.spelled(run))
        if spelled != run:
            raise UserError(f"run '{run.name}': its one spelling is '{spelled.name}'; ask for that")
        dataset = self.entry("datasets", run.dataset)
        method = copy.deepcopy(self._method(run.method, dataset["recipe"])[0])
        seen = self.seen(run.dataset)
        backbone = _without(self.entry("backbones", run.backbone), "label", "gmacs")
        probe = dict(self.config["recipes"][dataset["recipe"]]["probe"])
        (probe_set,) = self.sets(probe["transform"])
        probe["transform"] = probe_set["views"][0]
        resolved = {
            "name": run.name,
            "scale": self.scale,
            "dataset": {"name": run.dataset, **seen, "evaluated": self.evaluated(run.dataset)},
            "transform": {"name": run.transform, "sets": self.sets(run.transform)},
            "method": {"name": run.method, **_without(method, "label", "training")},
            "backbone": {"name": run.backbone, **backbone},
            "probe": probe,
            "evaluate": self.config["measures"]["evaluate"],
            "seed": run.seed,
        }
        if method["kind"] == FROZEN:
            # A frozen encoder sees what it was made for, and is as it was made; a weights file of the user's stays.
            resolved["dataset"].update({key: resolved["method"].pop(key) for key in seen})
            own = {} if backbone["init"] == "random" else {"init": backbone["init"]}
            resolved["backbone"].update({**resolved["method"].pop("backbone"), **own})
        else:
            resolved["training"] = method["training"]
            if method["training"]["keep"] == "best_ami" and resolved["dataset"]["evaluated"] == "all":
                raise UserError(f"run '{run.name}': `keep: best_ami` needs a test split, and treatments have none")
        _check_own(f"run '{run.name}'", resolved["dataset"])
        if resolved["backbone"]["stem"] == "auto":
            small = resolved["dataset"]["size"] <= SMALL
            resolved["backbone"]["stem"] = "small" if small else "standard"
        return resolved

    def is_trained(self, run: Run) -> bool:
        return self._base("methods", run.method)["kind"] != FROZEN

    def data(self, name: str) -> dict:
        """What the arrays of a dataset depend on: not its mirrors, not how it is shown to a network."""
        entry = self.entry("datasets", name)
        if entry.get("split_seed") == BY_RUN:
            raise UserError(
                f"dataset '{name}' is drawn by the seed of each run; ask for '{name}+split_seed=5', or another"
            )
        return _without(entry, "label", "images", "size", "mean", "std", "recipe", "mirrors")

    def source(self, name: str) -> dict:
        """The dataset or screen that has files to download."""
        return self.entry("screens" if name in self.config["screens"] else "datasets", name)

    def screen(self, name: str, *stages: str) -> dict:
        """What the table of a screen's fields depends on, and the settings of the named stages of its way to cells."""
        others = {"illumination", "nuclei", "intensity"} - set(stages)
        unused = ("label", "mirrors", "files", "archive", "checksums", "simulation", "locations", "control_columns")
        return {"name": name, **_without(self.entry("screens", name), *others, *unused)}

    def cells(self, name: str) -> dict:
        """What the arrays of a dataset of a screen's cells depend on: its entry, and of its screen what chooses
        cells."""
        screen = self.entry("screens", self.entry("datasets", name)["screen"])
        of_screen = {key: screen[key] for key in ("channels", "control", "control_columns")}
        return {"name": name, **self.data(name), **of_screen, "diameter": screen["nuclei"]["diameter"]}

    def evaluated(self, name: str) -> str:
        """The images that are embedded and measured: the `test` split; of treatments `all`, as paper B does it."""
        return "all" if self.entry("datasets", name)["kind"] == "treatments" else "test"

    def seen(self, name: str) -> dict:
        """How a dataset is shown to a network: size in pixels; mean and std of values in [0, 1], or `own`."""
        entry = self.entry("datasets", name)
        return {key: entry[key] for key in ("size", "mean", "std")}

    def torchvision_name(self, run: Run) -> str:
        """What torchvision calls the backbone of a run: `vgg11_bn` for a VGG11 with batch normalisation."""
        backbone = self.resolve(run)["backbone"]
        return backbone["kind"] + ("_bn" if backbone["kind"].startswith("vgg") and backbone["batch_norm"] else "")

    def images(self, name: str) -> int:
        """About how many images a dataset trains with, for planning time and memory."""
        entry = self.entry("datasets", name)
        if entry["kind"] != "cells":
            return entry["images"]
        return int((entry["cells"] or 10000) * (1 - entry["test_fraction"] - entry["val_fraction"]))

    def load(self, run: Run) -> dict[str, float]:
        """What a training asks for: steps, PFLOP, minutes on one GPU and MB of memory, from its size."""
        resolved, dataset = self.resolve(run), self.entry("datasets", run.dataset)
        training, size = resolved["training"], dataset["size"]
        batch = training["batch_size"]
        images = self.images(run.dataset)
        steps = training["epochs"] * max(training["min_iters_per_epoch"], images // batch, 1)
        sets = len(resolved["transform"]["sets"])
        width = resolved["backbone"]["width"]
        # Two views; forward and backward are three forwards, a momentum encoder's is a fourth.
        passes = 2 * sets * (4 if "ema" in resolved["method"] else 3)
        gmacs = self.entry("backbones", run.backbone)["gmacs"] * width**2 * (size / 32) ** 2
        if resolved["backbone"]["kind"].startswith("resnet") and resolved["backbone"]["stem"] == "standard":
            gmacs /= 19  # what the stride of 2 and the pooling of the standard stem save, for every ResNet
        flop = steps * batch * passes * 2e9 * gmacs
        plan = self.config["resources"]
        seconds = max(flop / (plan["sustained_tflops"] * 1e12), steps * sets * plan["step_ms"] / 1e3)
        data_mb = images * 3 * size**2 / 1e6
        return {
            "steps": steps,
            "pflop": flop / 1e15,
            # Half as much again, and the start-up and the probe.
            "minutes": int(20 + 1.5 * seconds / 60),
            # The training images, those evaluated, and their embeddings. Of either split no more than HELD_MB is held:
            # what is larger is read as it is used, and written so, and the file's pages are the kernel's to give back.
            "mem_mb": int(6000 + min(3 * data_mb, 2 * HELD_MB)),
        }

    # -------------------------------------------------------------------------------------------------------- panels
    @cached_property
    def panels(self) -> dict[str, Panel]:
        """Every panel by its name."""
        panels = (
            Panel(paper, item, declared)
            for paper, items in self.config["panels"].items()
            for item, declared in items.items()
        )
        return {panel.name: panel for panel in panels}

    def runs(self, panel: Panel) -> list[Run]:
        """The runs that a panel shows, each once, in the order in which it declares them and under the names that it
        gives them; `on_disk` has those of their paths."""
        runs: dict[Run, None] = {}
        for grid in _listed(panel.declared["runs"]):
            axes = ([names.stand_in(name, self.config["stand_ins"]) for name in _listed(grid[axis])] for axis in AXES)
            seeds = self._seeds(panel, grid)
            # Spelled once per combination, not once per seed.
            spelled = (self.spelled(Run(*names_, seed=0)) for names_ in itertools.product(*axes))
            runs |= dict.fromkeys(replace(run, seed=seed) for run in spelled for seed in seeds)
        return list(runs)

    def _seeds(self, panel: Panel, grid: dict) -> list[int]:
        """Of the study's seeds the first few, as many as the grid says, or else `panel_seeds` of its paper; or all."""
        seeds: list[int] = self.config["seeds"]
        count = grid.get("seeds", self.config["panel_seeds"].get(panel.paper, "all"))
        if count == "all":
            return seeds
        if count > len(seeds):
            asked = "its `seeds`" if "seeds" in grid else f"`panel_seeds.{panel.paper}`"
            raise UserError(
                f"{asked} asks for {count}, and `seeds` has {len(seeds)} at scale {self.scale}; add some there"
            )
        return seeds[:count]

    def label(self, section: str, name: str, panel: Panel | None = None) -> str:
        """What a person calls it: the panel's label, also of the name that it stands in for whole, or the entry's."""
        of_panel = panel.declared["labels"] if panel else {}
        whole = [old for old, new in self.config["stand_ins"].items() if new == name and "+" in old]
        if labels := [of_panel[key] for key in (name, *whole) if key in of_panel]:
            return labels[0]
        base, *overrides = name.split("+")
        entry = self.config[section].get(base)
        return "+".join([entry.get("label", base) if isinstance(entry, dict) else base, *overrides])

    def declaration(self, panel: Panel) -> dict:
        """What a panel's script needs besides the measures: its grid, its metrics, every label, the scale's note."""
        runs = self.runs(panel)
        grid = {axis: list(dict.fromkeys(getattr(run, axis) for run in runs)) for axis in AXES}
        return {
            **panel.declared,
            "name": panel.name,
            "each": [asdict(run) for run in runs],
            "runs": grid,
            "metrics": [{"name": name, **METRICS[name]} for name in panel.declared.get("metrics", [])],
            "labels": {name: self.label(AXES[axis], name, panel) for axis in AXES for name in grid[axis]},
            "scale": {"name": self.scale, "note": self.note(panel), "stand_ins": self.config["stand_ins"]},
        }

    def note(self, panel: Panel) -> str:
        """What keeps a panel's numbers from being the paper's experiment: the scale, and settings that are not the
        shipped ones. Empty where there is nothing of the kind."""
        changed = f"Settings that are not the paper's: {', '.join(self.changes)}." if self.changes else ""
        if self.scale == "paper":
            return changed
        names_ = [name for grid in _listed(panel.declared["runs"]) for axis in AXES for name in _listed(grid[axis])]
        taken = {name: self.config["stand_ins"][name] for name in names_ if name in self.config["stand_ins"]}
        sources = [(self._source(new), self._source(old)) for old, new in taken.items()]
        stand_ins = [f"{new} in place of {old}" for new, old in sources if new != old]
        seeds = len({run.seed for run in self.runs(panel)})
        changes = [*dict.fromkeys(stand_ins), "reduced training", f"{seeds} seed{'s' * (seeds > 1)}"]
        scale = f"{self.scale.capitalize()} scale ({', '.join(changes)})"
        return f"{scale}: not comparable with the published values. {changed}".strip()

    def _source(self, name: str) -> str:
        """What a stand-in, or what it stands in for, is called: of cells the screen that they are from."""
        name = names.parse(name)[0]
        section = next(section for section in AXES.values() if name in self.config[section])
        entry = self.config[section][name]
        screen = self.config["screens"].get(entry.get("screen"), {}) if section == "datasets" else {}
        return screen.get("label") or self.label(section, name)

    # -------------------------------------------------------------------------------------------------------- checks
    def _check(self) -> None:
        """What no schema can say: that every name means something."""
        config = self.config
        for name in config["datasets"]:
            recipe = self.config["datasets"][name]["recipe"]
            if recipe not in config["recipes"]:
                raise UserError(
                    f"config: datasets.{name}.recipe: unknown recipe '{recipe}'{nearest(recipe, config['recipes'])}"
                )
            _check_own(f"datasets.{name}", config["datasets"][name])
        for name in config["transforms"]:
            self.sets(name)
        for recipe, entry in config["recipes"].items():
            self.sets(entry["probe"]["transform"])
            for method in entry["methods"]:
                self._base("methods", method)
            for method in config["methods"]:
                self._method(method, recipe)
        for name, other in config["stand_ins"].items():
            base = names.parse(name)[0]
            section = next((section for section in AXES.values() if base in config[section]), "datasets")
            self._base(section, name), self._base(section, other)
        for name, dataset in config["datasets"].items():
            if "screen" in dataset and dataset["screen"] not in config["screens"]:
                raise UserError(
                    f"config: datasets.{name}.screen: unknown screen '{dataset['screen']}'"
                    f"{nearest(dataset['screen'], config['screens'])}"
                )
        for name, screen in config["screens"].items():
            if name in config["datasets"]:
                raise UserError(f"config: screens.{name}: a dataset has this name too; rename one of them")
            if screen["kind"] == "bbbc021" and ("mirrors" in screen) == ("simulation" in screen):
                raise UserError(f"config: screens.{name}: needs either `mirrors` or `simulation`")
        for paper in config["panel_seeds"]:
            if paper not in config["panels"]:
                raise UserError(f"config: panel_seeds: no panels of '{paper}'{nearest(paper, config['panels'])}")
        for panel in self.panels.values():
            where = f"config: panels.{panel.paper}.{panel.item}"
            for key in missing(panel):
                raise UserError(f"{where}: `{key}` is missing; add it")
            try:
                runs = self.runs(panel)
            except UserError as error:
                raise UserError(f"{where}: {error}") from None
            # Profiles are made of all cells of a dataset of treatments; everything else is measured on a test split.
            for name in dict.fromkeys(run.dataset for run in runs):
                for what, profiled in shown(panel).items():
                    if profiled != (self.evaluated(name) == "all"):
                        raise UserError(
                            f"{where}: `{what}` {'is' if profiled else 'is not'} for datasets of kind treatments; "
                            f"'{name}' is of kind {self.entry('datasets', name)['kind']}"
                        )


def _check_own(where: str, dataset: dict) -> None:
    if (dataset["mean"] == "own") != (dataset["std"] == "own"):
        raise UserError(f"config: {where}: `mean` and `std` are both `own`, or both numbers")


def _listed(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def _without(entry: dict, *keys: str) -> dict:
    return {key: value for key, value in entry.items() if key not in keys}
