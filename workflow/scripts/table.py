"""A table of a paper: as a long CSV, in Markdown and in LaTeX, with the paper's claims and their verdicts."""

from phenoviews.job import reported
from phenoviews.panels import numbers, partial, records

with reported(snakemake.log[0]):
    panel = snakemake.params.panel
    files, absent = partial.given(snakemake.input, snakemake.params.get("partial"))
    found = records.of_panel(panel, [files[measure] for measure in panel["measures"]], files.get("sweeps"), absent)
    numbers.write(panel, found, snakemake.output, snakemake.params.published, snakemake.params.claims)
