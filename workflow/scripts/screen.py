"""The table of a screen: one row per field."""

from pathlib import Path

from phenoviews.job import reported
from phenoviews.cells.screen import fields
from phenoviews.files import atomic

with reported(snakemake.log[0]), atomic(snakemake.output[0]) as partial:
    fields(snakemake.params.screen, {key: Path(file) for key, file in snakemake.input.items()}).to_parquet(partial)
