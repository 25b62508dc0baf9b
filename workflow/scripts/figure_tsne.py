"""A figure of t-SNE maps, one per run."""

import pandas as pd

from phenoviews.errors import reported
from phenoviews.files import read_json
from phenoviews.panels.figure_tsne import figure
from phenoviews.panels.records import class_names, titles
from phenoviews.panels.style import save

with reported(snakemake.log[0]):
    panel = snakemake.params.panel
    maps = [
        {"title": title, "points": pd.read_parquet(points), "numbers": read_json(numbers)}
        for title, points, numbers in zip(titles(panel), snakemake.input.tsne, snakemake.input.numbers, strict=True)
    ]
    drawn = figure(maps, class_names(snakemake.input.index[0]), panel["class_word"], panel["scale"]["note"])
    save(drawn, snakemake.output.png, snakemake.output.pdf)
