"""Snakemake's locks are files, so they outlive a Snakemake that was killed; the kernel's do not."""

from __future__ import annotations

import fcntl
import shutil
import sys
from pathlib import Path
from typing import IO


def clear_stale(folder: Path) -> IO[str] | None:
    """Remove the locks under `folder` (Snakemake's `.snakemake`) if no living Snakemake can have made them.

    Every Snakemake holds a shared kernel lock on one file while it lives; whoever gets it exclusively is alone. Keep
    the returned file open: it is this process's sign of life. None where the file system has no locks, and then
    nothing is removed.
    """
    folder.mkdir(exist_ok=True)
    alive = (folder / "alive").open("a")
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        locks = folder / "locks"
        if locks.is_dir() and any(locks.iterdir()):
            shutil.rmtree(locks)
            print("phenoviews: removed the locks of a snakemake that was killed", file=sys.stderr)
    except BlockingIOError:
        pass  # another Snakemake lives: the locks may be its
    except OSError:
        return None
    fcntl.flock(alive, fcntl.LOCK_SH)
    return alive
