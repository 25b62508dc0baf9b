"""The numbers of a panel, beside the published ones, with the verdicts on the paper's claims: CSV, Markdown, LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from phenoviews.panels import claims, records, table


def write(
    panel: Mapping[str, Any],
    found: pd.DataFrame,
    files: Mapping[str, str],
    published: str | Path | None,
    claimed: str | Path | None,
    laid_out: tuple[Mapping[str, Any], pd.DataFrame] | None = None,
) -> None:
    """Write `files` (csv, md, tex, claims) of a panel.

    Args:
        panel: its declaration.
        found: its records, on which claims are judged.
        published, claimed: the files of published values and of claims, where there are some.
        laid_out: declaration and records of the table, where they are others, as from `figures.doses.as_table`.
    """
    declared, cells = laid_out or (panel, found)
    verdicts = claims.evaluate(claims.load(claimed, panel["name"]), found, panel["scale"]["stand_ins"])
    claims.write(verdicts, panel, files["claims"])
    table.write(
        table.long(cells, declared, records.published(published, panel["name"])),
        declared,
        files["csv"],
        files["md"],
        files["tex"],
        below=claims.markdown(verdicts, panel),
    )
