from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

LOG = "results/demo/runs/digits/plain/moco/vgg11/seed0/logs/pretrain.log"


def run(root: Path, folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """A script with this body in a process of its own, as Snakemake runs one."""
    (folder / LOG).parent.mkdir(parents=True)
    lines = ["import ctypes, os, signal, sys, time", "from phenoviews.job import UserError, reported",
             f"with reported({LOG!r}):", f"    {body}"]  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=folder,
        env={"PYTHONPATH": str(root / "workflow/scripts")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("body", "died"),
    [
        ("ctypes.string_at(0)", signal.SIGSEGV),
        ("os.abort()", signal.SIGABRT),
        ("os.kill(os.getpid(), signal.SIGKILL)", signal.SIGKILL),
        ("os.kill(os.getpid(), signal.SIGTERM)", signal.SIGTERM),
    ],
)
def test_what_a_signal_ends_leaves_its_last_words(root: Path, tmp_path: Path, body: str, died: signal.Signals):
    done = run(root, tmp_path, body)
    assert done.returncode == -died
    first, *more = (tmp_path / LOG).read_text().splitlines()
    assert first.startswith(f"phenoviews: the job of {LOG} began at ")
    assert any(line.startswith("- ") and died.name in line for line in more)
    crashed = died in (signal.SIGSEGV, signal.SIGABRT)
    assert any(line.startswith("Fatal Python error") for line in more) == crashed
    assert any('File "<string>", line 4' in line for line in more) == crashed


@pytest.mark.parametrize(("body", "status"), [("pass", 0), ("sys.exit(143)", 143)])
def test_what_ends_by_itself_leaves_none(root: Path, tmp_path: Path, body: str, status: int):
    done = run(root, tmp_path, body)
    assert done.returncode == status
    assert not (tmp_path / LOG).exists()


def test_a_fault_of_the_program_leaves_its_line_and_tells_where(root: Path, tmp_path: Path):
    done = run(root, tmp_path, "raise ValueError('a fault\\nof the program')")
    assert done.returncode == 1
    assert (tmp_path / LOG).read_text() == "phenoviews: failed: ValueError: a fault of the program\n"
    assert "Traceback" in done.stderr


def test_what_the_user_can_put_right_is_one_line(root: Path, tmp_path: Path):
    done = run(root, tmp_path, "raise UserError('config.yaml: a line\\nand another')")
    assert done.returncode == 1
    assert done.stderr == (tmp_path / LOG).read_text() == "phenoviews: error: config.yaml: a line and another\n"
