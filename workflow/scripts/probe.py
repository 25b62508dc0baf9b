"""What a linear classifier finds in a frozen encoder's features, or why there are none."""

from pathlib import Path

from phenoviews.errors import reported
from phenoviews.study.resolved import Probing
from phenoviews.training.outcome import failure
from phenoviews.training.probe import no_probe, probe

with reported(snakemake.log[0]):
    out = Path(snakemake.output[0])
    if reason := failure(snakemake.input.summary):
        no_probe(out, reason)
    else:
        probe(
            Probing.from_dict(snakemake.params.run),
            data=Path(snakemake.input.images).parent,
            encoder=Path(snakemake.input.encoder),
            projector=Path(snakemake.input.projector),
            out=out,
            threads=snakemake.threads,
        )
