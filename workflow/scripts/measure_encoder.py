"""A measure of what an encoder makes of images, whoever trained it; or the reason why there is none."""

from pathlib import Path

from phenoviews.job import reported
from phenoviews import values
from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured
from phenoviews.training.embed import loader
from phenoviews.training.encoded import ENCODED, subject

with reported(snakemake.log[0]):
    try:
        given = {
            "test": embeddings.load(snakemake.input.embeddings),
            "seed": int(snakemake.wildcards.seed),
            "data": Path(snakemake.input.images).parent,
            "threads": snakemake.threads,
        }
        with subject(*loader(snakemake.params.run, dict(snakemake.input.items())), **given) as measured:
            found = ENCODED[snakemake.wildcards.measure](measured, snakemake.params.settings)
    except NotMeasured as reason:
        found = values.missing(snakemake.params.metrics, str(reason))
    values.write(snakemake.output[0], found)
