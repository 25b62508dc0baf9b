"""A figure of a paper, as PNG and PDF, with what a page tells of it; and the numbers behind it where it has some."""

from phenoviews.job import reported
from phenoviews.panels import numbers, partial, records
from phenoviews.panels.figures import FIGURES
from phenoviews.panels.style import save

with reported(snakemake.log[0]):
    panel = snakemake.params.panel
    draw = FIGURES[panel["plot"]]
    files, absent = partial.given(snakemake.input, snakemake.params.get("partial"))
    found = records.of_panel(panel, [files[measure] for measure in panel["measures"]], files.get("sweeps"), absent)
    save(draw(panel, records.without_draws(found, panel), files), snakemake.output.png, snakemake.output.pdf)
    numbers.write(panel, found, snakemake.output, snakemake.params.published, snakemake.params.claims)
