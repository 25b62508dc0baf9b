"""A table of a paper: as a long CSV, in Markdown and in LaTeX, with the paper's claims and their verdicts."""

from phenoviews.errors import reported
from phenoviews.panels import numbers, records

with reported(snakemake.log[0]):
    panel = snakemake.params.panel
    found = records.of_panel(
        panel, [snakemake.input[measure] for measure in panel["measures"]], snakemake.input.get("sweeps")
    )
    numbers.write(panel, found, snakemake.output, snakemake.params.published, snakemake.params.claims)
