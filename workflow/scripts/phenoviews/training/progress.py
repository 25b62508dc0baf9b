"""All steps of a training that are left, as a job does them: watched, saved, and ended in time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tqdm import tqdm

from phenoviews.training.checkpoint import Termination
from phenoviews.training.history import History
from phenoviews.training.live import Live
from phenoviews.training.loop import Steps
from phenoviews.training.outcome import FINISHED, Outcome, judged


def all_steps(
    trainer: Steps,
    history: History,
    name: str,
    end_epoch: Callable[[int, float], None],
    save: Callable[[], None],
    live: Live,
    termination: Termination,
) -> Outcome:
    """Do the steps that are left, with a progress bar; fewer where the training fails.

    Args:
        name: of the run, for the bar.
        end_epoch: is called as an epoch ends, with its number and its last learning rate, and adds its row to
            `history`.
        save: writes a checkpoint: every `training.checkpoint_minutes`, after the last step, and before the process
            ends on SIGTERM or SIGINT (SystemExit 143, 130).
        live: is told how far it is.
    """
    training = trainer.training
    # Reading the loss waits for the device: twice a second for a person, twice a minute for a log file.
    refresh = 0.5 if sys.stderr.isatty() else 30.0
    saved = shown = time.monotonic()
    start_step, start = trainer.step, saved
    outcome = judged(history.rows, training)
    live.tell(trainer, history.rows, None, None)
    with tqdm(total=trainer.steps, initial=trainer.step, desc=name, unit="step", mininterval=0) as bar:
        while outcome == FINISHED and trainer.step < trainer.steps:
            epoch, lr = trainer.epoch, trainer.lr
            history.add(trainer.advance(), trainer.observed)
            now = time.monotonic()
            if now - shown > refresh or trainer.step == trainer.steps:
                mean, rate = history.mean_loss(), (trainer.step - start_step) * trainer.batch / (now - start)
                loss_so_far = "no loss" if mean is None else f"loss {mean:.4g}"
                bar.set_postfix_str(f"{loss_so_far}, {rate:.0f} images/s", refresh=False)
                bar.update(trainer.step - bar.n)
                shown = now
                live.tell(trainer, history.rows, mean, rate)
            if trainer.step % trainer.steps_per_epoch == 0:
                end_epoch(epoch, lr)
                outcome = judged(history.rows, training)
            # After the last step too: what follows, such as the embeddings of a large set, may take long, and a kill
            # there costs only that.
            ended = outcome != FINISHED or trainer.step == trainer.steps
            if termination.requested or now - saved > 60 * training.checkpoint_minutes or ended:
                save()
                saved = time.monotonic()
            if termination.requested:
                raise SystemExit(termination.status)
    return outcome
