"""How a training ended. One that failed is a result, too: its measures are empty, with the reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from phenoviews.errors import UserError
from phenoviews.study.resolved import Training
from phenoviews.training.history import Row

EPOCHS = 3  # for which the spread is too small in a row before a training counts as collapsed


@dataclass(frozen=True)
class Outcome:
    """`what` stands in the `run.yaml` of a run as its `outcome`; a failure has a `remedy` to try."""

    what: str
    remedy: str | None = None


FINISHED = Outcome("finished")


def judged(history: Sequence[Row], training: Training) -> Outcome:
    """What the epochs so far say: `FINISHED` unless the training has failed, and no further step would mend it.

    It has failed with a loss that is not finite, and with a spread below `min_spread` in three epochs in a row after
    the warm-up.
    """
    if not history:
        return FINISHED
    last, recent = history[-1], history[-EPOCHS:]
    if last["loss"] is not None and not math.isfinite(last["loss"]):
        return not_a_number(last)
    warm = [row for row in recent if row["epoch"] >= training.warmup_epochs]
    if len(warm) == EPOCHS and max(row["spread"] for row in warm) < training.min_spread:
        return Outcome(
            f"collapsed in epoch {last['epoch']}, spread {last['spread']:.2g}",
            "lower training.lr, or use stronger transformations",
        )
    return FINISHED


def not_a_number(last: Row) -> Outcome:
    """Of a training whose loss or whose embeddings are not finite after the epoch `last`."""
    return Outcome(
        f"not a number in epoch {last['epoch']}, lr {last['lr']:g}",
        "lower training.lr, raise training.warmup_epochs or set training.precision: fp32",
    )


def failure(summary: str | Path) -> str | None:
    """What the `run.yaml` of a training says of its failure: the reason why there is nothing to measure; None of one
    that finished. Raises UserError where the file says nothing."""
    try:
        what = yaml.safe_load(Path(summary).read_text())["outcome"]
    except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
        raise UserError(f"{summary}: does not say how the training ended; delete it to train the run again") from error
    return None if what == FINISHED.what else str(what)
