"""Treated against untreated cells, dose by dose."""

import pandas as pd

from phenoviews.data import embeddings
from phenoviews.errors import reported
from phenoviews.files import write_json
from phenoviews.measures.doses import doses

with reported(snakemake.log[0]):
    found, reason = embeddings.load(snakemake.input.embeddings)
    if reason:
        numbers = {"doses": [], "reason": reason}
    else:
        index = pd.read_parquet(snakemake.input.index)
        concentrations = index.loc[index["split"] == "test", "Metadata_Concentration"].to_numpy()
        seed, clusters = int(snakemake.wildcards.seed), snakemake.params.clusters
        numbers = doses(found, concentrations, seed, k_means_seed=clusters["seed"], n_init=clusters["n_init"])
    write_json(snakemake.output[0], numbers)
