"""The evaluated images as an encoder that nobody trained here sees them, or why there is none."""

from pathlib import Path

from phenoviews.job import reported
from phenoviews.data import embeddings
from phenoviews.models.imagenet import located
from phenoviews.study.resolved import FrozenEmbedding
from phenoviews.training.embed import embed_frozen

with reported(snakemake.log[0]):
    weights, reason = located(snakemake.input.weights)
    if reason:
        embeddings.save(snakemake.output[0], reason)
    else:
        embed_frozen(
            FrozenEmbedding.from_dict(snakemake.params.run),
            data=Path(snakemake.input.images).parent,
            weights=weights,
            out=Path(snakemake.output[0]),
            threads=snakemake.threads,
        )
