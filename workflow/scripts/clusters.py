"""K-means clusters of the test embeddings, and how they agree with the classes; or the reason why there are none."""

import pandas as pd

from phenoviews.job import reported
from phenoviews import values
from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured
from phenoviews.files import atomic
from phenoviews.measures.clusters import clusters, no_points

with reported(snakemake.log[0]):
    index = pd.read_parquet(snakemake.input.index)
    test = index[index["split"] == "test"]
    try:
        measured, points = clusters(
            embeddings.load(snakemake.input.embeddings),
            test["label"].to_numpy(),
            rows=test.index.to_numpy(),
            k=int(snakemake.wildcards.k),
            seed=snakemake.params.seed,
            n_init=snakemake.params.n_init,
        )
    except NotMeasured as reason:
        measured, points = values.missing(snakemake.params.metrics, str(reason)), no_points()
    values.write(snakemake.output.values, measured)
    with atomic(snakemake.output.points) as partial:
        points.to_parquet(partial)
