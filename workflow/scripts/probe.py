"""A linear classifier on a frozen encoder, whoever trained it: its scores, and the class that it takes each test image
for; or the reason why there is none."""

from pathlib import Path

import numpy as np

from phenoviews.job import reported
from phenoviews import values
from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured
from phenoviews.measures.probe import write_predictions
from phenoviews.study.resolved import Probe
from phenoviews.training.embed import loader
from phenoviews.training.encoded import subject
from phenoviews.training.probe import probe

with reported(snakemake.log[0]):
    try:
        given = {
            "test": embeddings.load(snakemake.input.embeddings),
            "seed": int(snakemake.wildcards.seed),
            "data": Path(snakemake.input.images).parent,
            "threads": snakemake.threads,
        }
        with subject(*loader(snakemake.params.run, dict(snakemake.input.items())), **given) as measured:
            found, predictions = probe(measured, Probe.from_dict(snakemake.params.settings))
            classes = len(measured.images.classes)
    except NotMeasured as reason:
        found, predictions, classes = values.missing(snakemake.params.metrics, str(reason)), np.empty(0, int), 0
    write_predictions(snakemake.output.predictions, predictions, classes)
    values.write(snakemake.output.values, found)
