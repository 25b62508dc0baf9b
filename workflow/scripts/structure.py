"""What the profiles of a run follow besides the nearest neighbour; or the reason why there are none."""

import pandas as pd

from phenoviews import values
from phenoviews.errors import reported
from phenoviews.profiles import run, tables

with reported(snakemake.log[0]):
    table = pd.read_parquet(snakemake.input[0])
    if "reason" in table:
        measured = values.missing(snakemake.params.metrics, table["reason"].iloc[0])
    else:
        meta, x, _ = tables.read(snakemake.input[0], control=snakemake.params.control)
        measured = run.structures(meta, x, snakemake.params.settings)
    values.write(snakemake.output[0], measured)
