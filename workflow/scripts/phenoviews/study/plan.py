"""The plan: which runs a panel shows, and what a training asks of a machine."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from phenoviews.errors import UserError
from phenoviews.study import names
from phenoviews.study.panel import Panel
from phenoviews.study.resolve import Resolver
from phenoviews.study.resolved import Pretraining
from phenoviews.study.run import AXES, Run

HELD_MB = 4 * 2**30 / 1e6  # of a split in host memory, at most: `phenoviews.data.pool.HOST`, whose module needs torch


# --------------------------------------------------------------------------------------------------------------- panels
def runs(study: Resolver, panel: Panel) -> list[Run]:
    """The runs that a panel shows, each once, in the order in which it declares them and under the names that it gives
    them; `Resolver.on_disk` has those of their paths."""
    declared: dict[Run, None] = {}
    for grid in grids(panel):
        axes = [[names.stand_in(name, study.config["stand_ins"]) for name in listed(grid[axis])] for axis in AXES]
        # Spelled once per combination, not once per seed.
        spelled = [
            study.spelled(Run(dataset, transform, method, backbone, seed=0))
            for dataset, transform, method, backbone in itertools.product(*axes)
        ]
        declared |= dict.fromkeys(replace(run, seed=seed) for run in spelled for seed in _seeds(study, panel, grid))
    return list(declared)


def grids(panel: Panel) -> list[Mapping[str, Any]]:
    """What a panel's `runs` declare."""
    return listed(panel.declared["runs"])


def listed(value: Any) -> list[Any]:
    """One thing, or a list of things, as a list."""
    return value if isinstance(value, list) else [value]


def _seeds(study: Resolver, panel: Panel, grid: Mapping[str, Any]) -> list[int]:
    """Of the study's seeds the first few, as many as the grid says, or else `panel_seeds` of its paper; or all."""
    seeds: list[int] = study.config["seeds"]
    count = grid.get("seeds", study.config["panel_seeds"].get(panel.paper, "all"))
    if count == "all":
        return seeds
    if count > len(seeds):
        asked = "its `seeds`" if "seeds" in grid else f"`panel_seeds.{panel.paper}`"
        raise UserError(
            f"{asked} asks for {count}, and `seeds` has {len(seeds)} at scale {study.scale}; add some there"
        )
    return seeds[:count]


# ----------------------------------------------------------------------------------------------------------------- load
@dataclass(frozen=True)
class Load:
    """What a training asks for: steps, PFLOP, minutes on one GPU and MB of host memory."""

    steps: int
    pflop: float
    minutes: int
    mem_mb: int


def load(study: Resolver, run: Run) -> Load:
    """What a training asks for, from its size."""
    resolved, plan = study.resolve(run), study.config["resources"]
    training = Pretraining.of(resolved).training
    count = images(study, run.dataset)
    steps = training.epochs * max(training.min_iters_per_epoch, count // training.batch_size, 1)
    sets = len(resolved.transform.sets)
    # Two views; forward and backward are three forwards, a momentum encoder's is a fourth.
    passes = 2 * sets * (4 if "ema" in resolved.method.parameters else 3)
    flop = steps * training.batch_size * passes * 2e9 * _gmacs(study, run)
    seconds = max(flop / (plan["sustained_tflops"] * 1e12), steps * sets * plan["step_ms"] / 1e3)
    # The training images, those evaluated, and their embeddings. Of either split no more than HELD_MB is held: what is
    # larger is read as it is used, and written so, and the file's pages are the kernel's to give back.
    data_mb = count * 3 * resolved.dataset.size**2 / 1e6
    return Load(
        steps=steps,
        pflop=flop / 1e15,
        minutes=int(20 + 1.5 * seconds / 60),  # half as much again, and the start-up and the probe
        mem_mb=int(6000 + min(3 * data_mb, 2 * HELD_MB)),
    )


def images(study: Resolver, dataset: str) -> int:
    """About how many images a dataset trains with."""
    entry = study.entry("datasets", dataset)
    if entry["kind"] != "cells":
        return int(entry["images"])
    return int((entry["cells"] or 10000) * (1 - entry["test_fraction"] - entry["val_fraction"]))


def _gmacs(study: Resolver, run: Run) -> float:
    """1e9 multiply-adds of one image's way through the backbone."""
    resolved = study.resolve(run)
    backbone, size = resolved.backbone, resolved.dataset.size
    gmacs: float = study.entry("backbones", run.backbone)["gmacs"] * backbone.width**2 * (size / 32) ** 2
    # What the stride of 2 and the pooling of the standard stem save, for every ResNet.
    saved = 19 if backbone.kind.startswith("resnet") and backbone.stem == "standard" else 1
    return gmacs / saved
