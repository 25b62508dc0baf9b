"""The verdicts on every claim, of all panels together: a page, and a sheet as CSV and Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from phenoviews.files import write_text
from phenoviews.panels.claims import COLUMNS
from phenoviews.panels.table import markdown_row, plain_markdown
from phenoviews.panels.verdicts import CANNOT, CONTRADICTED, FEW, NOISE, REPRODUCED, UNDECIDED
from phenoviews.report.found import Found
from phenoviews.report.pages import Page

ORDER = [REPRODUCED, CONTRADICTED, UNDECIDED, NOISE, FEW, CANNOT]
MEANING = {
    REPRODUCED: "the margins are above zero by more than their spread over seeds explains (p < 0.05)",
    CONTRADICTED: "they are below zero by as much",
    UNDECIDED: "the test could have decided, and did not",
    NOISE: "what is claimed is seen, and noise alone would show it as well",
    FEW: "too few seeds for the test to reach its level",
    CANNOT: "a number that the claim compares is missing",
}
SHEET = ["paper", "panel", *COLUMNS, "without", "seeds", "reasons", "scale", "note"]


def sheet(found: Found) -> list[dict[str, Any]]:
    """Every claim once: its paper and panel, the columns of `claims.summary`, the scale and its note."""
    return [
        {
            "paper": panel["paper"],
            "panel": panel["item"],
            **line,
            "scale": panel["document"]["scale"]["name"],
            "note": panel["document"]["scale"]["note"],
        }
        for panel in found.panels.values()
        for line in panel["document"]["verdicts"]
    ]


def write_sheet(found: Found, csv: Path, md: Path) -> None:
    """Write the sheet of all verdicts as CSV, and in Markdown what a person reads of it."""
    lines = sheet(found)
    write_text(csv, pd.DataFrame(lines, columns=SHEET).to_csv(index=False))
    counts = Counter(line["verdict"] for line in lines)
    head = ["Claim", "Verdict", "Comparisons on its side", "Mean margin", "Smallest margin", "What is claimed"]
    rows = [
        [line["claim"], line["verdict"], sided(line), margin(line, "margin"), margin(line, "smallest"), line["says"]]
        for line in lines
    ]
    text = [
        f"{len(lines)} claims at {found.told['scale']} scale: "
        + ", ".join(f"{counts[verdict]} {verdict}" for verdict in ORDER if counts[verdict])
        + ".",
        "",
        markdown_row(head),
        markdown_row(["---", "---", "---:", "---:", "---:", "---"]),
        *(markdown_row(map(plain_markdown, row)) for row in rows),
    ]
    none = f"No panel at {found.told['scale']} scale makes a claim."
    write_text(md, ("\n".join(text) if lines else none) + "\n")


def pages(found: Found) -> Iterator[Page]:
    lines = [
        {
            **line,
            "name": f"{line['paper']}_{line['panel']}",
            "sided": sided(line),
            "margin_text": margin(line, "margin"),
            "smallest_text": margin(line, "smallest"),
            "noise_text": "" if line["noise"] is None else f"{line['noise']:.2g}",
        }
        for line in sheet(found)
    ]
    papers = list(dict.fromkeys(line["paper"] for line in lines))
    counts = {paper: Counter(line["verdict"] for line in lines if line["paper"] == paper) for paper in papers}
    shown = [verdict for verdict in ORDER if any(counts[paper][verdict] for paper in papers)]
    notes = list(dict.fromkeys(line["note"] for line in lines if line["note"]))
    yield Page(
        "index.html",
        "verdicts.html",
        "Verdicts",
        {
            "lines": lines,
            "papers": papers,
            "counts": counts,
            "shown": shown,
            "meaning": MEANING,
            "notes": notes,
            "panels": [{"name": name, "title": panel["document"]["title"]} for name, panel in found.panels.items()],
        },
        files={"verdicts.csv": f"{found.told['results']}/verdicts.csv", **found.plan_files},
    )


def sided(line: Mapping[str, Any]) -> str:
    """How many of a claim's comparisons are on its side."""
    without = f", {line['without']} without values" if line["without"] else ""
    return f"{line['on_side']} of {line['cells']}{without}"


def margin(line: Mapping[str, Any], which: str) -> str:
    """A margin with its interval, as far as they are there; `which`: margin, the mean of the comparison that decides,
    or smallest."""
    ends = ("low", "high") if which == "margin" else ("smallest_low", "smallest_high")
    value, low, high = (line[key] for key in (which, *ends))
    if value is None:
        return "\N{EM DASH}"
    return f"{value:+.3g}" + ("" if low is None else f" [{low:+.3g}, {high:+.3g}]")
