"""A map of the test embeddings in two dimensions."""

import pandas as pd

from phenoviews.data import embeddings
from phenoviews.errors import reported
from phenoviews.files import atomic
from phenoviews.measures.tsne import tsne

with reported(snakemake.log[0]):
    index = pd.read_parquet(snakemake.input.index)
    found, reason = embeddings.load(snakemake.input.embeddings)
    if reason:
        table = pd.DataFrame({"row": [], "x": [], "y": []})  # the figure says the reason, which the clusters have too
    else:
        table = tsne(
            found,
            rows=index.index[index["split"] == "test"].to_numpy(),
            points=snakemake.params.points,
            seed=snakemake.params.seed,
        )
    with atomic(snakemake.output[0]) as partial:
        table.to_parquet(partial)
