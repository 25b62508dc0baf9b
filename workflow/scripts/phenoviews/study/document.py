"""The config document: as the project ships it, at one of its scales, and what a user's differs in."""

from __future__ import annotations

import copy
import functools
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from phenoviews.errors import UserError
from phenoviews.study.schema import nearest, validate

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
IDLE = {"mirrors", "label", "checksums", "images"}

ABSENT = object()

# Sections whose entries stand for themselves: one that the shipped document lacks is the user's own, and no change.
ENTRIES = ("datasets", "screens", "transforms", "methods", "backbones", "recipes")


def papers() -> list[str]:
    """Those whose panels are shipped."""
    return sorted(file.stem for file in (ROOT / "config" / "panels").glob("*.yaml"))


def shipped() -> dict[str, Any]:
    """The document as the project ships it: config.yaml with every file of config/panels/ laid over it."""
    document: dict[str, Any] = {}
    for file in (ROOT / "config.yaml", *(ROOT / "config" / "panels" / f"{paper}.yaml" for paper in papers())):
        document = merge(document, yaml.safe_load(file.read_text(encoding="utf-8")))
    return document


def users(config: Mapping[str, Any], shipped: Mapping[str, Any], explicit: Mapping[str, Any]) -> tuple[Any, Any]:
    """What Snakemake has for `config` → (the whole document, the user's part of it).

    `config` may be the user's settings alone, or a copy of config.yaml with or without them, as a folder of the user's
    or a workflow that takes this one as a module may have it; of such a copy the user's is what is not as shipped. What
    is `explicit` (from --configfile and --config) is the user's in any case, also where it says what is shipped.
    """
    copied = shipped.keys() - {"panels"} <= config.keys()
    document = merge(_panels(shipped) if copied else shipped, config)
    return document, merge(difference(shipped, config) if copied else config, explicit)


def _panels(shipped: Mapping[str, Any]) -> dict[str, Any]:
    """Of the shipped document what config/panels/ has: the panels, and what the scales make of them."""
    at_scales = {
        name: {"panels": patch["panels"]} for name, patch in shipped.get("scales", {}).items() if "panels" in patch
    }
    return {"panels": shipped["panels"], "scales": at_scales}


def difference(below: Any, above: Any) -> Any:
    """What laid over `below` gives `above`, if nothing is taken out of mappings."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return copy.deepcopy(above)
    changed = {
        key: difference(below.get(key), value) for key, value in above.items() if below.get(key, ABSENT) != value
    }
    # Of a mapping that lacks keys, and has no other values, nothing is left.
    return {key: value for key, value in changed.items() if value != {} or key not in below}


def validated(config: dict[str, Any], said: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The document at its own scale, once it has been found valid at every scale that it has."""
    config = copy.deepcopy(config)
    validate(config)
    if config["scale"] not in config["scales"]:
        raise UserError(f"config: scale: unknown scale '{config['scale']}'{nearest(config['scale'], config['scales'])}")
    its_own = config
    for scale, patch in config["scales"].items():
        # Without a patch it is the document, which is valid.
        document = at_scale(config, scale, said) if patch else config
        try:
            validate(document)
        except UserError as error:
            raise UserError(f"{error} (at scale {scale}; look under `scales.{scale}` too)") from None
        its_own = document if scale == config["scale"] else its_own
    return its_own


def at_scale(config: dict[str, Any], scale: str, said: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The document with what one of its scales lays over it, and over that what the user said: of all scales, and then
    of this one."""
    patch = config["scales"].get(scale, {})
    # How many seeds a scale gives a paper's panels is of its own seeds.
    patches = [{key: value for key, value in patch.items() if key != "panel_seeds" or "seeds" not in said}]
    patches += [without_scales(said), said.get("scales", {}).get(scale, {})] if said else []
    return functools.reduce(merge, patches, config)


def without_scales(said: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in said.items() if key != "scales"}


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
