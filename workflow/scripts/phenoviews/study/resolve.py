"""Names → settings: what config.yaml says of a dataset, a transform, a run, under all overrides and defaults.

Every name is resolved once. What is handed out is shared by all who ask for it: it is to be read, not changed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from phenoviews import spelling
from phenoviews.errors import UserError
from phenoviews.study import names, resources
from phenoviews.study.document import merge
from phenoviews.study.names import VIEWS
from phenoviews.study.resolved import (
    Backbone,
    Dataset,
    FineTuning,
    Method,
    Pipeline,
    Pretraining,
    Probe,
    Resolved,
    Training,
    Transform,
    TransformSet,
)
from phenoviews.study.run import Run
from phenoviews.study.schema import complete, dotted, nearest, part, schema, validate

# The kind of method that trains nothing: an encoder as it is given, ImageNet's or with random weights.
FROZEN = "frozen"

# The kind of backbone that is none: statistics of intensities, for a baseline.
INTENSITY = "intensity"

# The kind of backbone that is a model of timm, and which of an entry's keys it has no part for.
TIMM = "timm"
NOT_OF_TIMM = ("stem", "width", "batch_norm", "zero_init_residual", "gmacs")

# A dataset's `split_seed`: what is drawn of it is drawn by the seed of the run that uses it.
BY_RUN = "run"

SMALL = 64  # pixels: up to here `stem: auto` is the papers' stem for small images

# How a dataset is shown to a network: size in pixels; mean and std of values in [0, 1], or `own`.
INPUT = ("size", "mean", "std")
RGB = 3
LEAST = {"vgg": 32, "convnext": 32}  # pixels; others make do with any size that the schema lets pass


class Resolver:
    """A complete config document at its scale, and what its names stand for."""

    def __init__(self, config: dict[str, Any], counts: Mapping[str, int] = MappingProxyType({})):
        self.config = config
        self.scale: str = config["scale"]
        # How many images to train with data sets have, where they are not to be counted here; see `asked.counts`.
        self.counts = counts

    # ------------------------------------------------------------------------------------------------------- entries
    def base(self, section: str, name: str) -> Any:
        """The entry of `name` in `section` without the name's overrides."""
        base = names.parse(name)[0]
        if base not in self.config[section]:
            kind = section.removesuffix("s")
            raise UserError(f"config: unknown {kind} '{base}'{nearest(base, self.config[section])}")
        return self.config[section][base]

    def entry(self, section: str, name: str) -> Any:
        """The entry that `name` (with overrides) stands for in `section`, complete with defaults. A method's is without
        what recipes change in it."""
        return self._overridden(section, name)[0]

    def spelling(self, section: str, name: str) -> str:
        """The one spelling of a name."""
        return self._overridden(section, name)[1]

    # A study lives as long as its process, so that nothing is lost by what its methods' caches keep alive.
    @functools.cache  # noqa: B019
    def _overridden(self, section: str, name: str) -> tuple[Any, str]:
        changed, spelling = names.override(self.base(section, name), name)
        validate(changed, [section, name], part(section.removesuffix("s")))
        return changed, spelling

    @functools.cache  # noqa: B019
    def pair(self, method: str, recipe: str) -> dict[str, Any]:
        """A method as a recipe has it, with its training if it is trained."""
        settings = self.config["recipes"][recipe]
        entry: dict[str, Any] = merge(self.base("methods", method), settings["methods"].get(method, {}))
        where = ["recipes", recipe, "methods", method]
        training = None
        if entry["kind"] != FROZEN:
            training = merge(settings["training"], entry.pop("training", {}))
            entry.pop("transforms", None)
        validate(entry, where, part("method"))
        entry = complete(entry, part("method"))
        if training is None:
            return entry
        validate(training, [*where, "training"], part("training"))
        return {**entry, "training": training}

    @functools.cache  # noqa: B019
    def _method(self, name: str, recipe: str) -> tuple[dict[str, Any], str]:
        """A method with its training, as the recipe of a dataset has it → (entry, the name's one spelling)."""
        changed, spelling = names.override(self.pair(names.parse(name)[0], recipe), name)
        validate(without(changed, "training"), ["methods", name], part("method"))
        if "training" in changed:
            validate(changed["training"], ["methods", name, "training"], part("training"))
        return changed, spelling

    @functools.cache  # noqa: B019
    def _transform(self, name: str, method: str, recipe: str) -> tuple[Any, str]:
        """A transform with what a recipe lets a method (without overrides) change in it, and over that the name's own
        overrides → (entry, the name's one spelling)."""
        base = names.parse(name)[0]
        settings = self.config["recipes"][recipe]["methods"].get(method, {}) if recipe else {}
        change = settings.get("transforms", {}).get(base)
        if change is None:
            return self._overridden("transforms", name)
        where = ["recipes", recipe, "methods", method, "transforms", base]
        laid = changed_transform(self.base("transforms", name), change, dotted(where))
        validate(laid, where, part("transform"))
        changed, spelling = names.override(laid, name)
        validate(changed, ["transforms", name], part("transform"))
        return changed, spelling

    def transform(self, name: str, method: str, recipe: str) -> Any:
        """The entry of a transform as a recipe trains a method (without overrides) with it, complete with defaults."""
        return complete(self._transform(name, method, recipe)[0], part("transform"))

    @functools.cache  # noqa: B019
    def sets(self, name: str, method: str = "", recipe: str = "") -> list[dict[str, Any]]:
        """A transform as `[{"weight": w, "views": [pipeline, pipeline]}, …]`; one set unless it is a sum.

        `method`, `recipe`: of a training; without them the transform as it stands.
        """
        entry = self._transform(name, method, recipe)[0]
        if isinstance(entry, dict) and "sum" in entry:
            return [
                {**inner, "weight": term["weight"]}
                for term in entry["sum"]
                for inner in self.sets(term["transform"], method, recipe)
            ]
        views = [entry, entry] if isinstance(entry, list) else [entry[view] for view in VIEWS]
        for pipeline in views:
            if [operation for step in pipeline for operation in step].count("normalize") != 1:
                raise UserError(
                    f"config: transforms.{name}: needs `normalize: {{}}` exactly once, at its end as a rule"
                )
        return [{"weight": 1.0, "views": views}]

    # ------------------------------------------------------------------------------------------------------ datasets
    def is_drawn_by_run(self, dataset: str) -> bool:
        """Whether each run has a split, or a part, of its own, drawn by its seed."""
        return bool(self.entry("datasets", dataset).get("split_seed") == BY_RUN)

    def data(self, name: str) -> dict[str, Any]:
        """What the arrays of a dataset depend on: not its mirrors, not how it is shown to a network."""
        entry = self.entry("datasets", name)
        if self.is_drawn_by_run(name):
            raise UserError(
                f"dataset '{name}' is drawn by the seed of each run; ask for '{name}+split_seed=5', or another"
            )
        listed = {"classes": resources.classes(entry["classes"])} if "classes" in entry else {}
        return {**without(entry, "label", "images", "recipe", "mirrors", "colours", *INPUT), **listed}

    def source(self, name: str) -> Mapping[str, Any]:
        """The dataset or screen that has files to download."""
        entry: Mapping[str, Any] = self.entry("screens" if name in self.config["screens"] else "datasets", name)
        return entry

    def screen(self, name: str, *stages: str) -> dict[str, Any]:
        """What the table of a screen's fields depends on, and the settings of the named stages of its way to cells."""
        others = {"illumination", "nuclei", "intensity", "unreadable_fraction"} - set(stages)
        unused = ("label", "mirrors", "files", "archive", "checksums", "simulation", "locations", "control_columns")
        return {"name": name, **without(self.entry("screens", name), *others, *unused)}

    def cells(self, name: str) -> dict[str, Any]:
        """What the arrays of a dataset of a screen's cells depend on: its entry, and of its screen what chooses
        cells."""
        screen = self.entry("screens", self.entry("datasets", name)["screen"])
        of_screen = {key: screen[key] for key in ("channels", "control_columns", "unit", "project") if key in screen}
        of_screen["control"] = self.control(name)
        return {"name": name, **self.data(name), **of_screen, "diameter": screen["nuclei"]["diameter"]}

    def evaluated(self, name: str) -> str:
        """The images that are embedded and measured: the `test` split; of treatments `all`, as paper B does it, unless
        plates or batches are held out."""
        entry = self.entry("datasets", name)
        return "all" if entry["kind"] == "treatments" and entry["split_by"] == "none" else "test"

    def network_input(self, name: str) -> dict[str, Any]:
        """How a dataset is shown to a network; `channels` only if they are not three."""
        entry, channels = self.entry("datasets", name), self.channels(name)
        found = {key: per_channel(f"datasets.{name}.{key}", entry[key], channels) for key in INPUT}
        check_colour(f"datasets.{name}", found)
        return found if channels == RGB else {**found, "channels": channels}

    def channels(self, name: str) -> int:
        """As how many channels a dataset is shown to a network: those of its screen, or that it declares; else three,
        grey or not."""
        entry = self.entry("datasets", name)
        if "screen" in entry:
            return len(self.entry("screens", entry["screen"])["channels"])
        declared = entry.get("channels", RGB)
        return declared if isinstance(declared, int) else len(declared)

    def channel_names(self, name: str) -> list[str]:
        """What the channels of a dataset are called; none where it does not say so."""
        entry = self.entry("datasets", name)
        declared = (
            self.entry("screens", entry["screen"])["channels"] if "screen" in entry else entry.get("channels", [])
        )
        return [] if isinstance(declared, int) else list(declared)

    def frozen_input(self, name: str, made_for: Mapping[str, Any]) -> dict[str, Any]:
        """How a dataset is shown to a frozen encoder: as what it was made for. What was made for RGB sees one
        channel as a grey image, and of other numbers of channels each with the mean over its three colours."""
        found = self.network_input(name) | {key: made_for[key] for key in INPUT if key in made_for}
        check_colour(f"method of '{name}'", found)
        channels = self.channels(name)
        if found["mean"] == "own" or len(found["mean"]) == channels:
            return found
        if channels == 1:
            return without(found, "channels")
        return found | {key: [sum(found[key]) / len(found[key])] * channels for key in ("mean", "std")}

    def control(self, name: str) -> str:
        """What a dataset's screen calls its negative control; of several names the first, which then stands for all."""
        control: str | list[str] = self.entry("screens", self.entry("datasets", name)["screen"])["control"]
        return control if isinstance(control, str) else control[0]

    def unit(self, name: str) -> str:
        """The unit of the concentrations of a dataset's cells, "" of other data."""
        entry = self.entry("datasets", name)
        return spelling.unit(self.entry("screens", entry["screen"])["unit"])[0] if "screen" in entry else ""

    # ---------------------------------------------------------------------------------------------------------- runs
    @functools.cache  # noqa: B019
    def spelled(self, run: Run) -> Run:
        """The run under the one spelling of its names."""
        recipe = self.entry("datasets", run.dataset)["recipe"]
        return Run(
            self.spelling("datasets", run.dataset),
            self._transform(run.transform, names.parse(run.method)[0], recipe)[1],
            self._method(run.method, recipe)[1],
            self.spelling("backbones", run.backbone),
            run.seed,
        )

    @functools.cache  # noqa: B019
    def on_disk(self, run: Run) -> Run:
        """The run as its path names it: what of its dataset is drawn by the run's seed has that seed in its name."""
        if not self.is_drawn_by_run(run.dataset):
            return run
        return replace(run, dataset=self.spelling("datasets", f"{run.dataset}+split_seed={run.seed}"))

    def is_trained(self, run: Run) -> bool:
        return bool(self.base("methods", run.method)["kind"] != FROZEN)

    @functools.cache  # noqa: B019
    def resolve(self, run: Run) -> Resolved:
        """Every setting that decides a run. Of an encoder that is not trained here there is no training."""
        if (there := self.on_disk(self.spelled(run))) != run:
            raise UserError(f"run '{run.name}': its one spelling is '{there.name}'; ask for that")
        recipe = self.entry("datasets", run.dataset)["recipe"]
        method = self._method(run.method, recipe)[0]
        frozen = method["kind"] == FROZEN
        # A frozen encoder sees what it was made for: as its method says, or the run that trained it.
        made_for = {**self.given(run.backbone).get("dataset", {}), **method} if frozen else {}
        network_input = self.frozen_input(run.dataset, made_for) if frozen else self.network_input(run.dataset)
        dataset = Dataset(name=run.dataset, **network_input, evaluated=self.evaluated(run.dataset))
        sets = self.sets(run.transform, names.parse(run.method)[0], recipe)
        shown = [] if frozen else [view for one in sets for view in one["views"]]
        check_operations(f"run '{run.name}'", dataset.channels, [*shown, self._probe(recipe).transform])
        backbone = self._backbone(run.backbone, dataset.size, method.get("backbone", {}))
        check_size(f"run '{run.name}'", backbone.kind, dataset.size)
        training = None if frozen else Training(**method["training"])
        if training and training.keep == "best_ami" and dataset.evaluated == "all":
            raise UserError(f"run '{run.name}': `keep: best_ami` needs a test split, and treatments have none")
        elsewhere = ("kind", "label", "training", "backbone", *((*INPUT, "brought") if frozen else ()))
        return Resolved(
            name=run.name,
            scale=self.scale,
            dataset=dataset,
            transform=Transform(name=run.transform, sets=[TransformSet(**one) for one in sets]),
            method=Method(name=run.method, kind=method["kind"], parameters=without(method, *elsewhere)),
            backbone=backbone,
            probe=self._probe(recipe),
            fine_tuning=self._fine_tuning(recipe),
            evaluate=self.config["measures"]["evaluate"],
            seed=run.seed,
            training=training,
        )

    def pretraining(self, run: Run) -> Pretraining:
        """What decides a training, and nothing of what is measured after it."""
        return Pretraining.of(self.resolve(run))

    def _backbone(self, name: str, size: int, of_method: Mapping[str, Any]) -> Backbone:
        """`of_method`: what the method makes of it; but a file of weights that the user names stays."""
        entry = without(self.entry("backbones", name), "label", "gmacs", "run")
        if given := self.given(name):
            of_timm = _built_by_timm(size) if given["backbone"]["kind"] == TIMM else {}
            return Backbone(**{**given["backbone"], **of_timm, "name": name, "init": given["encoder"]})
        if "prefix" in entry and entry["init"] in ("random", "imagenet"):
            raise UserError(f"config: backbone '{name}': `prefix` is of the names in a file of weights; name that as "
                            "`init`, or take it out")  # fmt: skip
        if (entry["kind"] == INTENSITY) != (of_method.get("kind") == INTENSITY):
            raise UserError(
                f"config: backbone '{name}': the method intensity and a backbone of kind {INTENSITY}, such as "
                "no_network, go together, and neither with others; name both, or none of them"
            )
        users = {} if entry["init"] == "random" else {"init": entry["init"]}
        backbone = {**entry, **of_method, **users}
        self._check_timm(name, backbone["init"])
        if backbone["kind"] == TIMM:
            return Backbone(**{**entry, **_built_by_timm(size), "name": name, "init": backbone["init"]})
        stem = ("small" if size <= SMALL else "standard") if backbone["stem"] == "auto" else backbone["stem"]
        if backbone["init"] == "imagenet":
            wrong: dict[str, Any] = {"width": 1.0} if backbone["width"] != 1 else {}
            wrong |= {"stem": "standard"} if stem == "small" and backbone["kind"].startswith("resnet") else {}
            if wrong:
                right = " and ".join(f"`{key}: {value}`" for key, value in wrong.items())
                raise UserError(f"config: backbone '{name}': ImageNet's weights are of {right}; set that, or "
                                "`init: random`")  # fmt: skip
        return Backbone(**{**backbone, "name": name, "stem": stem})

    def _check_timm(self, name: str, init: str) -> None:
        """Refuse what says nothing to a model of timm, and what is of these alone."""
        entry = self.entry("backbones", name)
        if entry["kind"] != TIMM:
            if "model" in entry:
                raise UserError(f"config: backbone '{name}': `model` is timm's name of one of its models; set "
                                f"`kind: {TIMM}`, or take it out")  # fmt: skip
            return
        if "model" not in entry:
            raise UserError(f"config: backbone '{name}': kind {TIMM} needs `model`, as timm names it, such as "
                            "convnextv2_atto")  # fmt: skip
        usual = schema()["$defs"]["backbone"]["properties"]
        for key in NOT_OF_TIMM:
            if entry[key] != usual[key]["default"]:
                raise UserError(f"config: backbone '{name}': `{key}` says nothing to a model of timm, whose name says "
                                "it; take it out")  # fmt: skip
        if init == "imagenet":
            raise UserError(f"config: backbone '{name}': timm's weights are not downloaded; name a local file of them "
                            "as `init`, with the method `given` or one that trains on from them")  # fmt: skip

    @functools.cache  # noqa: B019
    def given(self, backbone: str) -> dict[str, Any]:
        """What the run that a backbone names (`run`) says of itself in its run.yaml; empty where it names none.

        `encoder`: the path of its weights, absolute, so that Snakemake takes it for a file that is there, and does not
        train it again.
        """
        entry = self.entry("backbones", backbone)
        if "run" not in entry:
            if "kind" not in entry:
                raise UserError(f"config: backbones.{backbone}: needs `kind`, or the `run` of an encoder that is there")
            return {}
        usual = {key: of.get("default") for key, of in schema()["$defs"]["backbone"]["properties"].items()}
        for key in sorted(entry.keys() - {"run", "label", "gmacs"}):
            if entry[key] != usual[key]:
                raise UserError(f"config: backbone '{backbone}': its `run` says what it is, and `{key}` would say "
                                "nothing; take it out")  # fmt: skip
        return resources.finished_run(entry["run"], f"backbones.{backbone}.run")

    @functools.cache  # noqa: B019
    def _probe(self, recipe: str) -> Probe:
        probe = self.config["recipes"][recipe]["probe"]
        (one,) = self.sets(probe["transform"])
        return Probe(**{**probe, "transform": one["views"][0]})

    @functools.cache  # noqa: B019
    def _fine_tuning(self, recipe: str) -> FineTuning | None:
        settings = self.config["recipes"][recipe].get("fine_tuning")
        if settings is None:
            return None
        (one,) = self.sets(settings["transform"])
        return FineTuning(transform=one["views"][0], training=Training(**settings["training"]))

    def fine_tuning(self, run: Run) -> FineTuning:
        """How the recipe of a run's dataset fine-tunes its encoder."""
        found = self.resolve(run).fine_tuning
        if found is None:
            recipe = self.entry("datasets", run.dataset)["recipe"]
            raise UserError(f"config: recipes.{recipe}.fine_tuning is missing; add it, or ask for no fine-tuning")
        return found

    def measure_settings(self, measure: str) -> dict[str, Any]:
        """What config.yaml says of a measure; in place of the name of a transform what it is."""
        settings: dict[str, Any] = self.config["measures"].get(measure, {})
        if "views" in settings:
            return {"sets": self.sets(settings["views"])}
        return settings

    def probe_settings(self, run: Run) -> dict[str, Any]:
        """What the recipe of a run's dataset says of its linear probe."""
        return self.resolve(run).probe.to_dict()

    def torchvision_name(self, run: Run) -> str:
        """What torchvision calls the backbone of a run: `vgg11_bn` for a VGG11 with batch normalisation."""
        backbone = self.resolve(run).backbone
        return backbone.kind + ("_bn" if backbone.kind.startswith("vgg") and backbone.batch_norm else "")


def _built_by_timm(size: int) -> dict[str, Any]:
    """What decides a model of timm beside its name."""
    return {"stem": "standard", "version": resources.timm_version(), "size": size}


def check_colour(where: str, dataset: Mapping[str, Any]) -> None:
    """Refuse a mean of the data's own with a deviation that is given, and the reverse."""
    if (dataset["mean"] == "own") != (dataset["std"] == "own"):
        raise UserError(f"config: {where}: `mean` and `std` are both `own`, or both numbers")


def per_channel(where: str, value: Any, channels: int) -> Any:
    """A mean or deviation as a number for each channel: one number is that of all. Others are left as they are."""
    if not isinstance(value, list) or len(value) == channels:
        return value
    if len(value) == 1:
        return value * channels
    raise UserError(
        f"config: {where}: {len(value)} numbers for {channels} channels; give {channels}, one for all, or `own`"
    )


def check_size(where: str, backbone: str, size: int) -> None:
    """Refuse images that a network would halve to nothing."""
    least = next((pixels for family, pixels in LEAST.items() if backbone.startswith(family)), 1)
    if size < least:
        raise UserError(f"config: {where}: images of {size} pixels are too small for {backbone}, which halves them "
                        f"five times; set the data set's `size` to {least} or more, or take a ResNet")  # fmt: skip


def check_operations(where: str, channels: int, pipelines: Iterable[Pipeline]) -> None:
    """Refuse what has a meaning for red, green and blue alone in the views of other images."""
    if channels in (1, RGB):
        return
    for pipeline in pipelines:
        for step in pipeline:
            for operation, of in step.items():
                words = [key for key in ("saturation", "hue") if of.get(key) and (key != "hue" or of.get("hue_p", 1))]
                words = ["the greyscale"] if operation == "random_grayscale" else words
                if words and of.get("p", 1):
                    raise UserError(
                        f"config: {where}: {operation}: {' and '.join(words)} of {channels} channels has no meaning; "
                        "take it out, or take random_gain, random_contrast or random_gamma, which change each channel "
                        "by itself, as the transform any_channels does"
                    )


def changed_transform(entry: Any, change: Mapping[str, Any], where: str) -> Any:
    """The entry of a transform with a change laid over it: operations by name, with parameters that replace its own or
    with false, which takes the operation out; under `first` or `second` in that view alone.

    Raises `UserError`, with `where` the change stands, for an operation that the transform does not have.
    """
    if isinstance(entry, dict) and "sum" in entry:
        raise UserError(f"config: {where}: it is a sum; change the transforms that it sums, under their own names")
    both = without(change, *VIEWS)
    if isinstance(entry, list) and both == change:
        return _changed_pipeline(entry, both, where)
    views = dict.fromkeys(VIEWS, entry) if isinstance(entry, list) else entry
    return {
        view: _changed_pipeline(_changed_pipeline(pipeline, both, where), change.get(view, {}), f"{where}.{view}")
        for view, pipeline in views.items()
    }


def _changed_pipeline(pipeline: Pipeline, change: Mapping[str, Any], where: str) -> Pipeline:
    present = [operation for step in pipeline for operation in step]
    for operation in change:
        if operation not in present:
            raise UserError(f"config: {where}: the transform has no '{operation}'{nearest(operation, present)}")
    return [
        {operation: merge(parameters, change.get(operation, {}))}
        for step in pipeline
        for operation, parameters in step.items()
        if change.get(operation) is not False
    ]


def without(entry: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """A mapping without some of its keys."""
    return {key: value for key, value in entry.items() if key not in keys}
