"""A map of the test embeddings in two dimensions."""

import numpy as np
import pandas as pd

from phenoviews.errors import reported
from phenoviews.files import atomic
from phenoviews.measures.tsne import tsne

with reported(snakemake.log[0]):
    index = pd.read_parquet(snakemake.input.index)
    table = tsne(
        np.load(snakemake.input.embeddings, allow_pickle=False),
        rows=index.index[index["split"] == "test"].to_numpy(),
        points=snakemake.params.points,
        seed=snakemake.params.seed,
    )
    with atomic(snakemake.output[0]) as partial:
        table.to_parquet(partial)
