"""The config document: as the project ships it, at one of its scales, and what a user's differs in."""

from __future__ import annotations

import copy
import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from phenoviews.errors import UserError
from phenoviews.study.resolved import TENDING
from phenoviews.study.schema import nearest, read_yaml, validate

ROOT = Path(__file__).parents[4]

# Sections that decide results; what a user changes in them is named in every panel …
DECIDING = (
    "seeds",
    "panel_seeds",
    "datasets",
    "screens",
    "stand_ins",
    "transforms",
    "methods",
    "backbones",
    "recipes",
    "measures",
)
# … but for these keys, which change no number.
IDLE = {"mirrors", "label", "checksums", "images", *TENDING}

ABSENT = object()

# Sections whose entries stand for themselves: one that the shipped document lacks is the user's own, and no change.
ENTRIES = ("datasets", "screens", "transforms", "methods", "backbones", "recipes")

# What tells of which data a shipped data set or screen is. The path of ImageNet is that of one's own copy.
WHAT = {"files", "classes", "screen", "compound", "archive", "simulation"}


def papers() -> list[str]:
    """Those whose panels are shipped."""
    return sorted(file.stem for file in (ROOT / "config" / "panels").glob("*.yaml"))


def shipped() -> dict[str, Any]:
    """The document as the project ships it: config.yaml with every file of config/panels/ laid over it."""
    document: dict[str, Any] = {}
    for file in (ROOT / "config.yaml", *(ROOT / "config" / "panels" / f"{paper}.yaml" for paper in papers())):
        document = merge(document, read_yaml(file.read_text(encoding="utf-8")))
    return document


def users(config: Mapping[str, Any], shipped: Mapping[str, Any], explicit: Mapping[str, Any]) -> tuple[Any, Any]:
    """What Snakemake has for `config` → (the whole document, the user's part of it).

    `config` may be the user's settings alone, or a copy of config.yaml with or without them, as a folder of the user's
    or a workflow that takes this one as a module may have it; of such a copy the user's is what is not as shipped. What
    is `explicit` (from --configfile and --config) is the user's in any case, also where it says what is shipped.
    """
    config, explicit = _named(config), _named(explicit)
    copied = shipped.keys() - {"panels"} <= config.keys()
    document = merge(_panels(shipped) if copied else shipped, config)
    said = merge(difference(shipped, config) if copied else config, explicit)
    called = _called(said, shipped)
    return merge(document, called), merge(said, called)


def _called(said: Mapping[str, Any], shipped: Mapping[str, Any]) -> dict[str, Any]:
    """Labels of the data sets and screens of the user's that have a shipped one's name and other data, where the user
    gives none: their names, since the shipped label is of the shipped data."""
    found: dict[str, Any] = {}
    for section in ("datasets", "screens"):
        entries = said.get(section) or {}
        for name, entry in shipped.get(section, {}).items():
            own = entries.get(name) if isinstance(entries, Mapping) else None
            if not isinstance(own, Mapping) or "label" in own:
                continue
            if any(merge(entry.get(key), own[key]) != entry.get(key) for key in WHAT.intersection(own)):
                found.setdefault(section, {})[name] = {"label": name}
    return found


def _panels(shipped: Mapping[str, Any]) -> dict[str, Any]:
    """Of the shipped document what config/panels/ has: the panels, and what the scales make of them."""
    at_scales = {
        name: {"panels": patch["panels"]} for name, patch in shipped.get("scales", {}).items() if "panels" in patch
    }
    return {"panels": shipped["panels"], "scales": at_scales}


def _named(value: Any) -> Any:
    """A copy in which keys that YAML reads as numbers or dates are text."""
    if isinstance(value, Mapping):
        return {key if isinstance(key, bool) else str(key): _named(one) for key, one in value.items()}
    return [_named(one) for one in value] if isinstance(value, list) else value


def difference(below: Any, above: Any) -> Any:
    """What laid over `below` gives `above`, if nothing is taken out of mappings."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return copy.deepcopy(above)
    changed = {
        key: difference(below.get(key), value) for key, value in above.items() if below.get(key, ABSENT) != value
    }
    # Of a mapping that lacks keys, and has no other values, nothing is left.
    return {key: value for key, value in changed.items() if value != {} or key not in below}


def refuse_mixed(config: Mapping[str, Any], shipped: Mapping[str, Any]) -> None:
    """Raise a `UserError` for a data set or screen of the user's that has the name of a shipped one and is of another
    kind: what lies below it is of no use to it, and would count."""
    for section in ("datasets", "screens"):
        for name, entry in shipped.get(section, {}).items():
            other = (config.get(section) or {}).get(name)
            if isinstance(other, Mapping) and other.get("kind", entry["kind"]) != entry["kind"]:
                raise UserError(
                    f"config: {section}.{name}: a shipped {section.removesuffix('s')} of kind {entry['kind']} has this "
                    f"name, and yours of kind {other['kind']} would be laid over its settings; give it another name"
                )


def validated(config: dict[str, Any], said: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The document at its own scale, once it has been found valid at every scale that it has."""
    config = copy.deepcopy(config)
    validate(config)
    if config["scale"] not in config["scales"]:
        raise UserError(f"config: scale: unknown scale '{config['scale']}'{nearest(config['scale'], config['scales'])}")
    its_own = config
    for scale, patch in config["scales"].items():
        # Without a patch it is the document, which is valid.
        document = at_scale(config, scale, said) if patch or said else config
        try:
            validate(document)
        except UserError as error:
            raise UserError(f"{error} (at scale {scale}; look under `scales.{scale}` too)") from None
        its_own = document if scale == config["scale"] else its_own
    return its_own


def at_scale(config: dict[str, Any], scale: str, said: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The document with what one of its scales lays over it, and over that what the user said: of all scales, and then
    of this one."""
    patch, of_scale = config["scales"].get(scale, {}), said.get("scales", {}).get(scale, {})
    of_all = {key: value for key, value in said.items() if key != "scales"}
    patch = _uncounted(patch) if "seeds" in {*of_all, *of_scale} else patch
    document: dict[str, Any] = functools.reduce(merge, [patch, of_all, of_scale], config)
    # A transform of the user's is not changed by what a shipped recipe changes, for some methods, in the shipped one.
    for recipe, entry in document.get("recipes", {}).items() if "transforms" in said else ():
        for method, settings in entry.get("methods", {}).items():
            own = said.get("recipes", {}).get(recipe, {}).get("methods", {}).get(method, {}).get("transforms", {})
            for name in said["transforms"].keys() - own.keys():
                settings.get("transforms", {}).pop(name, None)
    return document


def _uncounted(patch: Mapping[str, Any]) -> dict[str, Any]:
    """What a scale lays over the document, without how many seeds its panels take: of the user's they take all."""

    def stripped(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: stripped(one) for key, one in value.items() if key != "seeds"}
        return [stripped(one) for one in value] if isinstance(value, list) else value

    return {key: stripped(value) if key == "panels" else value for key, value in patch.items() if key != "panel_seeds"}


def unreached(said: Mapping[str, Any], config: Mapping[str, Any], used: Collection[tuple[str, str]]) -> Iterator[str]:
    """What the user says that something more special overrides, in a line each: what a recipe says of a single method
    where the user speaks of the recipe, or of the method everywhere. `used`: the recipes with the methods that are
    planned; others are not told of."""

    def special(recipe: str, method: str, path: Sequence[str]) -> Any:
        """What the recipe says of the method there, if it is not the user who says it, and they are used."""
        if (recipe, method) not in used:
            return ABSENT
        users = said.get("recipes", {}).get(recipe, {}).get("methods", {}).get(method, {})
        return ABSENT if _at(users, path) is not ABSENT else _at(config["recipes"][recipe]["methods"][method], path)

    for recipe, entry in said.get("recipes", {}).items():
        for key in entry.get("training", {}):
            value = config["recipes"][recipe]["training"][key]
            found = {
                method: special(recipe, method, ("training", key)) for method in config["recipes"][recipe]["methods"]
            }
            others = {method: one for method, one in found.items() if one is not ABSENT and one != value}
            if others:
                named = ", ".join(f"{method} ({one})" for method, one in others.items())
                yield (
                    f"recipes.{recipe}.training.{key}: {value} does not reach {named}, which have their own: "
                    f"set recipes.{recipe}.methods.{next(iter(others))}.training.{key}"
                )
    for method, entry in said.get("methods", {}).items():
        for path in _leaves(entry):
            value = _at(config["methods"][method], path)
            found = {
                recipe: special(recipe, method, path)
                for recipe, settings in config["recipes"].items()
                if method in settings["methods"]
            }
            others = {recipe: one for recipe, one in found.items() if one is not ABSENT and one != value}
            if others:
                named = ", ".join(f"recipes.{recipe} ({one})" for recipe, one in others.items())
                leaf = ".".join((method, *path))
                yield (
                    f"methods.{leaf}: {value} does not reach {named}, which have their own: set "
                    f"recipes.{next(iter(others))}.methods.{leaf}"
                )


def _at(entry: Any, path: Sequence[str]) -> Any:
    for key in path:
        if not isinstance(entry, Mapping) or key not in entry:
            return ABSENT
        entry = entry[key]
    return entry


def _leaves(entry: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(entry, Mapping):
        for key, value in entry.items():
            yield from _leaves(value, (*path, key))
    else:
        yield path


def merge(below: Any, above: Any) -> Any:
    """`above` laid over `below`: mappings key by key, everything else replaced. Neither is changed, nothing shared."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return copy.deepcopy(above)
    keys = dict.fromkeys([*below, *above])
    return {key: merge(below.get(key), above[key]) if key in above else copy.deepcopy(below[key]) for key in keys}


def changes(shipped: dict[str, Any], config: dict[str, Any]) -> Iterator[str]:
    """The leaves of what decides a result whose value is not the shipped one: `recipes.mnist.training.epochs: 1`.

    Entries that the shipped document has not are the user's own, and no changes; nor is what is said of them elsewhere.
    """
    theirs = {name for section in ENTRIES for name in config[section].keys() - shipped[section].keys()}
    theirs |= config["panels"].keys() - shipped["panels"].keys()
    for section in DECIDING:
        yield from _changes(shipped.get(section), config.get(section), (section,), theirs)


def _changes(shipped: Any, config: Any, path: tuple[str, ...], theirs: Collection[str]) -> Iterator[str]:
    if not isinstance(config, dict) or not config:
        if shipped != config:
            yield f"{'.'.join(path)}: {config}"
        return
    below = shipped if isinstance(shipped, dict) else {}
    # A name stands for an entry where entries are named: in a section, and among what a recipe says of methods.
    named = len(path) == 1 or path[2:] == ("methods",)
    for key in sorted(config.keys() - IDLE, key=str):
        if not (named and key in theirs):
            yield from _changes(below.get(key, ABSENT), config[key], (*path, str(key)), theirs)
