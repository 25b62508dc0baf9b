"""One plate of a simulated screen: its archive, in BBBC021's form, and what was drawn in it."""

from phenoviews.job import reported
from phenoviews.cells.simulation import write_plate

with reported(snakemake.log[0]):
    write_plate(
        snakemake.params.simulation, snakemake.wildcards.plate, snakemake.output.archive, snakemake.output.truth
    )
