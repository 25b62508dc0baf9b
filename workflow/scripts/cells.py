"""The cells of a dataset as arrays and an index."""

from pathlib import Path

import pandas as pd

from phenoviews.cells.prepare import prepare
from phenoviews.cells.subset import subset
from phenoviews.errors import reported
from phenoviews.profiles.annotated import choose

with reported(snakemake.log[0]):
    kinds = {kind: files for kind, files in snakemake.input.items() if kind != "fields"}
    prepare(
        snakemake.params.dataset,
        pd.read_parquet(snakemake.input.fields[0]),
        [dict(zip(kinds, map(Path, files), strict=True)) for files in zip(*kinds.values(), strict=True)],
        {"cells": subset, "treatments": choose}[snakemake.params.dataset["kind"]],
        images=Path(snakemake.output.images),
        index=Path(snakemake.output.index),
    )
