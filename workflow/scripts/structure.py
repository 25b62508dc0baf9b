"""What the profiles of a run follow besides the nearest neighbour; or the reason why there are none."""

import pandas as pd

from phenoviews.job import reported
from phenoviews import values
from phenoviews.profiles import reading, run

with reported(snakemake.log[0]):
    table = pd.read_parquet(snakemake.input[0])
    if "reason" in table:
        measured = values.missing(snakemake.params.metrics, table["reason"].iloc[0])
    else:
        features = [name for name in table if name.startswith("encoder_")]
        meta, x, _, _ = reading.read(
            snakemake.input[0], features=features, control=snakemake.params.control, as_spelled=True
        )
        measured = run.structures(meta, x, snakemake.params.settings)
    values.write(snakemake.output[0], measured)
