"""Embeddings are numbers."""

from __future__ import annotations

import numpy as np

from phenoviews.errors import Diverged


def check_finite(embeddings: np.ndarray) -> None:
    """Raise `Diverged` if an embedding holds NaN or infinity."""
    bad = ~np.isfinite(embeddings).all(axis=1)
    if bad.any():
        raise Diverged(
            f"{bad.sum()} of {len(bad)} embeddings hold NaN or infinity (first: number {bad.argmax()}): "
            "the training has diverged; lower `lr` or use precision: fp32"
        )
