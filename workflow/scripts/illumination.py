"""The uneven light of one plate, as an array."""

import pandas as pd

from phenoviews.cells import illumination
from phenoviews.cells.source import Source
from phenoviews.errors import reported

with reported(snakemake.log[0]):
    screen, plate = snakemake.params.screen, snakemake.wildcards.plate
    fields = pd.read_parquet(snakemake.input.fields, filters=[("Metadata_Plate", "==", plate)])
    with Source.open(snakemake.input.pictures) as source:
        illumination.write(
            source.fields(fields, list(screen["channels"])),
            screen["illumination"],
            snakemake.output[0],
            plate,
            total=len(fields),
        )
