"""What a panel's script is told: its runs and labels, and what keeps its numbers from being the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from phenoviews.errors import UserError
from phenoviews.study import audits, composites, names
from phenoviews.study.metrics import COUNTABLE, DIMENSIONS, TEST, counted
from phenoviews.study.panel import Panel
from phenoviews.study.plan import Place, design, grids, listed, places, runs, sweep_sources
from phenoviews.study.resolve import Resolver
from phenoviews.study.resolved import Pretraining
from phenoviews.study.run import AXES


@dataclass(frozen=True)
class Context:
    """Of a panel: the settings that are not the shipped ones (`document.changes`); whether its scale is one that the
    project ships and that reduces something; whether the panel is shipped, of a paper."""

    changes: Sequence[str]
    reduced: bool
    shipped: bool


def declaration(study: Resolver, panel: Panel, context: Context) -> dict[str, Any]:
    """What a panel's script needs besides the measures: its grid, its metrics, every label, the scale's note."""
    shown = places(study, panel)
    grid = {axis: list(dict.fromkeys(getattr(place.run, axis) for place in shown)) for axis in AXES}
    # Of the sweeps those that are shown, so that another one draws no panel anew.
    swept = {place.swept for place in shown}
    sweeps = [sweep for sweep in study.config["sweeps"].values() if sweep["leaf"] in swept]
    settings = {sweep["leaf"]: sweep.get("label", sweep["leaf"]) for sweep in sweeps}
    return {
        **panel.declared,
        **_painted(study, panel, grid["dataset"]),
        "name": panel.name,
        "each": [{**asdict(place.run), **_number(place)} for place in shown],
        "runs": grid,
        **_dosed(study, panel, grid["dataset"], panel.described(settings)),
        "labels": {name: label(study, AXES[axis], name, panel) for axis in AXES for name in grid[axis]},
        "scale": {
            "name": study.scale,
            "note": note(study, panel, context),
            "stand_ins": study.config["stand_ins"],
            **({} if context.shipped or context.reduced else {"own": True}),
        },
    }


def deciding(study: Resolver, panel: Panel) -> dict[str, Any]:
    """What decides which settings of an audit have more seeds, and which set it recommends, besides the measures of its
    runs."""
    return {
        **{key: panel.declared[key] for key in ("start", "margin")},
        "judged": panel.judged,
        "of_classes": panel.audited_data == TEST,
        "evaluated": study.evaluated(panel.declared["dataset"]),
        "metrics": {name: asdict(counted(name)) for name in COUNTABLE},
        "entry": audits.entry(study, panel.declared),
        "design": asdict(design(study, panel)),
    }


def audited(study: Resolver, panel: Panel, context: Context) -> dict[str, Any]:
    """What an audit's script needs besides its runs and their measures: what decides, and what is told."""
    return {
        **deciding(study, panel),
        **{key: panel.declared[key] for key in ("title", "beside", "budget_gpu_hours")},
        "name": panel.name,
        "told": [name for name in COUNTABLE if counted(name).measure in ("", *panel.measures)],
        **_lengths(study, panel),
        "scale": {"name": study.scale, "note": note(study, panel, context)},
    }


def _lengths(study: Resolver, panel: Panel) -> dict[str, Any]:
    """Of an audit that measures on the way: how long its trainings are, what is measured before their end, and whether
    that is what a shorter training would give."""
    if not panel.on_the_way:
        return {}
    run = next(run for run in runs(study, panel) if study.is_trained(run))
    pretraining = Pretraining.of(study.resolve(study.on_disk(run)))
    return {"lengths": {
        "epochs": pretraining.training.epochs,
        "at": audits.ladder(pretraining.training),
        "shorter_trainings": audits.is_shorter_training(pretraining),
        "schedule": pretraining.training.schedule,
    }}  # fmt: skip


def sweeps(panel: Panel, shown: Sequence[Place]) -> dict[str, Any]:
    """What measuring a panel's sweeps needs: its runs, by the measure of theirs that is read, and the measures."""
    sources = sweep_sources(panel, shown)
    return {
        "measures": panel.measures_of_sweeps,
        "each": {name: [{**asdict(place.run), **_number(place)} for place in of] for name, of in sources.items()},
    }


def _painted(study: Resolver, panel: Panel, datasets: Sequence[str]) -> dict[str, Any]:
    """The channels of a figure of images with their colours."""
    if panel.declared.get("plot") != "nearest":
        return {}
    where, declared = f"panels.{panel.paper}.{panel.item}", panel.declared.get("channels", {})
    return {"channels": shown} if (shown := composites.of_figure(study, where, declared, datasets)) else {}


def _dosed(study: Resolver, panel: Panel, datasets: Sequence[str], described: dict[str, Any]) -> dict[str, Any]:
    """`described` with the unit of its datasets' concentrations where that is not µM; where a panel tells doses they
    must agree."""
    units = {unit for each in datasets if (unit := study.unit(each))}
    dimensions = described["dimensions"]
    if units <= {DIMENSIONS["concentration"].unit}:
        return described
    if len(units) > 1 and ("concentration" in dimensions or panel.declared.get("plot") == "doses"):
        raise UserError(f"config: panels.{panel.paper}.{panel.item}: its datasets have concentrations in "
                        f"{' and '.join(sorted(units))}; show them in panels of their own")  # fmt: skip
    (unit, *_) = sorted(units)
    told = {name: {**one, "unit": unit} for name, one in dimensions.items() if name == "concentration"}
    return {**described, "dimensions": {**dimensions, **told}, "dose_unit": unit}


def _number(place: Place) -> dict[str, Any]:
    """What is swept there; nothing where nothing is: NaN is not equal to itself, and would be a change."""
    return {"swept": place.swept, "at": place.at} if place.swept else {}


def label(study: Resolver, section: str, name: str, panel: Panel | None = None) -> str:
    """What a person calls it: the panel's label, also of the name that it stands in for whole, or the entry's."""
    of_panel: dict[str, str] = panel.declared["labels"] if panel else {}
    whole = [old for old, new in study.config["stand_ins"].items() if new == name and "+" in old]
    if labels := [of_panel[key] for key in (name, *whole) if key in of_panel]:
        return labels[0]
    base, *overrides = name.split("+")
    entry = study.config[section].get(base)
    return ", ".join([entry.get("label", base) if isinstance(entry, dict) else base, *map(_in_words, overrides)])


def _in_words(override: str) -> str:
    """`batch_size=64` as "batch size 64", `random_affine=off` as "without random affine"."""
    key, _, value = override.replace("_", " ").partition("=")
    return f"without {key}" if value == "off" else f"{key} {value}"


def note(study: Resolver, panel: Panel, context: Context) -> str:
    """What keeps a panel's numbers from being the paper's experiment, or a user's from being what the shipped settings
    give: the scale, and settings that are not its. Empty where there is nothing of the kind."""
    whose = (
        f"the {study.scale} scale's" if context.reduced else "the paper's" if context.shipped else "the shipped ones"
    )
    changed = f"Settings that are not {whose}: {', '.join(context.changes)}." if context.changes else ""
    if not context.reduced:
        return changed
    stand_ins: dict[str, str] = study.config["stand_ins"]
    declared = dict.fromkeys(name for grid in grids(panel) for axis in AXES for name in listed(grid[axis]))
    sources = [(_source(study, stand_ins[name]), _source(study, name)) for name in declared if name in stand_ins]
    replaced = dict.fromkeys(f"{new} in place of {old}" for new, old in sources if new != old)
    seeds = len({run.seed for run in runs(study, panel)})
    differences = [*replaced, "reduced training", f"{seeds} seed{'s' * (seeds > 1)}"]
    scale = f"{study.scale.capitalize()} scale ({', '.join(differences)})"
    compared = ": not comparable with the published values." if context.shipped else "."
    return f"{scale}{compared} {changed}".strip()


def _source(study: Resolver, name: str) -> str:
    """What a stand-in, or what it stands in for, is called: of cells the screen that they are from."""
    name = names.parse(name)[0]
    section = next(section for section in AXES.values() if name in study.config[section])
    screen = study.config["screens"].get(study.config[section][name].get("screen"), {}) if section == "datasets" else {}
    return screen.get("label") or label(study, section, name)
