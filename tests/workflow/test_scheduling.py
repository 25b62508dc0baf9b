"""When Snakemake looks for what may begin."""

from __future__ import annotations

import pytest

DATA = [f"results/data/{name}/images.npy" for name in ("digits", "photographs", "planted")]


@pytest.mark.parametrize("limit", [[], ["--max-jobs-per-timespan", "1/2s"]], ids=["default", "said"])
def test_what_waits_is_looked_for_when_a_job_ends(project, limit):
    """Of three data sets, one after the other, two wait. A limit of jobs per second that the user sets is kept."""
    done = project.snakemake("--cores", "1", "--verbose", *limit, "--", *DATA)
    assert done.returncode == 0, done.stdout[-3000:]
    looks = done.stdout.count("Ready jobs: ")
    assert looks > len(DATA) if limit else looks <= len(DATA)
