"""What every job is: one line for what a person can put right, a traceback for all else, last words for what a signal
ends; and a quick start.

Scripts import this before anything else, and nothing else does. Where a process has been prepared for such jobs, that
runs the script (`prepared`), and this import does not return. Elsewhere Python does not look for garbage from here on
until `reported` begins: what scripts import makes a million objects that all stay, and looking through them again and
again took a fifth of a job's start.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from phenoviews import prepared
from phenoviews.errors import BEGAN, ERROR, FAILED, UserError

_STARTED = time.monotonic()
_ADDRESS = prepared.address()
prepared.begin(_ADDRESS)
gc.disable()


def leaves_copies() -> bool:
    """Whether later jobs like this one begin as copies of a process that has imported their libraries."""
    return _ADDRESS is not None


@contextlib.contextmanager
def reported(log: str | Path | None = None) -> Iterator[float]:
    """Run a script's body, which is told when the job began (`time.monotonic`); a `UserError` ends it with one line on
    stderr and in `log`, and exit status 1.

    A process that a signal ends can say nothing any more: until the body has ended, `log` holds what there is to say
    then, and Python's fault handler adds where it was. Snakemake shows it, like the log of every job that failed.
    """
    gc.freeze()  # what is imported by now stays
    prepared.leave(_ADDRESS)
    gc.enable()
    try:
        with _last_words(Path(log)) if log else contextlib.nullcontext():
            yield _STARTED
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
