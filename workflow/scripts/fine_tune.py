"""An encoder that is trained on, together with a classifier: its scores, and the class that it takes each test image
for; or the reason why there is none."""

from pathlib import Path

import numpy as np

from phenoviews.job import reported
from phenoviews import values
from phenoviews.data import embeddings
from phenoviews.data.images import Images
from phenoviews.errors import NotMeasured
from phenoviews.measures.probe import write_predictions
from phenoviews.study.resolved import FineTuning, tended
from phenoviews.training import checkpoint as checkpoints
from phenoviews.training.fine_tuning import fine_tune

with reported(snakemake.log[0]):
    data, checkpoint = Path(snakemake.input.images).parent, Path(snakemake.params.checkpoint)
    try:
        embeddings.load(snakemake.input.embeddings)  # or why there are none
        found, predictions = fine_tune(
            snakemake.params.run,
            dict(snakemake.input.items()),
            FineTuning.from_dict(tended(snakemake.params.settings, snakemake.params.tending)),
            int(snakemake.wildcards.seed),
            data,
            checkpoint,
            snakemake.threads,
        )
    except NotMeasured as reason:
        found, predictions = values.missing(snakemake.params.metrics, str(reason)), np.empty(0, int)
    write_predictions(snakemake.output.predictions, predictions, len(Images.open(data).classes))
    values.write(snakemake.output.values, found)
    checkpoints.discard(checkpoint)
