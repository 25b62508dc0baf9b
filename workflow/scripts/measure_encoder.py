"""A measure of what an encoder makes of images, whoever trained it; or the reason why there is none."""

from functools import partial
from pathlib import Path

from phenoviews import values
from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured, reported
from phenoviews.models.imagenet import required
from phenoviews.study.resolved import Embedding, FrozenEmbedding
from phenoviews.training.embed import load, load_frozen
from phenoviews.training.encoded import measure

with reported(snakemake.log[0]):
    try:
        test = embeddings.load(snakemake.input.embeddings)
        if "encoder" in snakemake.input.keys():  # noqa: SIM118 (without keys() these are the files)
            run = Embedding.from_dict(snakemake.params.run)
            network = partial(load, run, Path(snakemake.input.encoder), Path(snakemake.input.projector))
        else:
            run = FrozenEmbedding.from_dict(snakemake.params.run)
            network = partial(load_frozen, run, required(snakemake.input.weights))
        measured = measure(
            snakemake.wildcards.measure,
            network,
            run.dataset,
            int(snakemake.wildcards.seed),
            snakemake.params.settings,
            data=Path(snakemake.input.images).parent,
            test=test,
            threads=snakemake.threads,
        )
    except NotMeasured as reason:
        measured = values.missing(snakemake.params.metrics, str(reason))
    values.write(snakemake.output[0], measured)
