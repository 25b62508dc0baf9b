"""The uneven light of one plate, as an array."""

import pandas as pd

from phenoviews.job import reported
from phenoviews.cells import illumination
from phenoviews.cells.screen import of_plate
from phenoviews.cells.source import Source

with reported(snakemake.log[0]):
    screen, plate = snakemake.params.screen, snakemake.wildcards.plate
    fields = of_plate(pd.read_parquet(snakemake.input.fields), plate, screen["name"])
    with Source.open(snakemake.input.pictures, screen.get("project")) as source:
        illumination.write(
            source.readable(fields, list(screen["channels"]), screen["unreadable_fraction"]),
            screen["illumination"],
            snakemake.output[0],
            plate,
            total=len(fields),
        )
