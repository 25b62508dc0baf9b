"""What the profiles of a run follow besides the nearest neighbour; or the reason why there are none."""

import pandas as pd

from phenoviews.data import embeddings
from phenoviews.errors import reported
from phenoviews.files import write_json
from phenoviews.profiles import run

with reported(snakemake.log[0]):
    settings = dict(snakemake.params.settings)
    found, reason = embeddings.load(snakemake.input.embeddings)
    numbers = {"reason": reason, "postprocessings": {}}
    if not reason:
        meta, x = run.profiles(pd.read_parquet(snakemake.input.index), found, settings.pop("across_cells"))
        numbers = run.structures(meta, x, settings)
    write_json(snakemake.output[0], numbers)
