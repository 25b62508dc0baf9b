"""The schema of config.yaml: refusals in one line with the nearest valid names, and defaults filled in."""

from __future__ import annotations

import copy
import datetime
import difflib
import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from phenoviews.errors import UserError
from phenoviews.study.metrics import DIMENSIONS, METRICS

# libyaml's reads plain data eight times as fast; a build of PyYAML may lack it.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SCHEMA = Path(__file__).parents[3] / "schemas" / "config.schema.yaml"


def read_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)


@functools.cache
def schema() -> dict[str, Any]:
    """The schema as a document; the names of metrics and of dimensions are those of `study.metrics`."""
    document: dict[str, Any] = read_yaml(SCHEMA.read_text(encoding="utf-8"))
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


def _is_number(_: jsonschema.TypeChecker, value: Any) -> bool:
    """JSON has neither NaN nor infinity, which YAML has, and which no comparison with a least value would refuse."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(_: Any, value: Any) -> bool:
    """Not 2.0, which JSON takes for one and Python's ranges do not; it is read as 2."""
    return isinstance(value, int) and not isinstance(value, bool)


def _rises(_: Any, rises: bool, value: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    """A word of our own: the ends of a range, the lesser one first."""
    numbers = isinstance(value, list) and len(value) == 2 and all(isinstance(end, int | float) for end in value)
    if rises and numbers and value[0] > value[1]:
        yield jsonschema.ValidationError("is no range")


# What was found valid, by the name of its part of the schema and as it is written: 1, 1.0 and true are not the same.
_VALID: set[tuple[str, str]] = set()


def _once(validator: Any, name: str, value: Any, node: Any) -> Iterator[jsonschema.ValidationError]:
    """The word `$ref`, which does not look again at what it found valid: a document is validated at each of its scales,
    and differs little from one to the next."""
    key = (name, repr(value))
    if key not in _VALID:
        errors = [*jsonschema.Draft202012Validator.VALIDATORS["$ref"](validator, name, value, node)]
        yield from errors
        if not errors:
            _VALID.add(key)


VALIDATOR = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {"rises": _rises, "$ref": _once},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"number": _is_number, "integer": _is_whole}
    ),
)


def validate(value: Any, where: Sequence[Any] = (), against: dict[str, Any] | None = None) -> None:
    """Raise a `UserError` for the first thing in `value` that the schema does not allow.

    What is another spelling of the same is read, in place: text where a number is wanted, as --config gives it and
    YAML 1.1 takes 1e-3 for, a number where text is wanted, one thing in place of a list.

    `where`: keys that lead to `value`, for the message. `against`: a schema; that of the whole study by default.
    """
    validator = VALIDATOR(against or schema())
    errors = list(validator.iter_errors(value))
    # Again, since a list that was made of one thing may hold text where a number is wanted.
    while sum(_read(value, error) for error in errors):
        errors = list(validator.iter_errors(value))
    if errors:
        first = min(errors, key=lambda error: (list(map(str, error.absolute_path)), error.validator))
        raise UserError(_line(first, where))


def _read(value: Any, error: jsonschema.ValidationError) -> bool:
    """Whether what the error is about could be read, and has been, in `value`."""
    if error.validator == "anyOf":
        options: dict[Any, list[jsonschema.ValidationError]] = {}
        for inner in error.context or ():
            options.setdefault(inner.relative_schema_path[0], []).append(inner)
        fitting = [inner for inner in options.values() if all(_reading(one) is not UNREADABLE for one in inner)]
        return bool(fitting and sum(_read(value, one) for one in fitting[0]))
    read, path = _reading(error), [*error.absolute_path]
    if read is UNREADABLE or not path:
        return False
    functools.reduce(lambda place, key: place[key], path[:-1], value)[path[-1]] = read
    return True


UNREADABLE = object()

# What YAML 1.1 and --config mean by a word.
BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def _reading(error: jsonschema.ValidationError) -> Any:
    """What the thing that an error is about says in the type that is wanted, or `UNREADABLE`."""
    wanted: Any = error.validator_value
    if error.validator != "type":
        return UNREADABLE
    for kind in wanted if isinstance(wanted, list) else [wanted]:
        read = _as(kind, error.instance)
        if read is not UNREADABLE:
            return read
    return UNREADABLE


def _as(kind: str, value: Any) -> Any:
    if kind == "string":
        # No float, whose digits may not be those that were written, and no boolean, which may have been a word.
        known = isinstance(value, int | datetime.date) and not isinstance(value, bool)
        return str(value) if known else UNREADABLE
    if kind == "array":
        return UNREADABLE if isinstance(value, dict | list | bool) or value is None else [value]
    if kind == "integer" and isinstance(value, float):
        return int(value) if value.is_integer() else UNREADABLE
    if not isinstance(value, str):
        return UNREADABLE
    if kind == "boolean":
        return BOOLEANS.get(value.lower(), UNREADABLE)
    if kind == "null":
        return None if value.lower() in ("null", "~", "none") else UNREADABLE
    if kind not in ("integer", "number"):
        return UNREADABLE
    try:
        number = float(value)
    except ValueError:
        return UNREADABLE
    if kind == "number":
        return number if math.isfinite(number) else UNREADABLE
    return int(number) if number.is_integer() else UNREADABLE


# What a type is called.
WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "a mapping of keys to values",
    "boolean": "true or false",
    "null": "null",
}


def _line(error: jsonschema.ValidationError, where: Sequence[Any]) -> str:
    place = dotted([*where, *error.absolute_path]) or "the study"
    instance: Any = error.instance
    expected: Any = error.validator_value
    part_of_schema: Any = error.schema
    if "propertyNames" in error.absolute_schema_path and error.validator == "pattern":
        return (
            f"config: {place}: the name '{instance}' cannot be that of a rule or a folder; use letters, digits, '_', "
            "'-' and '.'"
        )
    if isinstance(part_of_schema, dict) and "says" in part_of_schema:
        return f"config: {place}: {instance} is not {part_of_schema['says']}"
    if error.validator == "additionalProperties":
        valid = part_of_schema.get("properties", {})
        unknown = next(key for key in instance if key not in valid)
        if "sum" in valid and unknown in schema()["$defs"]["operation"]["properties"]:
            name = (*where, *error.absolute_path)[-1]
            return (
                f"config: {place}: a transform is a list of operations; give all of them, or ask for '{name}' with an "
                f"override in its name, as in '{name}+{unknown}=off', or '{name}+{unknown}.p=0.5'"
            )
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
    if error.validator == "rises":
        return f"config: {place}: {instance} is no range; give the lesser end first"
    if error.validator == "type":
        wanted = " or ".join(WORDS[kind] for kind in (expected if isinstance(expected, list) else [expected]))
        quoted = "; write it in quotes" if "text" in wanted and isinstance(instance, bool | float) else ""
        return f"config: {place}: {instance!r} is not {wanted}{quoted}"
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
        if VALIDATOR(condition["if"]).is_valid(value):
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
