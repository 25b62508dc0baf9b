"""The state of a study as text."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

from phenoviews.status.queue import Queued, summary
from phenoviews.status.states import (
    COLLAPSED,
    DONE,
    FAILS,
    INTERRUPTED,
    RUNNING,
    WAITING,
    State,
    Training,
    grouped,
)

MOST = 20  # lines of a list; how many more there are is told


def text(state: State, jobs: Sequence[Queued] | None) -> str:
    """What a person reads."""
    return "\n".join(_lines(state, jobs)) + "\n"


def _lines(state: State, jobs: Sequence[Queued] | None) -> Iterator[str]:
    begun = f", asked for {datetime.datetime.fromtimestamp(state.when):%Y-%m-%d %H:%M}" if state.when else ""
    yield f"{state.folder}{begun}"
    counts = {name: len(state.of(name)) for name in (DONE, COLLAPSED, RUNNING, INTERRUPTED, FAILS, WAITING)}
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count or name in (DONE, WAITING))
    yield f"{len(state.trainings):,} trainings: {said}"
    left = state.left_hours()
    if not state.when:
        yield "what was asked for is not noted here (no call of snakemake has begun): these are the runs that there are"
        ahead = "what is left is not known"
    elif left is None:
        ahead = "what is left is not known before a training has run; `snakemake plan` estimates it"
    else:
        ahead = f"about {_hours(left)} left"
    yield f"GPU-hours of trainings: {_hours(state.spent_hours)} spent, {ahead}"
    yield from _running(state)
    failed = [(one.name, one.line) for one in state.of(FAILS)]
    failed += [(str(one.log), one.line) for one in state.failed]
    yield from _list("failed", failed)
    yield from _list("collapsed, or not a number", [(one.name, one.line) for one in state.of(COLLAPSED)])
    interrupted = state.of(INTERRUPTED)
    yield from _list(
        "interrupted", [(one.name, "the next call goes on from its last checkpoint") for one in interrupted]
    )
    if jobs is not None:
        yield ""
        yield f"queue: {summary(list(jobs))}"


def _running(state: State) -> Iterator[str]:
    running = sorted(state.of(RUNNING), key=lambda one: one.left or 0)
    if running or state.others:
        yield ""
        yield "running"
    for one in running[:MOST]:
        yield f"  {one.name}: {_progress(one)}"
    if len(running) > MOST:
        yield f"  and {len(running) - MOST:,} more"
    for other in state.others[:MOST]:
        yield f"  {other['what']} of {other['run']}: epoch {other['epoch']} of {other['epochs']}, {other['host']}"


def _progress(one: Training) -> str:
    parts = [f"epoch {one.epoch} of {one.epochs}"]
    parts += ["" if one.loss is None else f"loss {one.loss:.4g}"]
    parts += ["" if one.images_per_s is None else f"{one.images_per_s:,.0f} images/s"]
    parts += ["begins" if one.left is None else "writes its embeddings" if one.left == 0 else f"{_time(one.left)} left"]
    return ", ".join(part for part in [*parts, one.host] if part)


def _list(heading: str, of: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Each line once, with what it is of."""
    if not of:
        return
    yield ""
    yield heading
    groups = grouped(of)
    for line, names in groups[:MOST]:
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        yield f"  {names[0]}{more}: {line}"
    if len(groups) > MOST:
        yield f"  and {sum(len(names) for _, names in groups[MOST:]):,} more, of other reasons"


def _hours(hours: float) -> str:
    return f"{hours:,.2f}" if hours < 10 else f"{hours:,.0f}"


def _time(seconds: float) -> str:
    minutes = seconds / 60
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
