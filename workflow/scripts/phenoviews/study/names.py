"""Names with overrides: `cifar+hue=0.25+color_jitter.p=0.5`, for any leaf of the entry that they name.

A name has one spelling: overrides sorted, numbers in their shortest form, those that change nothing left out. So two
sweeps that meet in a point share the training there.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from phenoviews.errors import UserError
from phenoviews.study.schema import nearest, read_yaml

KeyPath = tuple[str | int, ...]  # keys and indices that lead to a leaf of an entry
VIEWS = ("first", "second")  # of a transform, each with a pipeline of its own


def parse(name: str) -> tuple[str, dict[str, Any]]:
    """`base+key=value+…` → (base, {key: value})."""
    base, *overrides = name.split("+")
    parsed: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not (key and equals and text):
            raise UserError(f"name '{name}': '{override}' is no override; write it as key=value")
        if key in parsed:
            raise UserError(f"name '{name}': `{key}` is set twice; keep one")
        parsed[key] = _value(text)
    return base, parsed


def _value(text: str) -> Any:
    for number in (int, float):  # YAML 1.1 reads 1e-3 as a word
        try:
            return number(text)
        except ValueError:
            continue
    return read_yaml(text)


def spell(value: Any) -> str:
    """A value as it stands in a name."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return f"[{','.join(map(spell, value))}]"
    return repr(value) if isinstance(value, float) else str(value)


def swept(run: Iterable[str]) -> tuple[str, float]:
    """The one number that is overridden in the names of a run → (its key, the number): ("hue", 0.25) of
    `cifar+hue=0.25`, ("scale", 0.5) of `cifar+scale=[0.5,0.5]`; ("", NaN) where none is, or several are."""
    overrides = [item for name in run for item in parse(name)[1].items()]
    # Both ends of a range are one number where they are the same.
    single = [
        (key, value[0] if isinstance(value, list) and len(set(value)) == 1 else value) for key, value in overrides
    ]
    numbers = [
        (key, float(value)) for key, value in single if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return numbers[0] if len(numbers) == 1 else ("", math.nan)


def bare(name: str, keys: Collection[str]) -> str:
    """A name without its overrides of these keys."""
    return "+".join(part for part in name.split("+") if part.partition("=")[0] not in keys)


def stand_in(name: str, stand_ins: Mapping[str, str]) -> str:
    """What takes the place of a name: of the name itself, or else of its base; overrides then stay."""
    base, *overrides = name.split("+")
    return stand_ins.get(name) or "+".join([stand_ins.get(base, base), *overrides])


def override(entry: Any, name: str) -> tuple[Any, str]:
    """Apply the overrides of `name` to its base's `entry` → (the changed copy, the name's one spelling)."""
    base, overrides = parse(name)
    entry = _unshared(entry)
    kept = {}
    for key, value in overrides.items():
        for path in _find(key, _leaves(entry), name):
            if value is False and isinstance(_get(entry, path), dict):
                _remove(entry, path)
                kept[key] = value
            elif _get(entry, path) != value:
                _set(entry, path, value)
                kept[key] = value
    return entry, "+".join([base, *(f"{key}={spell(kept[key])}" for key in sorted(kept))])


def shortest(entry: Any, words: Sequence[str]) -> str:
    """The shortest key that names one leaf of `entry`, an operation or what is below it, whose words end in `words`.

    Raises:
        UserError: there are several such leaves, or none.
    """
    leaves = _leaves(_unshared(entry))
    (path, *others) = _find(".".join(words), leaves, ".".join(words))
    whole = leaves[path]
    for count in range(1, len(whole) + 1):
        hits = [found for found, leaf in leaves.items() if leaf[-count:] == whole[-count:]]
        # A place in a list is nothing that a person would know it by.
        if len(hits) == 1 + len(others) and not whole[-count].isdigit():
            return ".".join(whole[-count:])
    return ".".join(whole)


def _unshared(entry: Any) -> Any:
    """A copy in which no two places have the same object, as YAML's anchors make them."""
    if isinstance(entry, dict):
        return {key: _unshared(value) for key, value in entry.items()}
    return [_unshared(value) for value in entry] if isinstance(entry, list) else entry


def _leaves(entry: Any, path: KeyPath = (), words: tuple[str, ...] = ()) -> dict[KeyPath, tuple[str, ...]]:
    """{path of keys and indices: the words that name it}. An operation's place in its list is not among the words."""
    found: dict[KeyPath, tuple[str, ...]] = {}
    if isinstance(entry, dict):
        for key, value in entry.items():
            found.update(_leaves(value, (*path, key), (*words, str(key))))
    elif isinstance(entry, list):
        for place, value in enumerate(entry):
            if isinstance(value, dict):
                if len(value) == 1:
                    found[(*path, place, *value)] = (*words, *value)  # the operation itself, to be taken out
                found.update(_leaves(value, (*path, place), words))
            else:
                found[(*path, place)] = (*words, str(place))
    if (
        path
        and not isinstance(entry, dict)
        and not (isinstance(entry, list) and any(isinstance(v, dict) for v in entry))
    ):
        found[path] = words
    return found


def _find(key: str, leaves: dict[KeyPath, tuple[str, ...]], name: str) -> list[KeyPath]:
    """The leaf that a key names; of a transform whose views have pipelines of their own, the same leaf of both."""
    words = tuple(key.split("."))
    hits = [path for path, leaf in leaves.items() if leaf[-len(words) :] == words]
    if not hits:
        # Words first, so that a slip in the last word finds its neighbour.
        valid = {leaf[-1] for leaf in leaves.values()} | {".".join(leaf[-2:]) for leaf in leaves.values()}
        raise UserError(f"name '{name}': nothing is called `{key}`{nearest(key, valid)}")
    if len(hits) > 1 and not _in_both_views(hits, leaves):
        choices = ", ".join(".".join(leaves[path]) for path in hits)
        raise UserError(f"name '{name}': `{key}` may be any of {choices}; write more of its path")
    return hits


def _in_both_views(hits: list[KeyPath], leaves: dict[KeyPath, tuple[str, ...]]) -> bool:
    return [path[0] for path in hits] == [*VIEWS] and len({leaves[path][1:] for path in hits}) == 1


def _get(entry: Any, path: KeyPath) -> Any:
    for key in path:
        entry = entry[key]
    return entry


def _set(entry: Any, path: KeyPath, value: Any) -> None:
    _get(entry, path[:-1])[path[-1]] = value


def _remove(entry: Any, path: KeyPath) -> None:
    *above, place, _operation = path
    del _get(entry, tuple(above))[place]
