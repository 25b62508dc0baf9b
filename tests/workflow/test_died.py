"""What a user sees of a job that a signal ends, in Snakemake's own output."""

from __future__ import annotations

import pytest
from tests.workflow.conftest import Project

LOG = "results/logs/data/digits.log"
SEGV, KILL = "ctypes.string_at(0)", "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize(("name", "last"), [("SIGSEGV", SEGV), ("SIGKILL", KILL)])
def test_which_job_it_was_what_is_known_and_what_to_try(project: Project, name: str, last: str):
    reader = project.folder / "workflow/scripts/phenoviews/data/readers/digits.py"
    line = "    digits = load_digits()\n"
    assert line in reader.read_text()
    reader.write_text(reader.read_text().replace(line, f"    import ctypes, os, signal\n    {last}\n"))
    done = project.snakemake("results/data/digits/images.npy")
    assert done.returncode != 0
    assert f"died with <Signals.{name}" in done.stdout
    said = done.stdout[done.stdout.index(f"Logfile {LOG}") :]
    assert f"the job of {LOG} began at " in said
    assert f"- {name}" in said
    assert "The same command starts it again" in said
    assert ("readers/digits.py" in said) == (name == "SIGSEGV")  # the Python lines of a crash
