"""The numbers of a panel, beside the published ones, with the verdicts on the paper's claims: CSV, Markdown, LaTeX; and
all that a page can show of it, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from phenoviews.files import write_json
from phenoviews.panels import claims, records, table

# What a page needs of a panel's declaration.
TOLD = ("name", "title", "plot", "scale", "each", "metrics")


def write(
    panel: Mapping[str, Any],
    found: pd.DataFrame,
    files: Mapping[str, str],
    published: Sequence[Mapping[str, str]],
    claimed: Sequence[Mapping[str, Any]],
) -> None:
    """Write `files` of a panel: json; csv, md and tex where it has numbers, and claims where it is of a paper.

    Args:
        panel: its declaration.
        found: its records: those of its metrics make the table, and claims are judged on all of them.
        published, claimed: the values that the paper printed and the claims on them, as `study.resources` has them.
    """
    if not panel["metrics"]:
        write_json(files["json"], document(panel))
        return
    verdicts = claims.evaluate(claimed, found, panel["scale"]["stand_ins"], panel["of_sweeps"])
    if files.get("claims"):
        claims.write(verdicts, panel, files["claims"])
    numbers = table.long(records.without_draws(found, panel), panel, records.published(published))
    view = table.layout(numbers, panel)
    table.write(numbers, view, files["csv"], files["md"], files["tex"], below=claims.markdown(verdicts, panel))
    write_json(files["json"], document(panel, numbers, view, verdicts))


def document(
    panel: Mapping[str, Any],
    numbers: pd.DataFrame | None = None,
    view: table.Layout | None = None,
    verdicts: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """What a page shows of a panel, as plain data.

    Returns:
        `TOLD` of its declaration (each: the names of its runs); lines: of the table of numbers (None for what is
        missing); table: its layout, with the number of the line in each cell; claims: the lines of `claims.evaluate`,
        and verdicts: those of `claims.summary`. The last four are empty, and table is None, where it has no numbers.
    """
    told = {key: panel[key] for key in TOLD if key in panel}
    if numbers is None or view is None or verdicts is None:
        return {**told, "table": None, "lines": [], "claims": [], "verdicts": []}
    shown = {
        "note": view.note,
        "caption": view.caption,
        "stub": view.stub,
        "heads": [{"title": title, "subs": subs} for title, subs in view.heads],
        "rows": [
            {"names": names, "cells": [{"text": text, "mark": mark, "line": line} for (text, mark), line in cells]}
            for names, cells in (
                (names, zip(cells, lines, strict=True))
                for (names, cells), lines in zip(view.body, view.lines, strict=True)
            )
        ],
        "footnotes": view.footnotes,
    }
    return {
        **told,
        "table": shown,
        "lines": plain(numbers),
        "claims": plain(verdicts),
        "verdicts": plain(claims.summary(verdicts)),
    }


def plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as plain data: None for what is missing."""
    columns = {str(name): frame[name].astype(object).where(frame[name].notna(), None) for name in frame}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
