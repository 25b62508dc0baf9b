"""The pictures of one plate: its light, and the nuclei that were found."""

import numpy as np
import pandas as pd

from phenoviews.job import reported
from phenoviews.cells import nuclei, quality
from phenoviews.cells.source import Source
from phenoviews.panels.style import save
from phenoviews.pictures import light, overlay

with reported(snakemake.log[0]):
    screen, plate = snakemake.params.screen, snakemake.wildcards.plate
    channels = list(screen["channels"])
    dna = nuclei.dna_channel(channels, screen["nuclei"])
    function = np.load(snakemake.input.illumination, allow_pickle=False)
    save(light.picture(function, channels, plate), snakemake.output.light)

    table, found = quality.read(snakemake.input.quality), pd.read_parquet(snakemake.input.nuclei)
    why = overlay.chosen(table)
    fields = pd.read_parquet(snakemake.input.fields, filters=[("Metadata_Plate", "==", plate)])
    shown = fields.set_index("Metadata_Field", drop=False).loc[list(why)]
    with Source.open(snakemake.input.pictures, screen.get("project")) as source:
        light_of_dna = function[[channels.index(dna)]]
        views = overlay.views(source.fields(shown, [dna]), why, light_of_dna, found, screen["nuclei"])
    save(overlay.picture(views, table, plate), snakemake.output.overlay)
