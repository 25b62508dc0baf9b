"""What is measured of the encoders that a training had on its way, as it is of the last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from phenoviews import values
from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured
from phenoviews.measures.embedded import EMBEDDED
from phenoviews.profiles.run import PROFILED, profiles
from phenoviews.study.metrics import BY_EPOCH
from phenoviews.study.metrics import measured as metrics_of
from phenoviews.study.resolved import Embedding, Probe
from phenoviews.training.embed import loader
from phenoviews.training.encoded import ENCODED, Measure, subject
from phenoviews.training.probe import probe
from phenoviews.training.snapshots import embedded

# What is trained on the encoder. A registry, as the others are, so that what trains no probe does not depend on it.
PROBED: dict[str, Measure] = {"probe": lambda encoder, settings: probe(encoder, Probe.from_dict(settings))[0]}


def measured(
    measure: str,
    run: Mapping[str, Any],
    snapshots: Path,
    epochs: Sequence[int] | None,
    index: pd.DataFrame,
    given: Mapping[str, Any],
    settings: Mapping[str, Any],
    folder: Path,
) -> Iterator[pd.DataFrame]:
    """A measure after some epochs: its values that have a metric by epoch, with the dimension epoch besides; or why
    there are none.

    Args:
        measure: one of `PROBED`, `ENCODED`, `EMBEDDED` or `PROFILED`.
        run: an `Embedding`, as plain data.
        snapshots, epochs, folder: as for `snapshots.encoders`.
        index: of the evaluated images.
        given: data (the folder of the images), seed (of the run), threads.
        settings: of the measure; of the probe a `Probe`, as plain data; of profiles how cells make one, across_cells,
            besides.
    """
    data, seed, threads = (given[key] for key in ("data", "seed", "threads"))
    wanted = metrics_of(measure + BY_EPOCH)
    for number, files in embedded(Embedding.from_dict(run), data, snapshots, folder, epochs, threads):
        try:
            test = embeddings.load(files["embeddings"])
            if measure in EMBEDDED:
                found = EMBEDDED[measure](test, index, seed, settings)
            elif measure in PROFILED:
                its = {key: value for key, value in settings.items() if key != "across_cells"}
                found = PROFILED[measure](*profiles(index, test, settings["across_cells"]), its)
            else:
                with subject(*loader(run, files), seed=seed, data=data, test=test, threads=threads) as encoder:
                    found = (PROBED if measure in PROBED else ENCODED)[measure](encoder, settings)
        except NotMeasured as reason:
            found = values.missing([name.removesuffix(BY_EPOCH) for name in wanted], str(reason))
        found = found.assign(metric=found["metric"] + BY_EPOCH, epoch=float(number))
        yield found[found["metric"].isin(wanted)]
