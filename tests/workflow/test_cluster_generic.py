"""`snakemake --profile profiles/cluster-generic` with a stub in the place of a scheduler's command that submits."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from tests.documents import ROOT
from tests.workflow.conftest import TINY, Project

# It takes what PBS's takes: options, and the script last; notes them, starts the script, and prints a number.
QSUB = """#!/bin/sh
echo "$@" >> asked.txt
for script; do :; done
sh "$script" >> jobs.log 2>&1 &
echo "$$.stub"
"""
RUN = "results/demo/runs/digits/mnist_second/moco/vgg11/seed5"


def test_a_training_through_a_command_that_submits(project: Project):
    commands = project.folder / "commands"
    commands.mkdir()
    (commands / "qsub").write_text(QSUB)
    (commands / "qsub").chmod(0o755)
    options = ["--profile", "profiles/cluster-generic", "--latency-wait", "10", "--config", "scale=demo"]
    path = {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
    done = project.snakemake(*options, *project.lay_over(TINY), f"{RUN}/encoder.pt", environment=path)
    assert done.returncode == 0, done.stdout + (project.folder / "jobs.log").read_text()
    assert (project.folder / RUN / "run.yaml").exists()

    asked = {re.search(r"phenoviews\.(\w+)", line)[1]: line for line in (project.folder / "asked.txt").open()}
    assert list(asked) == ["data", "pretrain"]
    assert "ngpus=0 -l walltime=7200 " in asked["data"]  # two hours
    memory, minutes = re.search(r"mem=(\d+)mb:ngpus=1 -l walltime=(\d+) ", asked["pretrain"]).groups()
    assert 6000 <= int(memory) <= 7000
    assert int(minutes) >= 20 * 60


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("    job_state = R\n", "running"),
        ("    job_state = Q\n", "running"),
        ("    job_state = F\n    Exit_status = 0\n", "success"),
        ("    job_state = F\n    Exit_status = 271\n", "failed"),  # ended by the scheduler
        ("", "failed"),  # unknown to it
    ],
)
def test_the_command_that_asks_for_a_jobs_state(tmp_path, told, status):
    """That of docs/cluster.md, on what PBS's qstat prints."""
    (script,) = re.findall(r"```sh\n(#!/bin/sh\n.*?)```", (ROOT / "docs" / "cluster.md").read_text(), re.DOTALL)
    (tmp_path / "status").write_text(script)
    (tmp_path / "told").write_text(told)
    (tmp_path / "qstat").write_text(f'#!/bin/sh\ntest "$*" = "-x -f 17" && cat {tmp_path}/told\n')
    (tmp_path / "qstat").chmod(0o755)
    path = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["sh", tmp_path / "status", "17"], env=path, capture_output=True, text=True, check=True)
    assert done.stdout == f"{status}\n"
