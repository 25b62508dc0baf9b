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
) -> None:
    """Write `files` (csv, md, tex, claims) of a panel.

    Args:
        panel: its declaration.
        found: its records: those of its metrics make the table, and claims are judged on all of them.
        published, claimed: the files of published values and of claims, where there are some.
    """
    verdicts = claims.evaluate(claims.load(claimed, panel["name"]), found, panel["scale"]["stand_ins"])
    claims.write(verdicts, panel, files["claims"])
    table.write(
        table.long(found, panel, records.published(published, panel["name"])),
        panel,
        files["csv"],
        files["md"],
        files["tex"],
        below=claims.markdown(verdicts, panel),
    )
