"""A dataset as arrays and an index."""

from pathlib import Path

from phenoviews.job import reported
from phenoviews.data.readers import prepare

with reported(snakemake.log[0]):
    downloads = {Path(file).name: Path(file) for file in snakemake.input}
    files = snakemake.params.dataset.get("files", {})
    prepare(
        snakemake.params.dataset,
        {key: downloads[file["name"]] for key, file in files.items()},
        images=Path(snakemake.output.images),
        index=Path(snakemake.output.index),
    )
