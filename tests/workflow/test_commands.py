"""Every command in the README and in docs/ is run by a test: here, or in the one that is named."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.documents import ROOT, commands
from tests.workflow.conftest import Project

# What other tests, or the gate, run as it stands or on a smaller study: where, and a word of it that is there.
RUN_ELSEWHERE = {
    "python3 -m pip install uv && python3 -m uv run snakemake": (".github/workflows/demo.yml", "README.md"),
    "pytest": (".ci/run", "README.md"),
    "snakemake": ("tests/workflow/test_demo.py", "project.snakemake(*options"),
    "snakemake --report report.html": ("tests/workflow/test_demo.py", '"--report", "report.html"'),
    "snakemake --configfile mine.yaml -- mine_table1 report_own": ("tests/workflow/test_page.py", '"report_own"'),
    "PYTHONPATH=workflow/scripts uv run python -m phenoviews.status": (
        "tests/status/test_status.py",
        "from phenoviews.status.__main__ import main",
    ),
}
WATCHER = "watchfiles snakemake config.yaml config resources workflow"
# Those of docs/profiles.md: tests/profiles/test_command.py runs them as typed.
ALL = list(dict.fromkeys(command for page, command in commands() if page != "profiles.md"))
HERE = [command for command in ALL if command not in RUN_ELSEWHERE and command != WATCHER]


def test_a_command_that_is_run_elsewhere_is_there():
    for command, (file, word) in RUN_ELSEWHERE.items():
        assert command in ALL
        assert word in (ROOT / file).read_text(), f"{file} does not run {command}"
    assert WATCHER in ALL


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """With an `audit.yaml` of images that are there."""
    project = Project(tmp_path_factory.mktemp("project"))
    audit = "{dataset: photographs, start: cifar, method: simclr, backbone: resnet18, budget_gpu_hours: 6}"
    (project.folder / "audit.yaml").write_text(f"panels: {{mine: {{audit: {audit}}}}}\n")
    return project


@pytest.mark.parametrize("command", HERE)
def test_a_command_of_snakemake_has_a_plan(project, conda, command):
    """With a dry run in the place of the work, and a conda that answers. On a cluster of one table: the gate plans all
    of the papers' scale, which takes a while."""
    name, *arguments = shlex.split(command)
    assert name == "snakemake"
    dry = [] if {"-n", "--list-target-rules"} & set(arguments) else ["--dry-run"]
    table = ["--", "no_free_lunch_table1"] if "--profile" in arguments and "--" not in arguments else []
    done = project.snakemake(*dry, *arguments, *table, environment={"PATH": conda})
    assert done.returncode == 0, done.stdout[-3000:]
    assert "is on one page" not in done.stdout  # nothing has been made


def test_the_watcher_calls_again_when_a_file_is_saved(tmp_path):
    """With a stub in the place of `snakemake`, that notes each call."""
    folder, commands = tmp_path / "project", tmp_path / "commands"
    for place in (commands, *(folder / name for name in ("config", "resources", "workflow"))):
        place.mkdir(parents=True)
    (folder / "config.yaml").write_text("seeds: [5]\n")
    (commands / "snakemake").write_text(f"#!/bin/sh\necho called >> {tmp_path}/calls\n")
    (commands / "snakemake").chmod(0o755)
    path = f"{commands}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    watcher = subprocess.Popen(shlex.split(WATCHER), cwd=folder, env={**os.environ, "PATH": path})
    calls = tmp_path / "calls"

    def wait_for(count: int) -> None:
        while not calls.exists() or len(calls.read_text().splitlines()) < count:
            assert watcher.poll() is None, f"not called {count} times"
            time.sleep(0.1)

    try:
        wait_for(1)
        time.sleep(1)  # until it watches
        (folder / "workflow" / "caption.rst").write_text("A caption.\n")
        wait_for(2)
    finally:
        watcher.terminate()
        watcher.wait()
