"""What the page is told of the study, as plain data: `phenoviews.report.page.write` says what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from phenoviews.study import paths
from phenoviews.study.document import ROOT
from phenoviews.study.looks import folders
from phenoviews.study.panel import Panel
from phenoviews.study.resolve import FROZEN, Resolver
from phenoviews.study.run import AXES, Run

CAPTIONS = ROOT / "workflow" / "report"


def told(
    study: Resolver, panels: Mapping[str, Panel], files: Mapping[str, Mapping[str, str]], runs: Sequence[Run]
) -> dict[str, Any]:
    """Of these panels at the scale of the study, by their names, with their files by suffix and all of their runs."""
    screens = paths.plates_of(study, (run.dataset for run in runs))
    return {
        "scale": study.scale,
        "results": paths.RESULTS.format(scale=study.scale),
        "panels": [
            {
                "name": name,
                "paper": panel.paper,
                "item": panel.item,
                "caption": caption(name),
                "files": {suffix: str(file) for suffix, file in files[name].items()},
            }
            for name, panel in panels.items()
        ],
        "screens": {screen: _screen(study, screen, plates) for screen, plates in screens.items()},
        "pictures": folders(study, runs),
        "frozen": [name for name, entry in study.config["methods"].items() if entry["kind"] == FROZEN],
        "elsewhere": {
            f"{run.dataset}/{run.seed}": there.dataset for run in runs if (there := study.on_disk(run)) != run
        },
        "labels": {
            axis: {
                name: entry.get("label", name)
                for name, entry in study.config[section].items()
                if isinstance(entry, dict)
            }
            for axis, section in AXES.items()
        },
        "config": study.config,
        "citation": yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8")),
    }


def caption(name: str) -> str:
    """The caption of a panel, reStructuredText; a panel of the user's own need not have one."""
    file = CAPTIONS / f"{name}.rst"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _screen(study: Resolver, name: str, plates: Sequence[str]) -> dict[str, Any]:
    patterns = {"qc": paths.QC, "overlay": paths.OVERLAY, "light": paths.LIGHT}
    return {
        "label": study.entry("screens", name).get("label", name),
        "plates": [
            {"name": plate, **{key: pattern.format(screen=name, plate=plate) for key, pattern in patterns.items()}}
            for plate in plates
        ],
    }
