"""The numbers of a panel, beside the published ones, with the verdicts on the paper's claims: CSV, Markdown, LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from phenoviews.panels import claims, records, table


def write(
    panel: Mapping[str, Any],
    found: pd.DataFrame,
    files: Mapping[str, str],
    published: Sequence[Mapping[str, str]],
    claimed: Sequence[Mapping[str, Any]],
) -> None:
    """Write `files` (csv, md, tex, and claims where the panel is of a paper) of a panel.

    Args:
        panel: its declaration.
        found: its records: those of its metrics make the table, and claims are judged on all of them.
        published, claimed: the values that the paper printed and the claims on them, as `study.resources` has them.
    """
    verdicts = claims.evaluate(claimed, found, panel["scale"]["stand_ins"], panel["of_sweeps"])
    if files.get("claims"):
        claims.write(verdicts, panel, files["claims"])
    table.write(
        table.long(records.without_draws(found, panel), panel, records.published(published)),
        panel,
        files["csv"],
        files["md"],
        files["tex"],
        below=claims.markdown(verdicts, panel),
    )
