"""A table of a paper: as a long CSV, in Markdown and in LaTeX, with the paper's claims and their verdicts."""

from phenoviews.errors import reported
from phenoviews.panels import numbers, records

with reported(snakemake.log[0]):
    panel = snakemake.params.panel
    published, claimed = (next(iter(snakemake.input[name]), None) for name in ("published", "claims"))
    measures = [files for kind, files in snakemake.input.items() if kind not in ("published", "claims")]
    numbers.write(panel, records.of_panel(panel, measures), snakemake.output, published, claimed)
