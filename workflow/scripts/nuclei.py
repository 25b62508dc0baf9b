"""The nuclei of one plate, its quality and the range of its intensities."""

import numpy as np
import pandas as pd

from phenoviews.job import reported
from phenoviews.cells import nuclei
from phenoviews.cells.locations import provided
from phenoviews.cells.screen import of_plate
from phenoviews.cells.source import Source

with reported(snakemake.log[0]):
    screen, plate = snakemake.params.screen, snakemake.wildcards.plate
    # Whole, since provided centres may be of all plates.
    table = pd.read_parquet(snakemake.input.fields)
    fields = of_plate(table, plate, screen["name"])
    channels = list(screen["channels"])
    with Source.open(snakemake.input.pictures, screen.get("project")) as source:
        nuclei.write(
            source.readable(fields, channels, screen["unreadable_fraction"]),
            np.load(snakemake.input.illumination, allow_pickle=False),
            screen["nuclei"],
            screen["intensity"],
            channels,
            dict(snakemake.output.items()),
            plate,
            *(provided(file, table) for file in snakemake.input.locations),
            total=len(fields),
        )
