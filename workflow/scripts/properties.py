"""Properties of the classes of a data set, as an encoder that others trained sees them and in the images."""

from pathlib import Path

from phenoviews.job import reported
from phenoviews import values
from phenoviews.data import embeddings
from phenoviews.data.images import Images, white
from phenoviews.errors import NotMeasured
from phenoviews.measures.properties import properties

with reported(snakemake.log[0]):
    images = Images.open(Path(snakemake.input.images).parent)
    try:
        found = properties(
            embeddings.load(snakemake.input.embeddings),
            images.array[images.rows("test")],
            images.labels("test"),
            images.classes,
            snakemake.params.composites,
            images.superclasses,
            **snakemake.params.settings,
            white=white(images, "test"),
        )
    except NotMeasured as reason:
        found = values.missing(snakemake.params.metrics, str(reason))
    values.write(snakemake.output[0], found)
