"""A map of the test embeddings in two dimensions; empty where there are none, for a reason that their clusters tell."""

import pandas as pd

from phenoviews.job import reported
from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured
from phenoviews.files import atomic
from phenoviews.measures.tsne import no_map, tsne

with reported(snakemake.log[0]):
    index = pd.read_parquet(snakemake.input.index)
    try:
        table = tsne(
            embeddings.load(snakemake.input.embeddings),
            rows=index.index[index["split"] == "test"].to_numpy(),
            points=snakemake.params.points,
            seed=snakemake.params.seed,
        )
    except NotMeasured:
        table = no_map()
    with atomic(snakemake.output[0]) as partial:
        table.to_parquet(partial)
