"""How many of a simulated plate's true nuclei were found."""

import pandas as pd

from phenoviews.job import reported
from phenoviews.files import write_json
from phenoviews.measures.detection import of_fields

with reported(snakemake.log[0]):
    found, truth = (pd.read_parquet(file) for file in (snakemake.input.nuclei, snakemake.input.truth))
    write_json(snakemake.output[0], of_fields(found, truth, radius=snakemake.params.diameter / 2))
