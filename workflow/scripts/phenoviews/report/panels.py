"""The panels as a reader of the paper wants them: our numbers beside the published ones, with what is behind each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from docutils.core import publish_parts

from phenoviews.report import audits
from phenoviews.report.found import FINISHED, Found, Training, name_of
from phenoviews.report.pages import Page
from phenoviews.report.verdicts import margin, sided

PUBLISHED = "published"  # the sub-heading of a column of what the paper printed; `panels.table.layout`
SUFFIXES = {
    "png": "PNG",
    "pdf": "PDF",
    "csv": "CSV",
    "md": "Markdown",
    "yaml": "YAML",
    "tex": "LaTeX",
    "claims": "Claims (CSV)",
    "lengths": "Lengths of training (CSV)",
    "search": "What the search tried (CSV)",
}
QUIET = {"report_level": 5, "file_insertion_enabled": False, "raw_enabled": False}


def pages(found: Found) -> Iterator[Page]:
    papers: dict[str, list[dict[str, Any]]] = {}
    for panel in found.panels.values():
        papers.setdefault(panel["paper"], []).append(_card(found, panel))
    yield Page("panels.html", "panels.html", "Panels", {"papers": papers})
    for panel in found.panels.values():
        yield _page(found, panel)


def _card(found: Found, panel: Mapping[str, Any]) -> dict[str, Any]:
    document = panel["document"]
    return {
        "name": panel["name"],
        "item": called(panel["item"]),
        "title": document["title"],
        "picture": copied(panel).get("png", ("", ""))[0],
        "there": there(found, panel),
        "verdicts": Counter(line["verdict"] for line in document["verdicts"]),
    }


def _page(found: Found, panel: Mapping[str, Any]) -> Page:
    document, name = panel["document"], panel["name"]
    files = copied(panel)
    links = [(SUFFIXES[suffix], path) for suffix, (path, _) in files.items()]
    if "audit" in document:
        shown = {"panel": panel, "document": document, "links": links, "there": there(found, panel)}
        return Page(
            f"panels/{name}.html",
            "audit.html",
            document["title"],
            shown | audits.data(found, document),
            files=dict(files.values()),
        )
    script = f"data/panels/{name}.js"
    return Page(
        f"panels/{name}.html",
        "panel.html",
        f"{called(panel['item'])}: {document['title']}",
        {
            "panel": panel,
            "document": document,
            "caption": caption(panel["caption"]),
            "table": with_differences(document),
            "verdicts": [
                {**line, "sided": sided(line), "margin_text": margin(line, "margin"),
                 "smallest_text": margin(line, "smallest")}
                for line in document["verdicts"]
            ],
            "links": links,
            "picture": files.get("png", ("", ""))[0],
            "there": there(found, panel),
            "script": script,
        },
        scripts={script: behind(found, panel)},
        files=dict(files.values()),
    )  # fmt: skip


def called(item: str) -> str:
    """The name of a panel within its paper, for people: "Table 1"."""
    word = item.rstrip("0123456789")
    return f"{word} {item[len(word) :]}".replace("_", " ").strip().capitalize()


def caption(text: str) -> str:
    """reStructuredText as HTML, without titles; nothing in it can load a file or be raw."""
    return str(publish_parts(text, writer="html5", settings_overrides=QUIET)["body"]) if text else ""


def copied(panel: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """{suffix: (its path on the page, the panel's own file)}, of what a reader may download."""
    return {
        suffix: (f"files/{panel['paper']}/{file.rsplit('/', 1)[-1]}", file)
        for suffix, file in panel["files"].items()
        if suffix in SUFFIXES
    }


def there(found: Found, panel: Mapping[str, Any]) -> dict[str, Any]:
    """Of the runs of a panel how many there are, and how the others ended."""
    runs = [found.runs[name] for name in dict.fromkeys(map(name_of, panel["document"]["each"]))]
    failed = Counter(run.state.split(" in epoch")[0] for run in runs if run.failed)
    missing = sum(run.state == "not there yet" for run in runs)
    return {"runs": len(runs), "missing": missing, "failed": dict(failed)}


def with_differences(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The layout of a panel's table with a column for the difference after each published one.

    Every number is text that the panel's own table has; the difference is that of its line, printed like the number.
    """
    table = document["table"]
    if table is None:
        return None
    metrics = {metric["name"]: metric for metric in document["metrics"]}
    heads = [
        {**head, "subs": [*head["subs"], *(["difference"] if PUBLISHED in head["subs"] else [])]}
        for head in table["heads"]
    ]
    compared = [PUBLISHED in head["subs"] for head in table["heads"]]
    rows = []
    for row in table["rows"]:
        cells, given = [], iter(row["cells"])
        for with_published in compared:
            ours = next(given)
            cells.append({**ours, "kind": "ours"})
            if with_published:
                cells.append({**next(given), "kind": PUBLISHED})
                line = None if ours["line"] is None else document["lines"][ours["line"]]
                cells.append({"text": difference(line, metrics), "mark": "", "line": None, "kind": "difference"})
        rows.append({"names": row["names"], "cells": cells})
    return {**table, "heads": heads, "rows": rows}


def difference(line: Mapping[str, Any] | None, metrics: Mapping[str, Mapping[str, Any]]) -> str:
    if line is None or line["difference"] is None:
        return ""
    return f"{line['difference']:+z.{metrics[line['metric']]['digits']}f}"


def behind(found: Found, panel: Mapping[str, Any]) -> dict[str, Any]:
    """What is behind each number of a panel's table, by the number of its line, and the runs that it is of."""
    document = panel["document"]
    metrics = {metric["name"]: metric for metric in document["metrics"]}
    of_lines = found.of_lines(panel)
    place = {name: number for number, name in enumerate(dict.fromkeys(name for of in of_lines for name in of))}
    lines = [
        {
            "metric": metrics[line["metric"]]["label"],
            "of_sweep": metrics[line["metric"]]["of_sweep"],
            **{key: line[key] for key in ("unit", "mean", "sd", "n", "asked", "published", "difference", "missing")},
            "values": dict(zip(line["seeds"].split(), map(float, line["values"].split()), strict=True)),
            "runs": [place[name] for name in of],
        }
        for line, of in zip(document["lines"], of_lines, strict=True)
    ]
    return {"lines": lines, "runs": [brief(found, found.runs[name]) for name in place]}


def brief(found: Found, run: Training) -> dict[str, Any]:
    """A run in a line of a list."""
    about = run.about or {}
    return {
        "name": run.name,
        "seed": run.names["seed"],
        "state": run.state,
        "failed": run.failed,
        "device": about.get("device"),
        "seconds": run.seconds,
        "commit": about.get("commit"),
        "overrides": run.overrides,
        "group": found.number_of[run.group],
        "finished": run.state == FINISHED,
    }
