"""The tables of a simulated screen, in BBBC021's form."""

from phenoviews.cells.simulation import write_tables
from phenoviews.errors import reported

with reported(snakemake.log[0]):
    write_tables(snakemake.params.simulation, snakemake.output.images, snakemake.output.moa)
