"""`snakemake --profile slurm` against a real Slurm (tests/workflow/start-slurm.sh), with pretended GPUs."""

from __future__ import annotations

import re
import shutil
import subprocess
import time

import numpy as np
import pytest
import yaml
from tests.workflow.conftest import TINY


def slurm(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def reachable() -> bool:
    if not shutil.which("sinfo"):
        return False
    return subprocess.run(["sinfo", "--noheader"], capture_output=True, timeout=20, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not reachable(), reason="no Slurm here; tests/workflow/start-slurm.sh starts one")


def jobs_of(project, *states: str) -> list[list[str]]:
    """[id, comment, folder] of the project's jobs in the queue."""
    chosen = [f"--states={','.join(states)}"] if states else []
    lines = slurm("squeue", "--noheader", "--format=%i|%k|%Z", *chosen).splitlines()
    return [job for job in (line.split("|") for line in lines) if job[2] == str(project.folder)]


def wait_for(condition, process: subprocess.Popen):
    """The first true value of `condition` while the process runs, however long that takes."""
    while process.poll() is None:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"ended before: {process.stdout.read()}")


def test_a_table_on_slurm_with_a_training_cancelled_on_the_way(project):
    """Every training has a GPU of its own; one that is cancelled is submitted again and goes on where it was."""
    recipe = {**TINY["recipes"]["mnist"], "training": {"epochs": 12, "checkpoint_minutes": 0.005}}
    patch = project.lay_over({**TINY, "recipes": {"mnist": recipe}})
    quick = ["--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "10", "--slurm-keep-successful-logs"]
    process = project.start("--profile", "slurm", *quick, "--config", "scale=demo", *patch, "no_free_lunch_table1")
    try:
        checkpoints = project.folder / "results/demo/checkpoints"

        def all_saved():
            """The running trainings, once each has a checkpoint."""
            # The comment of a job names its rule and wildcards.
            running = [job for job, comment, _ in jobs_of(project, "RUNNING") if "pretrain" in comment]
            return running if 0 < len(running) <= len(list(checkpoints.glob("[!.]*.pt"))) else []

        trainings = wait_for(all_saved, process)
        assert all(
            re.search(r"TresPerJob=gres[:/]gpu[:=]1\b", slurm("scontrol", "show", "job", job)) for job in trainings
        )
        cancelled = max(trainings, key=int)  # the last to have begun
        slurm("scancel", cancelled)
        output, _ = process.communicate()
    finally:
        process.kill()
        for job, *_ in jobs_of(project):
            slurm("scancel", job)
    assert process.returncode == 0, output
    assert (project.folder / "results/demo/panels/no_free_lunch/table1.md").exists()

    assert "CANCELLED" in slurm(
        "sacct", "--noheader", "--allocations", "--parsable2", "--format=State", "-j", cancelled
    )
    logs = "".join(file.read_text() for file in (project.folder / ".snakemake/slurm_logs").rglob("*.log"))
    assert "going on from step" in logs


def test_short_measures_share_a_job_and_one_run_that_changes_is_measured_alone(project):
    """Clusters of two encoders, a measure of each and a map: five measures, one Slurm job. Then the embeddings of one
    change, and only what is measured of them is measured again."""
    runs = {"dataset": "digits", "transform": "plain", "method": "untrained", "backbone": ["vgg11", "resnet18"]}
    table = {"title": "Two", "runs": runs, "metrics": ["ami", "thickness_by_cluster"], "clusters": 10}
    panels = {
        "table": {**table, "rows": ["backbone"], "columns": ["metric"]},
        "map": {"title": "A map", "plot": "tsne", "runs": {**runs, "backbone": "vgg11"}, "clusters": 10},
    }
    small = {"backbones": {name: {"width": 0.125} for name in runs["backbone"]}, "methods": {"untrained": {"size": 32}}}
    (project.folder / "shared.yaml").write_text(yaml.safe_dump({"seeds": [5], **small, "panels": {"shared": panels}}))
    call = ["--profile", "slurm", "--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "10"]
    call += ["--slurm-keep-successful-logs", "--config", "scale=demo", "--configfile", "shared.yaml", "--", "shared"]

    def bundles() -> int:
        return len(list((project.folder / ".snakemake/slurm_logs").glob("group_*/**/*.log")))

    done = project.snakemake(*call)
    assert done.returncode == 0, done.stdout
    measures = sorted((project.folder / "results/demo/runs").glob("*/*/*/*/*/measures/*.parquet"))
    assert len(measures) == 4
    assert bundles() == 1

    before = {file: file.stat().st_mtime_ns for file in measures}
    (embeddings,) = (project.folder / "results/demo/runs").glob("*/*/*/resnet18/*/embeddings/encoder.npy")
    np.save(embeddings, 2 * np.load(embeddings))  # of small files it is the content that counts, not the time
    done = project.snakemake(*call)
    assert done.returncode == 0, done.stdout
    again = {file for file in measures if file.stat().st_mtime_ns != before[file]}
    assert again == {file for file in measures if "/resnet18/" in str(file)}
    assert bundles() == 2
