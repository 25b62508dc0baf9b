"""What a linear classifier finds in a frozen encoder's features."""

from pathlib import Path

from phenoviews.errors import reported
from phenoviews.training.probe import probe

with reported(snakemake.log[0]):
    probe(
        snakemake.params.run,
        data=Path(snakemake.input.images).parent,
        encoder=Path(snakemake.input.encoder),
        projector=Path(snakemake.input.projector),
        out=Path(snakemake.output[0]),
        threads=snakemake.threads,
    )
