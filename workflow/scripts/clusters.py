"""K-means clusters of the test embeddings, and how well they agree with the classes."""

import pandas as pd

from phenoviews.data import embeddings
from phenoviews.errors import reported
from phenoviews.files import atomic, write_json
from phenoviews.measures.clusters import clusters, no_clusters

with reported(snakemake.log[0]):
    found, reason = embeddings.load(snakemake.input.embeddings)
    if reason:
        numbers, table = no_clusters(int(snakemake.wildcards.k), reason)
    else:
        index = pd.read_parquet(snakemake.input.index)
        test = index[index["split"] == "test"]
        numbers, table = clusters(
            found,
            test["label"].to_numpy(),
            rows=test.index.to_numpy(),
            k=int(snakemake.wildcards.k),
            seed=snakemake.params.seed,
            n_init=snakemake.params.n_init,
        )
    write_json(snakemake.output.numbers, numbers)
    with atomic(snakemake.output.table) as partial:
        table.to_parquet(partial)
