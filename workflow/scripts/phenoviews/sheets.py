"""Tables that a user brings: CSV with commas, semicolons or tabs in any of the usual encodings, Excel, Parquet."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.errors import UserError
from phenoviews.spelling import folded

EXCEL = (".xlsx", ".xlsm")
OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
SEPARATORS = ",;\t"


def read(path: Path, wanted: str = "well") -> pd.DataFrame:
    """A table of text, since "NA" may be a compound and "1" a plate: names and values without blanks around them, ""
    where there is none. Lines that are empty are left out.

    `wanted`: the column by which the right one of several sheets of an Excel file is told. `UserError` naming the file
    for what cannot be read, has no rows, or has more values in a line than columns.
    """
    try:
        table = _excel(path, wanted) if path.suffix.lower() in EXCEL else _read(path)
    except UserError:
        raise
    except ImportError as error:
        raise UserError(f"{path}: Excel files need the package openpyxl; install it, or save as CSV") from error
    except Exception as error:  # what broken files raise can be anything
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read as a table ({reason}); check the file") from error
    if table.empty:
        raise UserError(f"{path}: has no rows; check the file")
    return table


def column(path: Path, table: pd.DataFrame, name: str) -> pd.Series:
    """A column by its name, or its name in other case, or with blanks for underscores; `UserError` with those that
    there are."""
    found = [name] if name in table else [other for other in map(str, table) if folded(other) == folded(name)]
    if len(found) > 1 or (found and isinstance(table[found[0]], pd.DataFrame)):
        raise UserError(f"{path}: has the column {name} twice; leave one")
    if not found:
        known = ", ".join(table.columns[:20])
        raise UserError(f"{path}: lacks the column {name}; it has {known}; check the screen's `channels` and `columns`")
    return table[found[0]]


def has(table: pd.DataFrame, name: str) -> bool:
    """Whether `column` finds it."""
    return any(folded(other) == folded(name) for other in map(str, table))


def numbers(path: Path, name: str, text: pd.Series, kind: type) -> pd.Series:
    """A column of text as whole numbers (`kind` int), or as numbers with NaN where it is empty (float). A decimal comma
    is read where it cannot be one of thousands."""
    ambiguous = text.str.fullmatch(r"[1-9]\d{0,2}(,\d{3})+")
    if ambiguous.any():
        value = text[ambiguous].iloc[0]
        raise UserError(f"{path}: {name} is {value!r}: thousands or decimals? Write {value.replace(',', '')} or "
                        f"{value.replace(',', '.', 1)}")  # fmt: skip
    found = pd.to_numeric(text.str.replace(r"^([+-]?\d*),(\d+)$", r"\1.\2", regex=True), errors="coerce")
    wrong = found.isna() & (text != "") if kind is float else found.isna() | (found % 1 != 0)
    if wrong.any():
        what = "a number" if kind is float else "a whole number"
        raise UserError(f"{path}: {name} is {text[wrong].iloc[0]!r}, not {what}")
    return found.astype(kind)


def separator(header: str) -> str:
    """Which of `SEPARATORS` stands between the names of a CSV's first line: the one that parts it into most."""
    return max(SEPARATORS, key=lambda one: len(next(csv.reader([header], delimiter=one), [])))


# --- the formats ---


def _read(path: Path) -> pd.DataFrame:
    if path.suffix.lower() in (".parquet", ".pq"):
        table = pd.read_parquet(path)
        # An index that has a name is a column that a tool has put aside.
        table = table.reset_index() if any(name is not None for name in table.index.names) else table
        stripped: pd.DataFrame = table.rename(columns=lambda name: str(name).strip()).map(_text)
        return stripped
    with OPENERS.get(path.suffix.lower(), open)(path, "rb") as stream:
        text = _decoded(stream.read())
    lines = io.StringIO(text, newline="")
    declared = re.match(r"sep=(.)\r?\n", text)  # Excel's own first line
    if declared:
        lines.readline()
    first = next((line for line in text[lines.tell() :].splitlines() if line.strip()), "")
    between = declared[1] if declared else separator(first)
    rows = csv.reader(lines, delimiter=between, skipinitialspace=between != "\t", strict=True)
    return _table(path, [[value.strip() for value in row] for row in rows])


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252")  # what Excel for Windows writes where it is not asked for UTF-8


def _table(path: Path, rows: list[list[str]]) -> pd.DataFrame:
    """Header and rows → a table; short rows are filled up, empty ones left out."""
    filled = [row for row in rows if any(row)]
    if not filled:
        raise ValueError("it is empty")
    header, *body = filled
    for number, row in enumerate(body, start=2):
        if any(row[len(header) :]):
            raise UserError(
                f"{path}: row {number} has {len(row)} values and the header {len(header)} columns; is a value that "
                "holds the separator without quotation marks?"
            )
    width = len(header)
    return pd.DataFrame([row[:width] + [""] * (width - len(row)) for row in body], columns=header)


def _excel(path: Path, wanted: str) -> pd.DataFrame:
    sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=object, na_filter=False, engine="openpyxl")
    tables = {}
    for name, sheet in sheets.items():
        rows = [[_text(value) for value in row] for row in sheet.to_numpy().tolist()]
        # A title above the table has a line for itself.
        start = next((number for number, row in enumerate(rows) if sum(map(bool, row)) > 1), 0)
        if any(any(row) for row in rows):
            tables[str(name)] = _table(path, rows[start:])
    fitting = [name for name, table in tables.items() if has(table, wanted) or has(table, f"Metadata_{wanted}")]
    chosen = [*tables] if len(tables) == 1 else fitting
    if len(chosen) != 1:
        raise UserError(
            f"{path}: of its sheets {', '.join(tables) or '(all empty)'}, {len(chosen)} have the column {wanted}; "
            "leave one that has it"
        )
    return tables[chosen[0]]


def _text(value: Any) -> str:
    if value is None or value is pd.NaT or value is pd.NA:
        return ""
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else str(int(value)) if float(value).is_integer() else str(value)
    return str(value).strip()
