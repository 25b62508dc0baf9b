"""Where everything comes from: software, machines, data, settings; and how to cite it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from phenoviews.report.found import Found
from phenoviews.report.pages import Page


def pages(found: Found) -> Iterator[Page]:
    trained = [run.about for run in found.runs.values() if run.about]
    yield Page(
        "provenance.html",
        "provenance.html",
        "Provenance",
        {
            "software": Counter(
                ", ".join(f"{name} {version}" for name, version in about["versions"].items()) for about in trained
            ).most_common(),
            "commits": Counter(about.get("commit", "not recorded") for about in trained).most_common(),
            "devices": _devices(trained),
            "hours": sum(about["result"]["seconds"] for about in trained) / 3600,
            "trainings": len(trained),
            "data": _data(found),
            "sources": _sources(found.told["config"]),
            "config": yaml.safe_dump(found.told["config"], sort_keys=False, allow_unicode=True, width=100),
            "citation": found.told["citation"],
        },
    )


def _devices(trained: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each device with its trainings, their hours and precision."""
    found: dict[tuple[str, str], list[float]] = {}
    for about in trained:
        found.setdefault((about["device"], about["precision"]), []).append(about["result"]["seconds"])
    return [
        {"device": device, "precision": precision, "trainings": len(seconds), "hours": sum(seconds) / 3600}
        for (device, precision), seconds in sorted(found.items())
    ]


def _data(found: Found) -> list[dict[str, Any]]:
    """The images that trainings saw, as their run.yaml identify them: once for each content."""
    rows: dict[str, dict[str, Any]] = {}
    for run in found.runs.values():
        if run.about and "data" in run.about:
            data = run.about["data"]
            row = rows.setdefault(
                json.dumps(data, sort_keys=True), {**data, "dataset": run.names["dataset"], "runs": 0}
            )
            row["runs"] += 1
    return sorted(rows.values(), key=lambda row: str(row["dataset"]))


def _sources(config: Mapping[str, Any]) -> list[dict[str, str]]:
    """The files that the study downloads, and the checksums that they are held to."""
    return [
        {"source": name, "file": file["name"], "checksum": checksum}
        for section in ("datasets", "screens")
        for name, entry in config[section].items()
        if isinstance(entry, Mapping)
        for file in entry.get("files", {}).values()
        for checksum in [", ".join(f"{kind} {file[kind]}" for kind in ("md5", "sha256", "content") if kind in file)]
    ]
