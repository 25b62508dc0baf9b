"""A measure of the encoders that a training had on its way; or the reason why there is none."""

from pathlib import Path

import pandas as pd

from phenoviews.job import reported
from phenoviews import values
from phenoviews.errors import NotMeasured
from phenoviews.files import folder_beside
from phenoviews.training.on_the_way import measured

with reported(snakemake.log[0]):
    params, out = snakemake.params, Path(snakemake.output[0])
    index = pd.read_parquet(snakemake.input.index)
    with folder_beside(out) as folder:  # for weights and embeddings
        try:
            found = values.joined(
                measured(
                    snakemake.wildcards.measure,
                    params.run,
                    Path(snakemake.input.snapshots),
                    params.epochs,
                    index if params.evaluated == "all" else index[index["split"] == params.evaluated],
                    {
                        "data": Path(snakemake.input.images).parent,
                        "seed": int(snakemake.wildcards.seed),
                        "threads": snakemake.threads,
                    },
                    params.settings,
                    folder,
                )
            )
        except NotMeasured as reason:
            found = values.missing(params.metrics, str(reason))
    values.write(out, found)
