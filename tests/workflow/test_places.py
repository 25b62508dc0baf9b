"""A checkout in folders of any name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.workflow.conftest import Project

IMAGES = "results/data/digits/images.npy"


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="needs a virtual environment to link to")
def test_a_checkout_in_a_folder_with_blanks_umlauts_and_quotes(tmp_path):
    """With its environment in it, as uv makes it."""
    project = Project(tmp_path / "OneDrive - it's für (uns)")
    (project.folder / ".venv").symlink_to(sys.prefix)
    python = project.folder / ".venv" / "bin" / Path(sys.executable).name
    done = subprocess.run(
        [python, "-m", "snakemake", IMAGES], cwd=project.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (project.folder / IMAGES).exists()


def test_braces_in_the_path_of_a_checkout_are_refused_in_one_line(tmp_path):
    project = Project(tmp_path / "my {project}")
    done = project.snakemake("-n", IMAGES)
    assert done.returncode != 0
    assert f"phenoviews: {project.folder}: Snakemake takes braces in this path for wildcards" in done.stdout
    assert "Traceback" not in done.stdout
