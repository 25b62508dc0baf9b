"""The evaluated images as an encoder sees them."""

from pathlib import Path

from phenoviews.errors import reported
from phenoviews.training.embed import embed

with reported(snakemake.log[0]):
    embed(
        snakemake.params.run,
        data=Path(snakemake.input.images).parent,
        encoder=Path(snakemake.input.encoder),
        projector=Path(snakemake.input.projector),
        out=Path(snakemake.output[0]),
        threads=snakemake.threads,
    )
