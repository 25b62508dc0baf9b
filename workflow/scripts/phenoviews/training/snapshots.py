"""The encoders that a training had on its way, and their embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from phenoviews.errors import NotMeasured
from phenoviews.study.resolved import Embedding
from phenoviews.training.embed import State, embed

# {epochs done: the state dicts of encoder and projector}
Snapshots = dict[int, dict[str, State]]


def encoders(file: Path, folder: Path, epochs: Sequence[int] | None = None) -> Iterator[tuple[int, dict[str, Path]]]:
    """Encoders that a training had on its way, one after the other.

    Args:
        file: the training's `snapshots`.
        folder: for the files, of which only the latest are there.
        epochs: after how many each; all that were kept by default. A training that failed has none from there on.

    Yields:
        Epochs done, and the files of `encoder` and `projector`.

    Raises:
        NotMeasured: none is there.
    """
    # On the disk until they are used: those of a long training are a gigabyte.
    found: Snapshots = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    there = [number for number in (found if epochs is None else epochs) if number in found]
    if not there:
        why = (
            "no epoch that was trained is a multiple of the recipe's training.snapshot_epochs"
            if epochs is None
            else f"the training has none after {epochs} epochs"
        )
        raise NotMeasured(f"no weights on the way were kept: {why} ({file})")
    for number in there:
        files = {name: folder / f"{name}.pt" for name in found[number]}
        for name, weights in found[number].items():
            torch.save(weights, files[name])
        yield number, files


def embedded(
    run: Embedding,
    data: Path,
    file: Path,
    folder: Path,
    epochs: Sequence[int] | None = None,
    threads: int | None = None,
) -> Iterator[tuple[int, dict[str, Path]]]:
    """As `encoders`, with the file of their `embeddings` besides, which are as `embed` writes them."""
    for number, files in encoders(file, folder, epochs):
        out = folder / "embeddings.npy"
        embed(run, data, files["encoder"], files["projector"], out, threads)
        yield number, {**files, "embeddings": out}
