"""The evaluated images as an encoder sees them, or why there is none."""

from pathlib import Path

from phenoviews.job import reported
from phenoviews.data import embeddings
from phenoviews.study.resolved import Embedding
from phenoviews.training.embed import embed
from phenoviews.training.outcome import failure

with reported(snakemake.log[0]):
    if reason := failure(snakemake.input.summary):
        embeddings.save(snakemake.output[0], reason)
    else:
        embed(
            Embedding.from_dict(snakemake.params.run),
            data=Path(snakemake.input.images).parent,
            encoder=Path(snakemake.input.encoder),
            projector=Path(snakemake.input.projector),
            out=Path(snakemake.output[0]),
            threads=snakemake.threads,
        )
