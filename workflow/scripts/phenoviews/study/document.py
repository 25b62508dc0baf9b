"""The config document: as the project ships it, at one of its scales, and what a user's differs in."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
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


def shipped() -> dict[str, Any]:
    """The document as the project ships it: config.yaml with every file of config/panels/ laid over it, as the
    `configfile:` lines of the Snakefile do."""
    document: dict[str, Any] = {}
    for file in (ROOT / "config.yaml", *sorted((ROOT / "config" / "panels").glob("*.yaml"))):
        document = merge(document, yaml.safe_load(file.read_text()))
    return document


def validated(config: dict[str, Any]) -> dict[str, Any]:
    """The document at its own scale, once it has been found valid at every scale that it has."""
    validate(config)
    if config["scale"] not in config["scales"]:
        raise UserError(f"config: scale: unknown scale '{config['scale']}'{nearest(config['scale'], config['scales'])}")
    for scale in config["scales"]:
        try:
            validate(at_scale(config, scale))
        except UserError as error:
            raise UserError(f"{error} (at scale {scale}; look under `scales.{scale}` too)") from None
    return at_scale(config, config["scale"])


def at_scale(config: dict[str, Any], scale: str) -> dict[str, Any]:
    """The document with what one of its scales lays over it."""
    laid_over: dict[str, Any] = merge(config, config["scales"].get(scale, {}))
    return laid_over


def merge(below: Any, above: Any) -> Any:
    """`above` laid over `below`: mappings key by key, everything else replaced. Neither is changed, nothing shared."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return copy.deepcopy(above)
    keys = dict.fromkeys([*below, *above])
    return {key: merge(below.get(key), above[key]) if key in above else copy.deepcopy(below[key]) for key in keys}


def changes(shipped: Any, config: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The leaves of what decides a result whose value is not the shipped one: `recipes.mnist.training.epochs: 1`.

    Entries that the shipped document has not are the user's own, and no changes.
    """
    if isinstance(shipped, dict) and isinstance(config, dict):
        for key in sorted((shipped.keys() & config.keys()) - IDLE) if path else DECIDING:
            yield from changes(shipped.get(key), config.get(key), (*path, key))
    elif shipped != config:
        yield f"{'.'.join(path)}: {config}"
