"""One clear line for what a person can put right; a traceback for everything else."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path


class UserError(Exception):
    """Bad input or a missing resource. The message is one line: what is wrong, in which file or under which
    config key, and what to do about it."""

    def __init__(self, message: str):
        super().__init__(" ".join(str(message).split()))


class NotMeasured(UserError):
    """There is nothing to measure: no encoder, a training that failed, an output that allows no such measure. That is a
    result, and the message is the reason that stands in the place of values."""


@contextlib.contextmanager
def reported(log: str | Path | None = None) -> Iterator[None]:
    """Run a script's body; a `UserError` ends it with one line on stderr and in `log`, and exit status 1."""
    try:
        yield
    except UserError as error:
        line = f"phenoviews: error: {error}"
        print(line, file=sys.stderr, flush=True)
        if log:
            with Path(log).open("a") as stream:
                stream.write(line + "\n")
        sys.exit(1)
