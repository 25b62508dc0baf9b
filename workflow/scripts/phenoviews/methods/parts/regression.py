"""The squared distance of a prediction from its target, between their directions."""

from __future__ import annotations

from torch import Tensor

from phenoviews.methods.parts.float32 import in_float32, unit


@in_float32
def regression(predictions: Tensor, targets: Tensor) -> Tensor:
    """2 - 2·cos (Grill et al. 2020, equation 2) of predictions and targets (n, d): a scalar, mean over the n rows;
    targets get no gradient.

    Between 0, where they point in the same directions, and 4. Equals 2 + 2 · lightly's `NegativeCosineSimilarity`.
    """
    return 2 - 2 * (unit(predictions) * unit(targets).detach()).sum(dim=1).mean()
