"""A measure of clusters; or the reason why there is none."""

import numpy as np
import pandas as pd

from phenoviews.job import reported
from phenoviews import values
from phenoviews.errors import NotMeasured
from phenoviews.measures.clustered import CLUSTERED

with reported(snakemake.log[0]):
    points, index = (pd.read_parquet(file) for file in (snakemake.input.points, snakemake.input.index))
    images = np.load(snakemake.input.images, mmap_mode="r", allow_pickle=False)
    try:
        if points.empty:
            raise NotMeasured(values.read(snakemake.input.clusters)["reason"].iloc[0])
        measured = CLUSTERED[snakemake.wildcards.measure](points, index, images)
    except NotMeasured as reason:
        measured = values.missing(snakemake.params.metrics, str(reason))
    values.write(snakemake.output[0], measured.assign(k=float(snakemake.wildcards.k)))
