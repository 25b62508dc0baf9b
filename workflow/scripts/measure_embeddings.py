"""A measure of embeddings, whatever made them; or the reason why there is none."""

import pandas as pd

from phenoviews.job import reported
from phenoviews import values
from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured
from phenoviews.measures.embedded import EMBEDDED

with reported(snakemake.log[0]):
    measure = EMBEDDED[snakemake.wildcards.measure]
    index, split = pd.read_parquet(snakemake.input.index), snakemake.params.evaluated
    index = index if split == "all" else index[index["split"] == split]
    try:
        found = embeddings.load(snakemake.input.embeddings)
        measured = measure(found, index, int(snakemake.wildcards.seed), snakemake.params.settings)
    except NotMeasured as reason:
        measured = values.missing(snakemake.params.metrics, str(reason))
    values.write(snakemake.output[0], measured)
