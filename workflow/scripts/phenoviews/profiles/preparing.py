"""What profilers do to well profiles before they compare them: normalising by plate, and selecting features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from phenoviews.errors import UserError
from phenoviews.profiles.tables import CONTROL

# The deviation of the controls, so that it estimates the standard deviation of a normal distribution.
MAD = 1.4826
METHODS = ("mad", "standard")
# pycytominer's, in the order in which the JUMP consortium's recipe applies them.
SELECTIONS = ("drop_na_columns", "variance_threshold", "correlation_threshold", "blocklist", "drop_outliers")


def normalised(
    meta: pd.DataFrame, x: np.ndarray, names: Sequence[str], method: str
) -> tuple[np.ndarray, list[str], list[str]]:
    """Each plate's features relative to its controls: minus their median, by their median absolute deviation times
    1.4826 (`mad`, pycytominer's mad_robustize), or minus their mean, by their standard deviation (`standard`).

    Args:
        meta: one row per well, with plate and control.
        x: (wells, d), NaN where a well has no value.
        names: of the features.

    Returns:
        x, names: without the features that do not vary among the controls of some plate, where they have no scale.
        notes: which these are.

    Raises:
        UserError: a plate with fewer than two controls, no feature that varies.
    """
    if "Metadata_Plate" not in meta:
        raise UserError("normalising by plate: the table has no plates; name their column with --plate")
    found = np.array(x, dtype=np.float64)
    flat = np.zeros(found.shape[1], dtype=bool)
    for plate in meta["Metadata_Plate"].unique():
        rows = np.flatnonzero(meta["Metadata_Plate"] == plate)
        controls = rows[meta[CONTROL].to_numpy()[rows]]
        if len(controls) < 2:
            raise UserError(
                f"normalising by plate: plate {plate} has {len(controls)} wells of the negative control, and needs "
                "two; leave it out, or do not normalise"
            )
        of = found[controls]
        if method == "mad":
            centre = np.nanmedian(of, axis=0)
            scale = MAD * np.nanmedian(np.abs(of - centre), axis=0)
        else:
            centre, scale = np.nanmean(of, axis=0), np.nanstd(of, axis=0)
        none = ~(scale > 0)  # all NaN as well
        flat |= none
        found[rows] = (found[rows] - centre) / np.where(none, 1, scale)
    if flat.all():
        raise UserError(
            "normalising by plate: every feature is the same in the controls of some plate; there is no scale"
        )
    notes = []
    if flat.any():
        notes.append(
            f"{flat.sum()} of {len(flat)} features do not vary among the controls of a plate (first: "
            f"{names[int(flat.argmax())]}), have no scale there, and are left out"
        )
    return found[:, ~flat], [name for name, gone in zip(names, flat, strict=True) if not gone], notes


def selected(x: np.ndarray, names: Sequence[str], operations: Sequence[str]) -> tuple[np.ndarray, list[str], list[str]]:
    """The features that pycytominer's `feature_select` keeps, one operation after another, with its thresholds; but a
    feature that is NaN anywhere is dropped (its `na_cutoff` is 0), since nothing here can use it.

    Returns:
        x, names: of these; notes: how many each operation dropped.

    Raises:
        UserError: no pycytominer, no feature left.
    """
    try:
        from pycytominer import feature_select
    except ImportError as error:
        raise UserError(
            f"selecting features needs pycytominer ({error}); install it: uv pip install pycytominer"
        ) from None
    table, kept, notes = pd.DataFrame(x, columns=list(names)), list(names), []
    for operation in operations:
        before = kept
        try:
            table = feature_select(table, features=before, operation=operation, na_cutoff=0)
        except ValueError as error:  # scikit-learn's, where none varies
            raise UserError(f"selecting features: {operation}: {error}; leave it out of --select") from error
        left = set(table)
        kept = [name for name in before if name in left]
        if gone := [name for name in before if name not in left]:
            notes.append(f"{operation}: {len(gone)} of {len(before)} features dropped (first: {gone[0]})")
        if not kept:
            raise UserError(f"selecting features: {operation} leaves none of {len(before)}; leave it out of --select")
    place = {name: column for column, name in enumerate(names)}
    return x[:, [place[name] for name in kept]] if len(kept) < len(names) else x, kept, notes
