"""The page of a scale, and the sheet of its verdicts."""

from pathlib import Path

from phenoviews.job import reported
from phenoviews.report.page import write

with reported(snakemake.log[0]):
    write(
        snakemake.params.told,
        Path(snakemake.output.page).parent,
        {"csv": Path(snakemake.output.csv), "md": Path(snakemake.output.md)},
    )
