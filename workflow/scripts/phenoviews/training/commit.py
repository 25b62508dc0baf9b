"""Which state of this repository a training was made by."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[4]


def commit(folder: Path = ROOT) -> str | None:
    """The commit of the repository that a folder is the root of, with "-dirty" where files differ from it; None where
    there is no repository (a folder that was unpacked) or no git."""
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
