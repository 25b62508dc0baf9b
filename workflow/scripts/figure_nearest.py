"""A figure of the images nearest to each centroid, one panel per run."""

import numpy as np
import pandas as pd

from phenoviews.errors import reported
from phenoviews.panels.figure_nearest import figure
from phenoviews.panels.records import class_names, titles
from phenoviews.panels.style import save

with reported(snakemake.log[0]):
    panel = snakemake.params.panel
    panels = [
        {"title": title, "clusters": pd.read_parquet(table), "images": np.load(images, mmap_mode="r")}
        for title, table, images in zip(titles(panel), snakemake.input.clusters, snakemake.input.images, strict=True)
    ]
    drawn = figure(
        panels,
        class_names(snakemake.input.index[0]),
        columns=len(panel["runs"][panel["columns"][0]]),
        nearest=panel["images"],
        class_word=panel["class_word"],
        note=panel["scale"]["note"],
    )
    save(drawn, snakemake.output.png, snakemake.output.pdf)
