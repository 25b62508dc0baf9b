"""What the profiles of a run follow besides the nearest neighbour; or the reason why there are none."""

import pandas as pd

from phenoviews.errors import reported
from phenoviews.files import write_json
from phenoviews.profiles import run, tables

with reported(snakemake.log[0]):
    table = pd.read_parquet(snakemake.input[0])
    if "reason" in table:
        numbers = {"reason": table["reason"].iloc[0], "postprocessings": {}}
    else:
        meta, x, _ = tables.read(snakemake.input[0], control=snakemake.params.control)
        numbers = run.structures(meta, x, snakemake.params.settings)
    write_json(snakemake.output[0], numbers)
