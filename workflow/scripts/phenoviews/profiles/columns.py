"""The columns of a table of profiles: which tell what a row is, and which are features.

A number that tells where a row is or what it was given (a row number, a position, a plate's or a class's number) is no
feature: taken for one it adds noise, or gives the answer away. Such columns are known by their names, as the common
tools write them, or by their values, and are left out with a note. A name that is given in full is always taken.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd

from phenoviews.errors import UserError
from phenoviews.spelling import folded, found

# What a column tells: the name it has here.
COLUMNS = {
    "plate": "Metadata_Plate",
    "well": "Metadata_Well",
    "compound": "Metadata_Compound",
    "concentration": "Metadata_Concentration",
    "moa": "Metadata_MoA",
    "batch": "Metadata_Batch",
}
OPTIONAL = ("plate", "well", "concentration")

METADATA = re.compile(r"\s*meta(data|[^a-z])", re.IGNORECASE)

# Columns of pandas, R and databases that number the rows.
NUMBERING = (
    r"|Unnamed: \d+.*|index|level_\d+|__index_level_\d+__|row(_?(names?|number|id))?|\.\.\.\d+|"
    r"(.*[_ .-])?(id|uid|uuid)|(?-i:.*[a-z]I[Dd])"
)
# CellProfiler's: numbers of images and objects, their places, their parents, files and times.
TOOLS = (
    r"(.*_)?(image|object|table)_?number|(.*_)?number_object_number|(.*_)?location_.*|(.*_)?parent_.*|"
    r"(.*_)?areashape_(center|boundingbox(min|max)imum)_[xyz]|(.*_)?group_(index|number|length)|"
    r"(image_)?(executiontime|moduleerror|scaling|series|frame|width|height|md5digest|filename|pathname|url)_.*|"
    r"(image|cells|nuclei|cytoplasm)_metadata_.*"
)
# What people call the columns that describe a row.
WORDS = (
    r"(plate|barcode|well|site|field|fov|image|batch|week|day|date|time|timepoint|replicate|rep|passage|seed|split|fold)"
    r"([ _-]?(name|number|nr|no|index|position))?|(well[ _-]?)?(row|col|column|position)|"
    r"(bio(logical)?|tech(nical)?)[ _.-]?rep(licate)?([ _-]?(name|number|nr|no|index))?|"
    r"(assay|source|destination|dest|master|library|compound|cell|imaging)[ _.-]?(plate|well|barcode|batch)"
    r"([ _-]?(name|number|nr|no|index|position))?|"
    r"(compound|drug|treatment|perturbation|gene|moa|mechanism|target|label|class|cluster|control)"
    r"([ _-]?(name|number|index))?|"
    r"(concentration|conc|dose)([ _.(\[].*)?|"
    r"[xyz]|(centroid|center|centre|pos|coord)[ _-]?[xyz0-2]|[xyz][ _-]?(centroid|center|centre|pos|coord)"
)
NOT_A_FEATURE = re.compile(f"({NUMBERING}|{TOOLS}|{WORDS})", re.IGNORECASE)


def resolve(
    present: Sequence[str], columns: Mapping[str, str], where: str, keys: Sequence[str] = tuple(COLUMNS)
) -> dict[str, str]:
    """Which column of `present` tells each of `keys`: key → column, of those that are there.

    Args:
        columns: the names that the table has for the keys where they are not those of `COLUMNS`. Case, blanks and
            underscores do not matter, unless there are several; then it is the one that is spelled so.

    Raises:
        UserError: a name of `columns` that no column has, several columns for a key.
    """
    named = {}
    for key in keys:
        wanted = columns.get(key, COLUMNS[key])
        fits = [name for name in present if folded(name) == folded(wanted)]
        fits = [wanted] if wanted in fits else fits
        if len(fits) > 1:
            raise UserError(f"{where}: {len(fits)} columns {wanted!r} for the {key} ({', '.join(fits)}); name one with "
                            f"--{key}")  # fmt: skip
        if fits:
            named[key] = fits[0]
        elif key in columns:
            raise UserError(f"{where}: no column {wanted!r} for the {key}; name it with --{key}. {_others(present)}")
    return named


def demand(named: Collection[str], present: Sequence[str], batches: bool, where: str) -> None:
    """UserError that names the first key of `COLUMNS` that has to be among the `named` ones and is not."""
    for key in COLUMNS:
        if key not in named and key not in OPTIONAL and (batches or key != "batch"):
            alone = ", or give --no-batch (NSC only)" if key == "batch" else ""
            raise UserError(
                f"{where}: no column {COLUMNS[key]!r} for the {key}; name it with --{key}{alone}. {_others(present)}"
            )


def _others(present: Sequence[str]) -> str:
    metadata = [name for name in present if METADATA.match(name)]
    return f"Metadata columns: {', '.join(metadata) or 'none'}" + ("" if metadata else f"; all: {_some(present)}")


def candidates(
    present: Sequence[str], taken: Sequence[str], index: Sequence[str], patterns: Sequence[str], where: str
) -> tuple[list[str], list[str], list[str]]:
    """The columns that may be features, by their names.

    Args:
        present: all columns.
        taken: those that tell what a row is.
        index: those that pandas wrote as the index of its frame.
        patterns: names, or shell patterns (`*`, `?`, and `[...]` where no column has these brackets in its name);
            without any, all columns.

    Returns:
        given: those that are named in full, which are features in any case.
        likely: the others, in the table's order.
        left: names left out though a pattern, or no pattern, would have them; Metadata columns are not among them.

    Raises:
        UserError: a pattern that matches nothing, no features.
    """
    free = [name for name in present if name not in taken]
    named = set(patterns)
    given = [name for name in free if name in named]
    taken_in_full = set(given)
    matched: set[str] = set()
    for pattern in patterns:
        fits = [pattern] if pattern in taken_in_full else _matching(free, pattern)
        if not fits:
            raise UserError(f"{where}: no feature columns match {pattern}; {found(re.sub(r'[*?]', '', pattern), free)}")
        matched.update(fits)
    wanted = [name for name in free if name not in taken_in_full and (name in matched or not patterns)]
    wanted = [name for name in wanted if not METADATA.match(name)]
    left = [name for name in wanted if name in index or NOT_A_FEATURE.fullmatch(name.strip())]
    likely = [name for name in wanted if name not in left]
    if not given and not likely:
        told = f"; {_some(left)} tell what a row is, unless --features names them" if left else ""
        raise UserError(f"{where}: no feature columns{' match ' + ', '.join(patterns) if patterns else ''}{told}")
    return given, likely, left


def _matching(names: Sequence[str], pattern: str) -> list[str]:
    """The names that a shell pattern matches. Brackets mean themselves if any name has them so; else a set of signs."""
    literal = re.sub(r"\[", "[[]", pattern)
    return [n for n in names if fnmatchcase(n, literal)] or [n for n in names if fnmatchcase(n, pattern)]


def numbers_of_rows(meta: pd.DataFrame, x: np.ndarray) -> np.ndarray:
    """(features,) bool: the columns of `x` (rows, features) whose values number or describe the rows.

    These are: whole numbers that only grow, or that count by one and begin anew, in the table's order; and numbers that
    are the same in all rows of each plate, of each well position or of each treatment, but not in all rows. A
    measurement is never so; where most columns are, rows are copies of others, and nothing is left out for it. Fewer
    than eight rows, or eight pairs of rows with a plate, a well or a treatment in common, show nothing.
    """
    x = np.asarray(x)
    found = np.zeros(x.shape[1], dtype=bool)
    if len(x) < 8:
        return found
    varies = ~(x == x[0]).all(axis=0)
    with np.errstate(invalid="ignore"):
        whole = varies & (x[:8] == np.round(x[:8])).all(axis=0)
        for column in np.flatnonzero(whole):
            values = x[:, column].astype(np.float64)
            steps = np.diff(values)
            if (values == np.round(values)).all():
                found[column] = (steps > 0).all() or (steps < 0).all() or _restarts(values, steps)
    for keys in (["Metadata_Plate"], ["Metadata_Batch"], ["Metadata_Well"], list(COLUMNS.values())[2:4]):
        if all(key in meta for key in keys):
            same = varies & _same_within(meta[keys], x)
            found |= same & (same.mean() < 0.5)
    return found


def _restarts(values: np.ndarray, steps: np.ndarray) -> bool:
    """Whether values count by one, and begin at the smallest again at least once."""
    again = values[1:] == values.min()
    return bool((again | (steps == 1)).all() and (steps == 1).sum() >= 8 and values.min() in (0, 1))


def _same_within(keys: pd.DataFrame, x: np.ndarray) -> np.ndarray:
    """(features,) bool: those that are the same in all rows of equal `keys`; there must be eight pairs of such rows."""
    groups = keys.groupby(list(keys), sort=False, dropna=False).ngroup().to_numpy()
    order = np.argsort(groups, kind="stable")
    pairs = np.flatnonzero(np.diff(groups[order]) == 0)
    same = np.zeros(x.shape[1], dtype=bool)
    if len(pairs) < 8 or groups.max() == 0:
        return same
    # A few pairs rule out all but a few columns.
    few = pairs[:: max(1, len(pairs) // 64)]
    likely = np.flatnonzero((x[order[few]] == x[order[few + 1]]).all(axis=0))
    part = x[:, likely]
    same[likely] = (part[order[pairs]] == part[order[pairs + 1]]).all(axis=0)
    return same


def _some(names: Sequence[str], shown: int = 6) -> str:
    return ", ".join(repr(name) for name in names[:shown]) + (
        f" and {len(names) - shown} more" if names[shown:] else ""
    )
