"""The uneven light of one plate, as an array and as a picture."""

import pandas as pd

from phenoviews.cells import illumination
from phenoviews.cells.source import Source
from phenoviews.errors import reported

with reported(snakemake.log[0]):
    screen, plate = snakemake.params.screen, snakemake.wildcards.plate
    fields = pd.read_parquet(snakemake.input.fields, filters=[("Metadata_Plate", "==", plate)])
    channels = list(screen["channels"])
    with Source.open(snakemake.input.pictures) as source:
        illumination.write(
            source.fields(fields, channels),
            channels,
            screen["illumination"],
            snakemake.output.function,
            snakemake.output.picture,
            plate,
            total=len(fields),
        )
