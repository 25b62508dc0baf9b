"""Patches of the ten colour photographs that come inside scikit-image and scikit-learn: a class each; no network."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.data import pixels
from phenoviews.data.images import write
from phenoviews.errors import UserError

# Class: superclass, package and file. They are files of the packages themselves. What else `skimage.data` offers, it
# downloads when first asked for.
PHOTOGRAPHS = {
    "astronaut": ("living", "skimage", "data/astronaut.png"),
    "cat": ("living", "skimage", "data/chelsea.png"),
    "coffee": ("made", "skimage", "data/coffee.png"),
    "flower": ("living", "sklearn", "datasets/images/flower.jpg"),
    "galaxies": ("science", "skimage", "data/hubble_deep_field.jpg"),
    "motorcycle": ("made", "skimage", "data/motorcycle_left.png"),
    "retina": ("science", "skimage", "data/retina.jpg"),
    "rocket": ("made", "skimage", "data/rocket.jpg"),
    "temple": ("made", "sklearn", "datasets/images/china.jpg"),
    "tissue": ("science", "skimage", "data/ihc.png"),
}

# A photograph is cut into BLOCKS x BLOCKS blocks. Those of TEST (row, column) are for testing: one in each row and
# column, none beside another, so that they have of everything that is in the picture.
BLOCKS = 4
TEST = {(0, 1), (1, 3), (2, 0), (3, 2)}
# Pixels between what is trained on and what is tested on: as wide as the units in which JPEG encodes colour, so that
# no unit has pixels on both sides.
GAP = 16


def prepare(dataset: Mapping[str, Any], downloads: Mapping[str, Path], images: Path, index: Path) -> None:
    """Patches of `patch` x `patch` pixels, as they are in the photographs, of each class `train_per_class` and
    `test_per_class`, at different places that are drawn by `split_seed`.

    A patch lies within one block, GAP / 2 from its borders; patches of one split overlap. The index has the superclass,
    and as source "package/file x,y" of the upper left corner. `UserError` for a photograph that the installed package
    lacks, and for more or larger patches than it has room for.
    """
    counts = {"train": dataset["train_per_class"], "test": dataset["test_per_class"]}
    seed, patch = dataset.get("split_seed", 0), dataset["patch"]
    arrays, tables = [], []
    for label, (name, (superclass, package, file)) in enumerate(PHOTOGRAPHS.items()):
        photograph = _photograph(package, file)
        for split, count in counts.items():
            corners = places(photograph.shape[:2], patch, split)
            if len(corners) < count:
                raise UserError(
                    f"datasets: photographs: {name} has {len(corners)} places for {split} patches of {patch} pixels, "
                    f"{count} are asked for; lower `patch` or `{split}_per_class`"
                )
            # The test patches stay where they are when more are trained on.
            draw = np.random.default_rng([seed, label, list(counts).index(split)])
            chosen = corners[draw.choice(len(corners), count, replace=False)]
            arrays += [photograph[y : y + patch, x : x + patch] for y, x in chosen]
            sources = [f"{package}/{file} {x},{y}" for y, x in chosen]
            tables.append(
                pd.DataFrame(
                    {"split": split, "label": label, "class": name, "superclass": superclass, "source": sources}
                )
            )
    write(images, index, np.stack(arrays), pd.concat(tables, ignore_index=True))


def _photograph(package: str, file: str) -> np.ndarray:
    """(H, W, 3) uint8."""
    with as_file(files(package).joinpath(file)) as path:
        if not path.is_file():
            raise UserError(f"{package}: this version lacks {file}; install the one that uv.lock names")
        return pixels.read(path)


def places(shape: tuple[int, ...], patch: int, split: str) -> np.ndarray:
    """The upper left corners (n, 2), as y and x, of all patches of a split in a photograph of `shape` (H, W)."""
    edges = [np.linspace(0, side, BLOCKS + 1).astype(int) for side in shape]
    found = [np.empty((0, 2), dtype=int)]
    for block in np.ndindex(BLOCKS, BLOCKS):
        if (block in TEST) != (split == "test"):
            continue
        starts = [
            np.arange(edge[place] + GAP // 2, edge[place + 1] - GAP // 2 - patch + 1)
            for edge, place in zip(edges, block, strict=True)
        ]
        found.append(np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1).reshape(-1, 2))
    return np.concatenate(found)
