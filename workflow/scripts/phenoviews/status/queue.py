"""What Slurm's queue says of our jobs, where there is one."""

from __future__ import annotations

import getpass
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass

PATIENCE = 10.0  # seconds
RULE = "rule_"  # how Snakemake's plugin begins the comment of a job


@dataclass(frozen=True)
class Queued:
    """A job of ours: its id, its state (RUNNING, PENDING …), why it waits, and the comment that says what it is."""

    id: str
    state: str
    reason: str
    comment: str


def queued() -> list[Queued] | None:
    """Our jobs in Slurm's queue; None where there is no Slurm, or it does not answer."""
    if not shutil.which("squeue"):
        return None
    command = ["squeue", "--noheader", f"--user={getpass.getuser()}", "--format=%i|%T|%r|%k"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return parsed(found)


def parsed(lines: str) -> list[Queued]:
    """Those lines of squeue that are of Snakemake's jobs."""
    jobs = [Queued(*line.split("|", 3)) for line in lines.splitlines() if line.count("|") >= 3]
    return [job for job in jobs if job.comment.startswith(RULE)]


def running(jobs: list[Queued] | None) -> list[str]:
    """The comments of those that run."""
    return [job.comment for job in jobs or () if job.state in ("RUNNING", "COMPLETING")]


def summary(jobs: list[Queued]) -> str:
    """The jobs by their states, and why they wait: "3 running, 97 pending (90 Resources, 7 Priority)"."""
    states = Counter(job.state for job in jobs)
    parts = []
    for state, count in states.most_common():
        reasons = Counter(job.reason for job in jobs if job.state == state and job.reason not in ("None", ""))
        why = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common(3))
        parts.append(f"{count:,} {state.lower()}" + (f" ({why})" if why else ""))
    return ", ".join(parts) or "no jobs of ours"
