"""What a backbone is, found by building it and showing it one image: for the plan, which imports no torch itself.

    python -m phenoviews.models.look < asked.json > found.json

A process of its own, see `phenoviews.study.at_hand`. Asked is a list of `{"backbone", "channels", "weights"}`, found a
list of what `look` returns, or `{"error": its line}`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from phenoviews.errors import UserError
from phenoviews.models import of_timm
from phenoviews.models.backbones import build


def look(backbone: Mapping[str, Any], channels: int, weights: str | None) -> dict[str, float]:
    """Build a backbone of kind timm as a job would, on the CPU, and show it an empty image.

    Returns:
        `gmacs`: 1e9 multiply-adds of an image, as of 32 × 32 pixels; `millions` of parameters; `dim`: the length of its
        features.

    Raises:
        UserError: no such model, weights that do not fit, images that it does not take.
    """
    size = backbone["size"]
    entry = dict(backbone) if weights else {**backbone, "init": "random"}
    model = build(entry, Path(weights) if weights else None, channels).eval()
    images = torch.zeros(1, channels, size, size)
    counter = FlopCounterMode(display=False)
    try:
        with counter:
            features = model(images)
    except Exception as error:  # each family of models has errors of its own
        raise of_timm.cannot(backbone["model"], size, channels, error) from error
    if tuple(features.shape) != (1, model.dim):
        raise UserError(
            f"backbone model: timm's {backbone['model']} gives no vector of {model.dim} features for an image but "
            f"{tuple(features.shape[1:])}; take another model"
        )
    return {
        "gmacs": counter.get_total_flops() / 2e9 / (size / 32) ** 2,
        "millions": sum(one.numel() for one in model.parameters()) / 1e6,
        "dim": model.dim,
    }


def _answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return look(**asked)
    except UserError as error:
        return {"error": str(error)}


if __name__ == "__main__":
    out, sys.stdout = sys.stdout, sys.stderr  # what a library says is no answer
    # At once: a library that leaks at its end may keep the stream from ever being closed.
    print(json.dumps([_answer(one) for one in json.load(sys.stdin)]), file=out, flush=True)
