"""A copy of the project in a folder of its own, and Snakemake as a user calls it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CODE = ".snakemake/phenoviews.code.json"

# The least that goes the whole way: one seed, one epoch, two transforms, one backbone, one compound of small fields.
DIGITS = {"dataset": "mnist", "transform": "mnist_second", "method": ["byol", "moco"], "backbone": "vgg11"}
NOCODAZOLE = {"dataset": "cells_nocodazole", "method": "moco", "backbone": "vgg13"}
UNTRAINED = {"dataset": "cells_nocodazole", "transform": "plain", "method": "imagenet", "backbone": "vgg16"}
INTENSITY = {"dataset": "cells_nocodazole", "transform": "plain", "method": "intensity", "backbone": "no_network"}
DOSES = {"dataset": "cells_nocodazole_doses", "transform": "plain", "method": "imagenet"}
BRIGHTNESS = {**INTENSITY, "dataset": "cells_nocodazole_doses"}
WITHOUT = ["cell_first", "cell_first+color_jitter=off"]
SIMCLR = {
    "dataset": "treatments_15",
    "transform": "single_cell",
    "method": "simclr+batch_size=128",
    "backbone": "resnet18_imagenet",
}
QUICK = "resnet18+stem=standard"
CLASSES = {"dataset": "cifar100", "transform": "cifar", "method": "simclr", "backbone": QUICK}
TINY = {
    "seeds": [5],
    "backbones": {"vgg11": {"width": 0.125}},
    "screens": {"simulated": {"simulation": {"width": 256, "height": 224, "cells": 30}}},
    "sweeps": {"hue": {"steps": 2}, "jitter": {"steps": 2}},
    "datasets": {
        "photographs": {"train_per_class": 20, "test_per_class": 10},
        "simulated_nocodazole": {"cells": 80},
        "simulated_treatments": {"plates": ["Week2_00001", "Week3_00001"]},
        "simulated_treatments_15": {"plates": ["Week2_00001", "Week3_00001"]},
    },
    "recipes": {
        "mnist": {"training": {"epochs": 1}, "probe": {"epochs": 5, "milestones": [3]}},
        "cifar": {
            "training": {"epochs": 1, "batch_size": 100, "warmup_epochs": 0},
            "probe": {"epochs": 2, "milestones": [1]},
            "fine_tuning": {"training": {"epochs": 1, "batch_size": 100}},
        },
        "cells": {"training": {"epochs": 1, "batch_size": 16}, "methods": {"moco": {"queue": 32}}},
        "treatments": {"training": {"epochs": 1}},
    },
    "panels": {
        "no_free_lunch": {
            "table1": {"runs": {"transform": ["mnist_first", "mnist_second"]}},
            "table7": {"runs": [DIGITS, {**DIGITS, "transform": "plain", "method": "untrained"}]},
            "figure9": {"runs": {"backbone": ["vgg11"]}},
            "table2": {"runs": [{**NOCODAZOLE, "transform": ["cell_first", "dual"]}, UNTRAINED, INTENSITY]},
            "ablation": {"runs": [{**NOCODAZOLE, "transform": WITHOUT}, INTENSITY]},
            "figure2": {"runs": {"transform": ["dual"]}},
            "figure10": {"runs": {"dataset": ["cells_nocodazole"]}},
            "figure6": {"runs": [{**DOSES, "backbone": "resnet18"}, BRIGHTNESS], "randomised": "resnet18"},
            "figure7": {"runs": [{**DOSES, "backbone": "vgg11"}]},
            **{name: {"runs": {"method": "simclr"}} for name in ("figure3", "figure4", "figure5", "figure8", "table5")},
            "table3": {"runs": [{**CLASSES, "sweep": "hue"}, {**CLASSES, "transform": "plain", "method": "untrained"}]},
        },
        "single_cell": {
            "table1": {"runs": [SIMCLR]},
            "table2": {"runs": {**SIMCLR, "dataset": "treatments"}},
            **{f"table{number}": {"runs": SIMCLR} for number in (3, 4, 5, 6, 7)},
            "figure2": {"runs": {**SIMCLR, "dataset": "treatments"}},
            "hyperparameters": {"runs": [SIMCLR]},
            "epochs": {"runs": [SIMCLR]},
            "random_start": {"runs": [SIMCLR]},
            "structure": {"runs": SIMCLR},
        },
    },
}


class Project:
    """The project's files, as git has them or would, in `folder`."""

    def __init__(self, folder: Path):
        self.folder = folder
        files = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
        )
        for name in files.stdout.split():
            if (ROOT / name).exists():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target, follow_symlinks=False)
        # Hashes of code, which stand for as long as no source is another: a call of Snakemake begins sooner with them.
        if (ROOT / CODE).exists():
            (folder / CODE).parent.mkdir(exist_ok=True)
            shutil.copy2(ROOT / CODE, folder / CODE)

    @classmethod
    def of(cls, folder: Path) -> Project:
        """The project that is in `folder` already."""
        project = cls.__new__(cls)
        project.folder = folder
        return project

    def lay_over(self, patch: dict) -> list[str]:
        """Write `patch` as the demo scale's, and return the options that add it."""
        (self.folder / "patch.yaml").write_text(yaml.safe_dump({"scales": {"demo": patch}}))
        return ["--configfile", "patch.yaml", "--"]

    def start(self, *arguments: str, environment: dict[str, str] | None = None, **options) -> subprocess.Popen:
        ours = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.folder,
            env={**ours, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    def snakemake(self, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess:
        process = self.start(*arguments, environment=environment)
        output, _ = process.communicate()
        return subprocess.CompletedProcess(arguments, process.returncode, output)

    def planned(self, *arguments: str, environment: dict[str, str] | None = None) -> dict[str, int]:
        """Jobs per rule of a dry run; nothing where there is nothing to do."""
        done = self.snakemake("--dry-run", *arguments, environment=environment)
        assert done.returncode == 0, done.stdout
        stats = re.search(r"^Job stats:\n.*?\n-+ .*?\n(.*?)\n\n", done.stdout, re.DOTALL | re.MULTILINE)
        counts = dict(line.split() for line in stats[1].splitlines()) if stats else {}
        return {rule: int(count) for rule, count in counts.items() if rule != "total"}


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path)


# What Snakemake asks of conda before it makes an environment.
CONDA = """#!/bin/sh
case "$*" in
  *info*) echo '{"conda_prefix": "/opt/conda", "platform": "linux-64", "conda_version": "24.9.1"}' ;;
  *--version*) echo "conda 24.9.1" ;;
  *) echo '{"get": {"channel_priority": "strict"}}' ;;
esac
"""


@pytest.fixture
def conda(tmp_path) -> str:
    """A PATH with a conda that answers, and makes nothing."""
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands" / "conda").write_text(CONDA)
    (tmp_path / "commands" / "conda").chmod(0o755)
    return f"{tmp_path / 'commands'}{os.pathsep}{os.environ['PATH']}"
