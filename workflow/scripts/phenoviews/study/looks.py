"""Which transforms the trainings of a study see, for a person to look at: each once for a data set."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from phenoviews.study.paths import LOOKS
from phenoviews.study.resolve import Resolver
from phenoviews.study.run import Run


def transforms(study: Resolver, runs: Iterable[Run]) -> dict[str, list[dict[str, Any]]]:
    """{data set, as on the disk: its looks}, of the runs that are trained.

    A look has sets, the transform as it is resolved for the training (a recipe may change it for one method), and
    names, [data set, transform, method] of every training that sees just that. Of a data set that each seed draws anew
    the first one's is looked at.
    """
    named: dict[tuple[str, str, str], Run] = {}
    for run in runs:
        named.setdefault((run.dataset, run.transform, run.method), run)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for names, run in named.items():
        if not study.is_trained(run):
            continue
        there = study.on_disk(run)
        sets = study.resolve(there).transform.to_dict()["sets"]
        looks = found.setdefault(there.dataset, {})
        looks.setdefault(json.dumps(sets), {"sets": sets, "names": []})["names"].append(list(names))
    return {dataset: list(looks.values()) for dataset, looks in found.items()}


def folders(study: Resolver, runs: Iterable[Run]) -> list[str]:
    """The folders of their pictures."""
    return [LOOKS.format(scale=study.scale, dataset=dataset) for dataset in transforms(study, runs)]


def operations(looks: Iterable[dict[str, Any]]) -> set[str]:
    """The operations in these looks, and of images as they are."""
    pipelines = (pipeline for look in looks for one in look["sets"] for pipeline in one["views"])
    return {"normalize", *(operation for pipeline in pipelines for step in pipeline for operation in step)}
