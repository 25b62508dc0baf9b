"""ImageNet weights, or the reason why there are none."""

from pathlib import Path

from phenoviews.job import reported
from phenoviews.models.imagenet import download

with reported(snakemake.log[0]):
    download(snakemake.wildcards.weights, Path(snakemake.output[0]))
