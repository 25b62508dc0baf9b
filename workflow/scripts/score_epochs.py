"""The scores of the encoders that a training had on its way; or the reason why there are none."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from phenoviews.job import reported
from phenoviews import values
from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured
from phenoviews.profiles import run
from phenoviews.study.resolved import Embedding
from phenoviews.training.snapshots import embedded

with reported(snakemake.log[0]):
    settings, out = dict(snakemake.params.settings), Path(snakemake.output[0])
    across_cells = settings.pop("across_cells")
    index = run.evaluated(pd.read_parquet(snakemake.input.index), snakemake.params.evaluated)
    # Beside the output, where there is space for embeddings.
    with TemporaryDirectory(dir=out.parent) as folder:
        try:
            found = embedded(
                Embedding.from_dict(snakemake.params.run),
                data=Path(snakemake.input.images).parent,
                file=Path(snakemake.input.snapshots),
                folder=Path(folder),
                threads=snakemake.threads,
            )
            measured = values.joined(
                run.after(epochs, *run.profiles(index, embeddings.load(files["embeddings"]), across_cells), settings)
                for epochs, files in found
            )
        except NotMeasured as reason:
            measured = values.missing(snakemake.params.metrics, str(reason))
    values.write(out, measured)
