"""Locks of a killed Snakemake go, those of a living one stay."""

from __future__ import annotations

import subprocess
import sys

import pytest

from phenoviews.study.locks import clear_stale


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "0.output.lock").touch()
    return tmp_path


def locked(folder):
    return (folder / "locks" / "0.output.lock").exists()


def test_locks_that_nobody_holds_are_removed(folder):
    assert clear_stale(folder) is not None
    assert not locked(folder)


def test_locks_stay_while_another_lives_and_go_when_it_is_killed(folder, root):
    program = (
        "import pathlib, sys, time; from phenoviews.study.locks import clear_stale;"
        "alive = clear_stale(pathlib.Path(sys.argv[1])); print(flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], cwd=root / "workflow/scripts", stdout=subprocess.PIPE
    )
    try:
        other.stdout.readline()
        (folder / "locks").mkdir()
        (folder / "locks" / "0.output.lock").touch()
        mine = clear_stale(folder)
        assert locked(folder)
        mine.close()
    finally:
        other.kill()
        other.wait()
    clear_stale(folder)
    assert not locked(folder)
