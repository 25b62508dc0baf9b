from __future__ import annotations

import subprocess
from pathlib import Path

from phenoviews.training.commit import commit


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout


def test_the_commit_of_a_folder(tmp_path: Path):
    assert commit(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    (tmp_path / "code.py").write_text("1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    git(tmp_path, "tag", "-a", "v1", "-m", "a tag that is no commit")
    known = git(tmp_path, "rev-parse", "HEAD")[:12]
    assert commit(tmp_path) == known
    (tmp_path / "code.py").write_text("2\n")
    assert commit(tmp_path) == f"{known}-dirty"
    (tmp_path / "below").mkdir()
    assert commit(tmp_path / "below") is None
