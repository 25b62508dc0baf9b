"""The tables of a simulated screen, in BBBC021's form."""

from phenoviews.job import reported
from phenoviews.cells.simulation import write_tables

with reported(snakemake.log[0]):
    write_tables(snakemake.params.simulation, snakemake.output.images, snakemake.output.moa)
