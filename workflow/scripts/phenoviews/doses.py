"""The doses of a plate map: which column has them, and in which unit they are."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from phenoviews import spelling
from phenoviews.errors import UserError

HEADER = re.compile(r"(?:metadata )?(?:concentration|conc|dose)\b\.?\s*(.*)", re.IGNORECASE)


def unit_of_header(name: str) -> str:
    """The unit in the name of a column: "concentration (nM)", "dose_uM", "mmoles_per_liter"; "" where it has none."""
    if "mmolesperliter" in spelling.folded(name):  # of the Broad Institute's plate maps
        return "mM"
    parts = [part for part in re.split(r"[\s_()\[\],]+", name) if part]
    endings = [part for start in range(1, len(parts)) for part in ("".join(parts[start:]), "/".join(parts[start:]))]
    return next((ending for ending in endings if _is_unit(ending)), "")


def is_concentration(name: str) -> bool:
    """Whether a column's name says that it holds concentrations, with a unit or without."""
    start = HEADER.fullmatch(name.strip().replace("_", " "))
    return start is not None and (not start[1] or _is_unit(start[1]))


def may_be_concentration(name: str) -> bool:
    """Whether a column's name sounds of concentrations, though `is_concentration` does not know it."""
    return re.search(r"conc|dose|dosage|molar|[µμun]M\b|[µμumn]g/?m[lL]", name, re.IGNORECASE) is not None


def converted(path: Path, name: str, text: pd.Series, given: pd.Series | str, wanted: str) -> pd.Series:
    """Doses as numbers in the unit to which `spelling` converts `wanted`, NaN where they are empty.

    Args:
        path, name: the file and its column, for messages.
        text: numbers, each with a unit after it or without.
        given: the unit of those without one: of the header, or of each row; "" for `wanted`.
        wanted: the screen's `unit`.

    Raises:
        UserError: no number, an unknown unit, or one of another kind: mg/ml are no µM without the molecular weight.
    """
    kind = spelling.unit(wanted)[0]

    def dose(value: str, default: str) -> float:
        try:
            number, own = spelling.quantity(value)
            if not own:
                own, factor = spelling.unit(default or wanted)
                number = spelling.significant(number * factor)
        except UserError as error:
            raise UserError(f"{path}: {name} is {value!r}, not a number ({error})") from None
        if own != kind:
            raise UserError(
                f"{path}: {name} is in {own} where the screen's `unit` is {wanted}; set `unit: {own}`, or convert them"
            )
        return number

    defaults = pd.Series(given, text.index)
    pairs = pd.Series(list(zip(text, defaults, strict=True)), text.index)
    known = {pair: dose(*pair) for pair in pairs.unique() if not spelling.unknown(pair[0]) and pair[0] != "-"}
    return pairs.map(lambda pair: known.get(pair, float("nan"))).astype(float)


def _is_unit(text: str) -> bool:
    try:
        spelling.unit(text)
    except UserError:
        return False
    return True
