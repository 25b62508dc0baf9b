"""A figure of a paper, as PNG and PDF; with the numbers behind it where it has some."""

from phenoviews.errors import reported
from phenoviews.panels import numbers
from phenoviews.panels.figures import FIGURES
from phenoviews.panels.style import save

with reported(snakemake.log[0]):
    panel = snakemake.params.panel
    plot = FIGURES[panel["plot"]]
    files = {kind: files for kind, files in snakemake.input.items() if kind not in ("published", "claims")}
    save(plot.draw(panel, files), snakemake.output.png, snakemake.output.pdf)
    if snakemake.output.get("csv"):  # asked for where `Panel.has_numbers`
        found = plot.records(panel, files)
        published, claimed = (next(iter(snakemake.input[name]), None) for name in ("published", "claims"))
        numbers.write(panel, found, snakemake.output, published, claimed, laid_out=plot.as_table(panel, found))
