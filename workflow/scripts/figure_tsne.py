"""A figure of t-SNE maps, one per run."""

import pandas as pd

from phenoviews.errors import reported
from phenoviews.files import read_json
from phenoviews.panels.figure_tsne import figure
from phenoviews.panels.records import class_names, titles
from phenoviews.panels.style import save

with reported(snakemake.log[0]):
    panel, files = snakemake.params.panel, snakemake.input
    maps = [
        {
            "title": title,
            "map": pd.read_parquet(map_),
            "clusters": pd.read_parquet(clusters),
            "numbers": read_json(numbers),
        }
        for title, map_, clusters, numbers in zip(titles(panel), files.tsne, files.clusters, files.numbers, strict=True)
    ]
    drawn = figure(maps, class_names(files.index[0]), panel["class_word"], panel["scale"]["note"])
    save(drawn, snakemake.output.png, snakemake.output.pdf)
