"""Pictures of what the transforms of the study make of eight images of a data set."""

from pathlib import Path

from phenoviews.job import reported
from phenoviews.pictures.transforms import draw

with reported(snakemake.log[0]):
    draw(
        Path(snakemake.input.images).parent,
        snakemake.params.looks,
        snakemake.params.dataset,
        snakemake.params.paints,
        snakemake.params.seed,
        Path(snakemake.output[0]),
    )
