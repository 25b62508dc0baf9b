"""What is measured of the encoders that a training had on its way, as it is of the last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from phenoviews import values
from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured
from phenoviews.measures.embedded import EMBEDDED
from phenoviews.study.metrics import BY_EPOCH
from phenoviews.study.metrics import measured as metrics_of
from phenoviews.study.resolved import Embedding, Probe
from phenoviews.training.embed import Snapshots, embed, loader
from phenoviews.training.encoded import ENCODED, subject
from phenoviews.training.probe import probe


def encoders(file: Path, epochs: Sequence[int], folder: Path) -> Iterator[tuple[int, dict[str, Path]]]:
    """Encoders that a training had on its way, one after the other.

    Args:
        file: the training's `snapshots`.
        epochs: after how many each. A training that failed has none from there on.
        folder: for the files, of which only the latest are there.

    Yields:
        Epochs done, and the files of `encoder` and `projector`.

    Raises:
        NotMeasured: none is there.
    """
    found: Snapshots = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    there = [number for number in epochs if number in found]
    if not there:
        raise NotMeasured(f"no weights on the way were kept: the training has none after {epochs} epochs ({file})")
    for number in there:
        files = {name: folder / f"{name}.pt" for name in found[number]}
        for name, weights in found[number].items():
            torch.save(weights, files[name])
        yield number, files


def measured(
    measure: str,
    run: Mapping[str, Any],
    snapshots: Path,
    epochs: Sequence[int],
    index: pd.DataFrame,
    given: Mapping[str, Any],
    settings: Mapping[str, Any],
    folder: Path,
) -> Iterator[pd.DataFrame]:
    """A measure after some epochs: its values that have a metric by epoch, with the dimension epoch besides; or why
    there are none.

    Args:
        measure: `probe`, or one of `ENCODED` or `EMBEDDED`.
        run: an `Embedding`, as plain data.
        snapshots, epochs, folder: as for `encoders`.
        index: of the evaluated images.
        given: data (the folder of the images), seed (of the run), threads.
        settings: of the measure; of the probe a `Probe`, as plain data.
    """
    data, seed, threads = (given[key] for key in ("data", "seed", "threads"))
    wanted = metrics_of(measure + BY_EPOCH)
    for number, files in encoders(snapshots, epochs, folder):
        out = folder / "embeddings.npy"
        embed(Embedding.from_dict(run), data, files["encoder"], files["projector"], out, threads)
        try:
            test = embeddings.load(out)
            if measure in EMBEDDED:
                found = EMBEDDED[measure](test, index, seed, settings)
            else:
                with subject(*loader(run, files), seed=seed, data=data, test=test, threads=threads) as encoder:
                    found = (
                        probe(encoder, Probe.from_dict(settings))[0]
                        if measure == "probe"
                        else ENCODED[measure](encoder, settings)
                    )
        except NotMeasured as reason:
            found = values.missing([name.removesuffix(BY_EPOCH) for name in wanted], str(reason))
        found = found.assign(metric=found["metric"] + BY_EPOCH, epoch=float(number))
        yield found[found["metric"].isin(wanted)]
