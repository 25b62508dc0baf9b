"""What the study ships, for benchmarks of it."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

from phenoviews.study import Study
from phenoviews.study.document import shipped


@functools.cache
def study() -> Study:
    return Study(shipped())


def pipeline(name: str) -> list[dict]:
    """The operations of a transform of the study, complete with defaults; those of its first view."""
    return study().sets(name)[0]["views"][0]
