"""The schema of config.yaml: refusals in one line with the nearest valid names, and defaults filled in."""

from __future__ import annotations

import copy
import difflib
import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from phenoviews.errors import UserError
from phenoviews.study.metrics import DIMENSIONS, METRICS

SCHEMA = Path(__file__).parents[3] / "schemas" / "config.schema.yaml"


@functools.cache
def schema() -> dict[str, Any]:
    """The schema as a document; the names of metrics and of dimensions are those of `study.metrics`."""
    document: dict[str, Any] = yaml.safe_load(SCHEMA.read_text())
    known = {"metric": [*METRICS], "dimension": [*DIMENSIONS], "key": ["metric", *DIMENSIONS]}
    document["$defs"] |= {name: {"enum": values} for name, values in known.items()}
    return document


def part(name: str) -> dict[str, Any]:
    """The schema of one part (`$defs/<name>`), with the definitions that it refers to."""
    return {"$ref": f"#/$defs/{name}", "$defs": schema()["$defs"]}


def nearest(name: str, valid: Iterable[str]) -> str:
    """`; did you mean …?` with the nearest of the valid names, or `; there are: …`."""
    valid = sorted(map(str, valid))
    close = difflib.get_close_matches(str(name), valid, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(close)}?" if close else f"; there are: {', '.join(valid) or 'none'}"


def dotted(path: Iterable[Any]) -> str:
    """A path of keys and indices as a person writes it: `transforms.cifar[1].color_jitter.hue`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def validate(value: Any, where: Sequence[Any] = (), against: dict[str, Any] | None = None) -> None:
    """Raise a `UserError` for the first thing in `value` that the schema does not allow.

    `where`: keys that lead to `value`, for the message. `against`: a schema; that of the whole study by default.
    """
    validator = jsonschema.Draft202012Validator(against or schema())
    errors = sorted(
        validator.iter_errors(value), key=lambda error: (list(map(str, error.absolute_path)), error.validator)
    )
    if errors:
        raise UserError(_line(errors[0], where))


def _line(error: jsonschema.ValidationError, where: Sequence[Any]) -> str:
    place = dotted([*where, *error.absolute_path]) or "the study"
    instance: Any = error.instance
    expected: Any = error.validator_value
    part_of_schema: Any = error.schema
    if error.validator == "additionalProperties":
        valid = part_of_schema.get("properties", {})
        unknown = next(key for key in instance if key not in valid)
        # An operation is a mapping of one key, so an unknown key there is an unknown operation.
        what = "operation" if "random_resized_crop" in valid else "key"
        return f"config: {place}: unknown {what} '{unknown}'{nearest(unknown, valid)}"
    if error.validator == "enum":
        return f"config: {place}: unknown value '{instance}'{nearest(instance, expected)}"
    if error.validator == "required":
        missing = next(key for key in expected if key not in instance)
        return f"config: {place}: `{missing}` is missing; add it"
    if error.validator == "minItems":
        return f"config: {place}: {len(instance)} of them; it needs at least {expected}"
    return f"config: {place}: {error.message}"


def complete(value: Any, against: dict[str, Any]) -> Any:
    """A copy of `value` with the schema's defaults where `value` says nothing."""
    return _complete(copy.deepcopy(value), against)


def _complete(value: Any, node: Any) -> Any:
    if not isinstance(node, dict):
        return value
    if "$ref" in node:
        value = _complete(value, schema()["$defs"][node["$ref"].removeprefix("#/$defs/")])
    for condition in node.get("allOf", []):
        if jsonschema.Draft202012Validator(condition["if"]).is_valid(value):
            value = _complete(value, condition["then"])
    if isinstance(value, dict):
        # In the schema's order, so that a resolved run reads as the config does. An operation has one key only.
        if node.get("maxProperties") != 1:
            for key, child in node.get("properties", {}).items():
                if isinstance(child, dict) and "default" in child:
                    value.setdefault(key, copy.deepcopy(child["default"]))
        for key in value:
            child = node.get("properties", {}).get(key, node.get("additionalProperties"))
            value[key] = _complete(value[key], child)
    elif isinstance(value, list):
        value = [_complete(item, node.get("items")) for item in value]
    return value
