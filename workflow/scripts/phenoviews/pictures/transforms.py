"""What a transform makes of a few images of its data set, drawn by the code that trains with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from phenoviews.data.images import BRIGHTEST, Images
from phenoviews.data.pool import pool, with_statistics
from phenoviews.files import atomic, write_json
from phenoviews.panels.figures.nearest import paint
from phenoviews.views import Transform

SHOWN = 8  # images
SIDE = 96  # pixels, at least, that an image is drawn with: whole pixels of it, each several wide
GAP = 4
EVALUATION: list[dict[str, dict[str, Any]]] = [{"normalize": {}}]


def draw(
    folder: Path,
    looks: Sequence[Mapping[str, Any]],
    dataset: Mapping[str, Any],
    paints: Mapping[str, str],
    seed: int,
    out: Path,
) -> None:
    """Write into the folder `out` pictures of the same eight images under each of `looks`, and `index.json`.

    Args:
        folder: of the data set.
        looks: as from `study.looks.transforms`: sets, and the names that they go by.
        dataset: size, mean and std as the study has them.
        paints: the colour of each channel; empty for grey and RGB.
        seed: of the draws.

    index.json lists, for each look, its names and rows: {label, file}. Values that a transform takes beyond black or
    white are cut off there. The images are spread evenly over the training split.
    """
    images = Images.open(folder)
    shown = with_statistics(images, dataset)
    training = pool(images, "train", "cpu")
    chosen = torch.linspace(0, len(training) - 1, min(SHOWN, len(training))).round().long()
    pixels = training.take(chosen)
    plain = values(pixels, EVALUATION, shown, torch.Generator())
    white = np.percentile(plain, BRIGHTEST, axis=(0, 1, 2)).clip(1e-6) if pixels.dtype == torch.uint16 else 1.0
    out.mkdir(parents=True, exist_ok=True)
    index = []
    for number, look in enumerate(looks):
        generator = torch.Generator().manual_seed(seed)
        rows = []
        for place, (label, row) in enumerate(
            [("As they are", plain), *views(pixels, look["sets"], shown, generator)],
        ):
            file = f"{number}-{place}.png"
            with atomic(out / file) as partial:
                Image.fromarray(strip(paint((row / white).clip(0, 1), paints))).save(partial)
            rows.append({"label": label, "file": file})
        index.append({"names": look["names"], "sets": look["sets"], "rows": rows})
    write_json(out / "index.json", index)


def views(
    pixels: Tensor, sets: Sequence[Mapping[str, Any]], shown: Mapping[str, Any], generator: torch.Generator
) -> list[tuple[str, np.ndarray]]:
    """Both views of images (n, C, H, W) under each set of a transform: what the row is called, and `values`."""
    found = []
    for number, one in enumerate(sets):
        of = f"Set {number + 1} of weight {one['weight']:g}, " if len(sets) > 1 else ""
        for name, pipeline in zip(("first", "second"), one["views"], strict=True):
            label = f"{of}{name} view"
            found.append((label[0].upper() + label[1:], values(pixels, pipeline, shown, generator)))
    return found


def values(
    pixels: Tensor, pipeline: Sequence[Mapping[str, Any]], shown: Mapping[str, Any], generator: torch.Generator
) -> np.ndarray:
    """One view of each image as the network is given it, but for the normalisation: (n, size, size, C) in [0, 1]."""
    view = Transform(pipeline, shown["size"], shown["mean"], shown["std"])(pixels, generator)
    mean, std = (torch.tensor(list(shown[key])).view(1, -1, 1, 1) for key in ("mean", "std"))
    found: np.ndarray = (view * std + mean).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    return found


def strip(images: np.ndarray) -> np.ndarray:
    """Images (n, H, W, 3) in [0, 1] side by side with white gaps, enlarged by a whole number: (h, w, 3) uint8."""
    factor = max(1, -(-SIDE // images.shape[1]))
    large = np.rint(images * 255).astype(np.uint8).repeat(factor, axis=1).repeat(factor, axis=2)
    gap = np.full((large.shape[1], GAP, 3), 255, np.uint8)
    parts = [part for image in large for part in (gap, image)]
    return np.concatenate(parts[1:], axis=1)
