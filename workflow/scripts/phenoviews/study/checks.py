"""What no schema can say: that every name means something."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from phenoviews import spelling
from phenoviews.errors import UserError
from phenoviews.study import composites, listing, names, paths
from phenoviews.study.document import papers
from phenoviews.study.metrics import METRICS
from phenoviews.study.panel import Panel, check_panel
from phenoviews.study.plan import grids, listed, places, runs
from phenoviews.study.resolve import RGB, Resolver, check_size
from phenoviews.study.run import AXES, Run
from phenoviews.study.schema import nearest

# Dimensions in which there is more than one value of a metric that has them, whatever the data are.
SEVERAL = ("class", "postprocessing")

# Metrics that need classes which belong to larger ones, and the kinds of datasets whose classes never do.
OF_SUPERCLASSES = {
    *(name for name, metric in METRICS.items() if "superclass" in metric.dimensions),
    "opposed_superclasses",
}
NO_SUPERCLASSES = ("mnist", "digits", "imagenet", "cells")


def check(study: Resolver, panels: Mapping[str, Panel]) -> None:
    """Raise a `UserError` for the first name that means nothing, or setting that cannot be."""
    _check_datasets(study)
    _check_screens(study)
    for name in study.config["transforms"]:
        study.sets(name)
    _check_recipes(study)
    for name, sweep in study.config["sweeps"].items():
        if len({"from", "to", "steps"} & set(sweep)) != (0 if "values" in sweep else 3):
            raise UserError(f"config: sweeps.{name}: needs either `values`, or `from`, `to` and `steps`")
    for name, other in study.config["stand_ins"].items():
        base = names.parse(name)[0]
        section = next((section for section in AXES.values() if base in study.config[section]), "datasets")
        study.base(section, name), study.base(section, other)
    for paper in study.config["panel_seeds"]:
        if paper not in (known := {*study.config["panels"], *papers()}):
            raise UserError(f"config: panel_seeds: no panels of '{paper}'{nearest(paper, known)}")
    for panel in panels.values():
        _check_panel(study, panel)


def _check_datasets(study: Resolver) -> None:
    for name, dataset in study.config["datasets"].items():
        for key, section in (("recipe", "recipes"), ("screen", "screens")):
            if key in dataset and dataset[key] not in study.config[section]:
                raise UserError(
                    f"config: datasets.{name}.{key}: unknown {key} '{dataset[key]}'"
                    f"{nearest(dataset[key], study.config[section])}"
                )
        if "mean" in dataset:
            study.network_input(name)
        if "side" in dataset and dataset["kind"] == "folder" and dataset["resize"] not in ("shorter_side", "crop"):
            raise UserError(f"config: datasets.{name}.side: is of `resize: shorter_side` and `resize: crop`; say which "
                            "of them, or take it out")  # fmt: skip
        if "colours" in dataset:
            composites.paints(study, name)
        if dataset["kind"] == "folder" and dataset["path"].endswith(".npz"):
            _check_npz(f"datasets.{name}", paths.users_path(dataset["path"]), dataset.get("channels"))


def _check_npz(where: str, path: str, channels: int | Sequence[str] | None) -> None:
    """Refuse images whose channels do not come last; by the header alone, and nothing of a file that is not there."""
    shape = listing.npz_shape(path)
    declared = channels if channels is None or isinstance(channels, int) else len(channels)
    allowed = (1, RGB) if declared in (None, 1) else (declared,)
    if shape is None or len(shape) != 4 or shape[3] in allowed:
        return
    if shape[1] in allowed:
        raise UserError(f"config: {where}: {path}: `images` is {shape}, channels first; save them with the channels "
                        "last, as images.transpose(0, 2, 3, 1)")  # fmt: skip
    said = "has none" if declared is None else f"says {declared}"
    raise UserError(f"config: {where}: {path}: `images` is {shape}, of {shape[3]} channels, and the key `channels` "
                    f"{said}; correct it, or save the images as (n, height, width, channels)")  # fmt: skip


def _check_screens(study: Resolver) -> None:
    for name, screen in study.config["screens"].items():
        if name in study.config["datasets"]:
            raise UserError(f"config: screens.{name}: a dataset has this name too; rename one of them")
        if screen["kind"] == "bbbc021" and ("mirrors" in screen) == ("simulation" in screen):
            raise UserError(f"config: screens.{name}: needs either `mirrors` or `simulation`")
        seen = screen["nuclei"].get("channel")
        if seen is not None and seen not in screen["channels"]:
            raise UserError(
                f"config: screens.{name}.nuclei.channel: no channel '{seen}'{nearest(seen, screen['channels'])}"
            )
        if screen["intensity"]["low"] >= screen["intensity"]["high"]:
            raise UserError(f"config: screens.{name}.intensity: `low` is not below `high`; correct one of them")
        named = list(screen["channels"].values())
        if twice := [one for one in named if named.count(one) > 1]:
            raise UserError(f"config: screens.{name}.channels: two of them are {twice[0]!r}; name each image once")
        try:
            spelling.unit(screen["unit"])
        except UserError as error:
            raise UserError(f"config: screens.{name}.unit: {error}") from None


def _check_recipes(study: Resolver) -> None:
    for recipe, entry in study.config["recipes"].items():
        study.sets(entry["probe"]["transform"])
        if "fine_tuning" in entry:
            study.sets(entry["fine_tuning"]["transform"])
        for method, settings in entry["methods"].items():
            study.base("methods", method)
            for transform in settings.get("transforms", {}):
                study.base("transforms", transform)
                study.sets(transform, method, recipe)
        for method in study.config["methods"]:
            study.pair(method, recipe)


def _check_panel(study: Resolver, panel: Panel) -> None:
    try:
        its_runs = runs(study, panel)
        datasets = dict.fromkeys(run.dataset for run in its_runs)
        frozen = {run.method for run in its_runs if not study.is_trained(run)}
        _check_views(study, its_runs)
        _check_weights(study, its_runs)
        _check_labels(study, panel)
        _check_layout(study, panel, its_runs)
        _check_superclasses(study, panel, datasets)
    except UserError as error:
        raise UserError(f"config: panels.{panel.paper}.{panel.item}: {str(error).removeprefix('config: ')}") from None
    check_panel(panel, {name: study.entry("datasets", name)["kind"] for name in datasets}, frozen)
    if panel.declared.get("plot") == "nearest":
        where = f"panels.{panel.paper}.{panel.item}"
        composites.of_figure(study, where, panel.declared.get("channels", {}), list(datasets))


def _check_layout(study: Resolver, panel: Panel, its_runs: Collection[Run]) -> None:
    """A table shows all that its runs differ in; here, and not after days of training."""
    if not panel.is_table or panel.measures_of_sweeps:  # of a whole sweep there is one value, not one for each run
        return
    # Without rows or columns it is refused by `check_panel`.
    shown = [*panel.declared.get("rows", ()), *panel.declared.get("columns", ())]
    for name in [*shown, *panel.declared["average"]]:
        if [*shown, *panel.declared["average"]].count(name) > 1:
            raise UserError(f"'{name}' is in two of `rows`, `columns` and `average`; leave it in one of them")
    placed = {*shown, *panel.declared["average"], *panel.declared["where"]}
    # A name differs in the number that is swept, too, where a table shows that.
    swept = {place.swept for place in places(study, panel)} if {"swept", "at"} & placed else set()
    values = {axis: {names.bare(getattr(run, axis), swept) for run in its_runs} for axis in AXES}
    values["transform"] = {names.bare(run.transform, swept) for run in its_runs if study.is_trained(run)}
    values["metric"] = set(panel.declared["metrics"])
    several = {key: str(len(found)) for key, found in values.items() if len(found) > 1}
    several |= {key: "several" for key in SEVERAL if key in panel.dimensions}
    for key, many in several.items():
        if key not in placed:
            raise UserError(
                f"{many} values of '{key}', which is in neither `rows`, `columns` nor `average`; put it into one "
                "of them, or choose one value of it under `where`"
            )


def _check_views(study: Resolver, its_runs: Collection[Run]) -> None:
    """Here and not by the jobs alone: where one fails, Snakemake takes outputs that are there for the user's own."""
    for run in its_runs:
        if study.channels(run.dataset) not in (1, RGB):
            study.resolve(study.on_disk(run))
    pairs = {(run.dataset, run.backbone) for run in its_runs if study.is_trained(run)}
    for dataset, backbone in sorted(pairs):
        kind, size = study.entry("backbones", backbone)["kind"], study.entry("datasets", dataset)["size"]
        check_size(f"'{dataset}' with '{backbone}'", kind, size)


def _check_weights(study: Resolver, its_runs: Collection[Run]) -> None:
    """An encoder that is said to be there is not one with random weights; one with ImageNet's is one that they fit."""
    for run in its_runs:
        entry, method = study.entry("backbones", run.backbone), study.base("methods", run.method)
        if "run" not in entry and "imagenet" in (entry["init"], method.get("backbone", {}).get("init")):
            study.resolve(study.on_disk(run))
    for method, backbone in sorted({(run.method, run.backbone) for run in its_runs if not study.is_trained(run)}):
        entry = study.entry("backbones", backbone)
        if study.entry("methods", method)["brought"] and "run" not in entry and entry["init"] == "random":
            raise UserError(
                f"the method '{method}' is of an encoder that is there, and the backbone '{backbone}' has random "
                "weights; name them, as its `init` or the `run` that trained it, or take the method untrained"
            )


def _check_superclasses(study: Resolver, panel: Panel, datasets: Collection[str]) -> None:
    """A cell that nothing could ever fill is not found empty after days of training."""
    asked = [] if panel.is_audit else [name for name in panel.metrics if name in OF_SUPERCLASSES]
    for name in datasets if asked else ():
        entry = study.entry("datasets", name)
        # Of CIFAR's two data sets the larger has them; an archive of another name may be either.
        without = entry["kind"] in NO_SUPERCLASSES or (
            entry["kind"] == "cifar" and entry["files"]["archive"]["name"].startswith("cifar-10-")
        )
        if without or (entry["kind"] == "folder" and not entry.get("superclasses")):
            cure = (
                f"say them in datasets.{names.parse(name)[0]}.superclasses, or take it out"
                if entry["kind"] == "folder"
                else "take it out, or take a data set that has them, such as cifar100"
            )
            raise UserError(f"`{asked[0]}`: the classes of '{name}' have no superclasses; {cure}")


def _check_labels(study: Resolver, panel: Panel) -> None:
    known = {name for section in AXES.values() for name in study.config[section]}
    shown = {name for grid in grids(panel) for axis in AXES for name in listed(grid[axis])}
    for name in panel.declared["labels"]:
        if names.parse(name)[0] not in known:
            raise UserError(f"labels: nothing in it is called '{name}'{nearest(name, shown)}")
