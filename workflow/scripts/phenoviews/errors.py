"""One clear line for what a person can put right, a traceback for all else, and last words for what a signal ends."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# How the log of a job begins that failed, by what a person can put right or by a fault of ours; and of one that runs,
# or was ended by a signal.
ERROR, FAILED, BEGAN = "phenoviews: error: ", "phenoviews: failed: ", "phenoviews: the job of "


# How the reason begins of a number that is not there, but may yet come.
NOT_YET = "not there yet"


class UserError(Exception):
    """Bad input or a missing resource. The message is one line: what is wrong, in which file or under which
    config key, and what to do about it."""

    def __init__(self, message: str):
        super().__init__(" ".join(str(message).split()))


class NotMeasured(UserError):
    """There is nothing to measure: no encoder, a training that failed, an output that allows no such measure. That is a
    result, and the message is the reason that stands in the place of values."""


class Diverged(UserError):
    """What a network makes of the images is not a number."""


@contextlib.contextmanager
def reported(log: str | Path | None = None) -> Iterator[None]:
    """Run a script's body; a `UserError` ends it with one line on stderr and in `log`, and exit status 1.

    A process that a signal ends can say nothing any more: until the body has ended, `log` holds what there is to say
    then, and Python's fault handler adds where it was. Snakemake shows it, like the log of every job that failed.
    """
    try:
        with _last_words(Path(log)) if log else contextlib.nullcontext():
            yield
    except UserError as error:
        line = f"{ERROR}{error}"
        print(line, file=sys.stderr, flush=True)
        if log:
            Path(log).write_text(line + "\n")
        sys.exit(1)
    except Exception as error:
        if log:  # the traceback goes to stderr
            what = " ".join(str(error).split())
            Path(log).write_text(f"{FAILED}{type(error).__name__}: {what}\n")
        raise


@contextlib.contextmanager
def _last_words(log: Path) -> Iterator[None]:
    """In `log`, for as long as this lasts, what is to be read if the process ends without another word."""
    words = f"""\
{BEGAN}{log} began at {time.strftime("%Y-%m-%d %H:%M:%S")} on {platform.node()}, process \
{os.getpid()}. If it runs no more, a signal has ended it, which Snakemake or your cluster's scheduler names:
- SIGKILL: it was stopped from outside, mostly by the system for want of memory. Run fewer jobs at once (--cores 1), \
lower batch_size, or on a cluster ask for more (--set-resources RULE:mem_mb=64000).
- SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL: a crash in a library, at the Python lines below. Try another instruction \
set (ONEDNN_MAX_CPU_ISA=AVX2), and report it with these lines.
- SIGTERM: it was cancelled, or its time was over (--set-resources RULE:runtime=600, in minutes).
The same command starts it again; a training goes on from its last checkpoint.
"""
    with log.open("w") as stream:
        with contextlib.suppress(OSError):  # a full disk has its own error where it matters
            stream.write(words)
            stream.flush()
        faulthandler.enable(stream)
        try:
            yield
        finally:
            faulthandler.disable()
            log.unlink(missing_ok=True)
