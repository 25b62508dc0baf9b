"""One training."""

from pathlib import Path

from phenoviews.job import reported
from phenoviews.models.imagenet import required
from phenoviews.study.resolved import Pretraining, tended
from phenoviews.training.pretrain import pretrain

with reported(snakemake.log[0]) as began:
    pretrain(
        Pretraining.from_dict(tended(snakemake.params.run, snakemake.params.tending)),
        data=Path(snakemake.input.images).parent,
        outputs={name: Path(file) for name, file in snakemake.output.items()},
        checkpoint=Path(snakemake.params.checkpoint),
        weights=required(snakemake.input.weights),
        threads=snakemake.threads,
        measures=snakemake.params.watched,
        began=began,
    )
