"""The data sets of docs/findings.md, from files that are not in the repository.

    python docs/real_data.py ../shared/data ..

writes four .npz files, as `kind: folder` reads them, into the second folder; the same ones every time.

    mnist-part          the first 10,000 training images of MNIST, and all 10,000 test images
    taxol-by-cell       BBBC021's cells under taxol and as many under DMSO, of which 30 % are the test
    taxol-by-well       the same cells, split by whole wells: no test cell has a neighbour in training
    taxol-same-plates   the test: taxol and DMSO of the same plates, as many of either on each; the rest trains

Cells are scaled to 8 bits between the 0.5th and the 99.9th percentile of each channel over all cells, not by plate.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pandas as pd

TEST = 0.3


def idx(file: Path) -> np.ndarray:
    """An idx file of bytes: images (n, 28, 28) or labels (n,)."""
    content = gzip.decompress(file.read_bytes())
    sizes = np.frombuffer(content, ">i4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(sizes)).reshape(sizes)


def mnist(folder: Path, train: int = 10_000) -> dict[str, np.ndarray]:
    images, labels, tests, truth = (
        idx(folder / f"{part}-{what}-ubyte.gz") for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
    )
    split = np.repeat(["train", "test"], [train, len(tests)])
    return {
        "images": np.concatenate([images[:train], tests]),
        "labels": np.concatenate([labels[:train], truth]),
        "split": split,
    }


def cells(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """cells.csv without what is there twice, and images (n, 68, 68, 3) uint8: DAPI, actin, tubulin."""
    table = pd.read_csv(folder / "cells.csv")
    table = table[table["also_in"].isna()].reset_index(drop=True)
    of = {name: np.load(folder / f"cells-{name}.npz")["images"] for name in table["source"].unique()}
    raw = np.stack([of[name][row] for name, row in zip(table["source"], table["row"], strict=True)]).astype(np.float32)
    low, high = np.percentile(raw, [0.5, 99.9], axis=(0, 1, 2))
    return table, np.round(255 * np.clip((raw - low) / (high - low), 0, 1)).astype(np.uint8)


def same_plates(table: pd.DataFrame) -> np.ndarray:
    """Rows (n,) bool: on each plate as many cells under taxol as under DMSO, of the cells that were drawn from all
    plates alike."""
    chosen = np.zeros(len(table), dtype=bool)
    for _, plate in table[table["source"] == "mikkelnrasmussen"].groupby("plate"):
        rows = [plate.index[plate["compound"] == name] for name in ("DMSO", "taxol")]
        for some in rows:
            chosen[some[: min(map(len, rows))]] = True
    return chosen


def by_well(table: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Rows (n,) bool: whole wells of each compound, until `TEST` of its cells are chosen."""
    chosen = np.zeros(len(table), dtype=bool)
    for _, of in table.groupby("compound"):
        wells = of.groupby(["plate", "well"]).indices
        keys = list(wells)
        for number in rng.permutation(len(keys)):
            rows = of.index[wells[keys[number]]]
            if chosen[of.index].sum() + len(rows) <= TEST * len(of) + 1:
                chosen[rows] = True
    return chosen


def taxol(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    table, images = cells(folder)
    kept = table["compound"].isin(["DMSO", "taxol"])
    table, images = table[kept].reset_index(drop=True), images[kept]
    rng = np.random.default_rng(0)
    matched = same_plates(table)
    rest = np.flatnonzero(~matched)
    treated = rest[table["compound"][rest] == "taxol"]
    untreated = rng.choice(rest[table["compound"][rest] == "DMSO"], len(treated), replace=False)
    used = np.sort(np.concatenate([treated, untreated]))
    half = table.loc[used].reset_index(drop=True)
    by_cell = half.groupby("compound")["row"].transform(lambda of: rng.permutation(len(of)) < TEST * len(of))
    tests = {"taxol-by-cell": by_cell.to_numpy(bool), "taxol-by-well": by_well(half, rng)}
    found = {
        name: {
            "images": images[used],
            "labels": half["compound"].to_numpy(str),
            "split": np.where(test, "test", "train"),
        }
        for name, test in tests.items()
    }
    both = np.concatenate([used, np.flatnonzero(matched)])
    found["taxol-same-plates"] = {
        "images": images[both],
        "labels": table["compound"].to_numpy(str)[both],
        "split": np.repeat(["train", "test"], [len(used), matched.sum()]),
    }
    return found


if __name__ == "__main__":
    source, out = map(Path, sys.argv[1:])
    for name, arrays in {"mnist-part": mnist(source / "mnist"), **taxol(source / "bbbc021")}.items():
        np.savez_compressed(out / f"{name}.npz", **arrays)
        counts = pd.Series(arrays["labels"].astype(str)).groupby(arrays["split"]).value_counts().unstack(0)
        print(f"{name}: {counts['train'].sum()} training, {counts['test'].sum()} test images", flush=True)
        if name != "mnist-part":
            print(counts.to_string())
