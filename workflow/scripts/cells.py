"""The cells of a dataset as arrays and an index."""

from pathlib import Path

import pandas as pd

from phenoviews.job import reported
from phenoviews.cells.prepare import prepare

with reported(snakemake.log[0]):
    kinds = {kind: files for kind, files in snakemake.input.items() if kind != "fields"}
    prepare(
        snakemake.params.dataset,
        pd.read_parquet(snakemake.input.fields[0]),
        [dict(zip(kinds, map(Path, files), strict=True)) for files in zip(*kinds.values(), strict=True)],
        images=Path(snakemake.output.images),
        index=Path(snakemake.output.index),
    )
