"""An audit as a person wants it: what to use and why, effects with intervals, who gains and who loses, the views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from phenoviews.report.found import Found, name_of

WIDTH, ROOM = 320.0, 8.0  # of the drawing of an effect, in its own units; at either end


def data(found: Found, document: Mapping[str, Any]) -> dict[str, Any]:
    """What `audit.html` shows besides what every panel does: the document's `audit`, what it cost, its drawings."""
    audit = document["audit"]
    return {
        "audit": audit,
        "cost": cost(found, document),
        "width": WIDTH,
        "middle": WIDTH / 2,
        "of_set": effects(audit["settings"], audit),
        "alone": effects(audit["alone"], audit),
        "parts": [part for of in audit["parts"] if (part := _viewed(found, document, of))["levels"]],
        "search": searched(audit["search"]) if audit.get("search") else None,
        "plain": _plain(found, document),
        "views": _files(found, document),
    }


def cost(found: Found, document: Mapping[str, Any]) -> dict[str, Any]:
    """How many trainings there are, and what they took: hours, and on what."""
    runs = [found.runs[name] for name in dict.fromkeys(map(name_of, document["each"]))]
    trained = [run for run in runs if run.about is not None]
    seconds = [run.seconds for run in trained if run.seconds is not None]
    return {
        "trainings": len(trained),
        "hours": sum(seconds) / 3600,
        "devices": list(dict.fromkeys(str(run.about["device"]) for run in trained if run.about)),
    }


def effects(lines: Sequence[Mapping[str, Any]], audit: Mapping[str, Any]) -> dict[str, Any]:
    """Lines of settings, the first of which the others are compared with, as they are drawn; the largest change that
    there is room for, and half the width of the band within which one makes no difference."""
    there = [line for line in lines if line["change"] is not None]
    most = max((abs(line["change"]) + (line["reach"] or 0) for line in there), default=0) or 1.0
    return {
        "most": most,
        "margin": min(audit["margin"] / most, 1) * _half(),
        "lines": [{**line, "effect": effect(line, most), "cells": shades(line["cells"], audit)} for line in lines],
    }


def searched(search: Mapping[str, Any]) -> dict[str, Any]:
    """A search with where the change of each setting of a round is drawn, and half the width of the shaded band."""
    changes = [change for one in search["rounds"] for change in one["changes"] if change is not None]
    most = max([*map(abs, changes), search["one"] or 0.0], default=0.0) or 1.0
    rounds = [
        {**one, "at": [_drawn(change, most) for change in one["changes"] if change is not None]}
        for one in search["rounds"]
    ]
    band = None if search["one"] is None else search["one"] / most * _half()
    return {**search, "rounds": rounds, "most": most, "band": band}


def effect(line: Mapping[str, Any], most: float) -> dict[str, float] | None:
    """Where the change and the ends of its interval are drawn; None of the set itself and of what has none."""
    if line["change"] is None or line["reach"] is None:
        return None
    at = {"low": line["change"] - line["reach"], "change": line["change"], "high": line["change"] + line["reach"]}
    return {key: _drawn(value, most) for key, value in at.items()}


def shades(cells: Sequence[Mapping[str, Any]], audit: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Cells with a shade, 1 to 4 by how large the change is against the largest that is shown; 0 within noise."""
    shown = [
        abs(cell["change"]) for line in [*audit["settings"], *audit["alone"]] for cell in line["cells"] if cell["shown"]
    ]
    most = max(shown, default=1.0) or 1.0
    return [{**cell, "shade": max(1, round(4 * abs(cell["change"]) / most)) if cell["shown"] else 0} for cell in cells]


def _drawn(value: float, most: float) -> float:
    """Where a change is drawn, `most` being the largest."""
    return WIDTH / 2 + value / most * _half()


def _half() -> float:
    return WIDTH / 2 - ROOM


def _look(found: Found, document: Mapping[str, Any], transform: str) -> int | None:
    """The place of what a set of the audit makes of its images."""
    run = next(run for run in document["each"] if run["transform"] == document["audit"]["start"])
    return found.look_of.get((run["dataset"], transform, run["method"]))


def _viewed(found: Found, document: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """A part with the pictures of its strengths, of those that have some: the first view of eight images."""
    levels = []
    for level in part["levels"]:
        look = _look(found, document, level["transform"])
        if look is not None and len(found.looks[look]["rows"]) > 1:
            levels.append({**level, "file": f"views/{look}/{found.looks[look]['rows'][1]['file']}"})
    start = [number for number, level in enumerate(levels) if level["times"] == 1]
    return {**part, "levels": levels, "start": start[0] if start else 0}


def _plain(found: Found, document: Mapping[str, Any]) -> str:
    look = _look(found, document, document["audit"]["start"])
    return "" if look is None else f"views/{look}/{found.looks[look]['rows'][0]['file']}"


def _files(found: Found, document: Mapping[str, Any]) -> bool:
    return bool(_plain(found, document))
