"""A panel that is drawn before all of its runs are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def given(inputs: Mapping[str, Any], partial: Mapping[str, Any] | None) -> tuple[dict[str, Any], Mapping[str, str]]:
    """The files of a panel's job, and which of them are not there.

    Args:
        inputs: of the job, by their names: one file, or one for each run.
        partial: of a panel that lacks some, `files`, {name: one for each run, there or not}, and `absent`, {file: why
            it is not there}; None of a panel that lacks nothing.

    Returns:
        {name: as in `inputs`, but one for each run}, and {file: why it is not there}.
    """
    there = dict(inputs.items())
    if partial is None:
        return there, {}
    return {**there, **partial["files"]}, partial["absent"]
