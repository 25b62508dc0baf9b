"""One clear line for what a person can put right."""

from __future__ import annotations

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
