"""A figure of a paper, as PNG and PDF."""

from importlib import import_module

from phenoviews.errors import reported
from phenoviews.panels.style import save

with reported(snakemake.log[0]):
    panel = snakemake.params.panel
    draw = import_module(f"phenoviews.panels.figure_{panel['plot']}").draw
    save(draw(panel, dict(snakemake.input.items())), snakemake.output.png, snakemake.output.pdf)
