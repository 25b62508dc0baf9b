"""How near an encoder puts two views of one image (Wang & Isola, ICML 2020, equation 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from phenoviews.data.pool import Resident, pool
from phenoviews.errors import NotMeasured
from phenoviews.training.embed import features
from phenoviews.training.subject import Subject
from phenoviews.values import table
from phenoviews.views import Transform

MOST = 2000  # images, spread evenly where there are more


def alignment(subject: Subject, sets: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The mean squared distance between the embeddings, of length one, of two views of each held-out image.

    The views are the same for all encoders, whatever each was trained with: by its own an encoder that sees none is
    aligned perfectly.

    Args:
        sets: of the transform that makes the views, as `Resolver.sets` has it; the first of them, if it is a sum.

    Returns:
        One value: alignment, from 0 (the views are one) to 4; unrelated ones are at 2.

    Raises:
        NotMeasured: an embedding is zero, and so has no direction, or not a number.
    """
    shown = subject.dataset
    held_out = pool(subject.images, shown.evaluated, subject.device)
    rows = torch.linspace(0, len(held_out) - 1, min(MOST, len(held_out)), dtype=torch.float64).round().long()
    images = Resident(held_out.take(rows))
    generator = torch.Generator(subject.device).manual_seed(subject.seed)
    first, second = (
        unit(features(subject.network, images, Transform(view, shown.size, shown.mean, shown.std), generator))
        for view in sets[0]["views"]
    )
    return table([{"metric": "alignment", "value": float((first - second).square().sum(dim=1).mean())}])


def unit(embeddings: Tensor) -> Tensor:
    """Embeddings (n, d) of length one, in double precision."""
    found = embeddings.double()
    length = found.norm(dim=1, keepdim=True)
    if not bool(torch.isfinite(found).all()) or not bool((length > 0).all()):
        raise NotMeasured("an embedding is zero or not a number, so it has no direction")
    unit: Tensor = found / length
    return unit
