"""A measure of what an encoder makes of images, whoever trained it; or the reason why there is none."""

from pathlib import Path

from phenoviews import values
from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured, reported
from phenoviews.models.imagenet import required
from phenoviews.study.resolved import Embedding, FrozenEmbedding
from phenoviews.training.encoded import measure

with reported(snakemake.log[0]):
    try:
        test = embeddings.load(snakemake.input.embeddings)
        networks = {name: Path(file) for name, file in snakemake.input.items() if name in ("encoder", "projector")}
        stage = Embedding if networks else FrozenEmbedding
        if weights := required(snakemake.input.get("weights", [])):
            networks["weights"] = weights
        measured = measure(
            snakemake.wildcards.measure,
            stage.from_dict(snakemake.params.run),
            int(snakemake.wildcards.seed),
            snakemake.params.settings,
            data=Path(snakemake.input.images).parent,
            test=test,
            networks=networks,
            threads=snakemake.threads,
        )
    except NotMeasured as reason:
        measured = values.missing(snakemake.params.metrics, str(reason))
    values.write(snakemake.output[0], measured)
