"""The profiles of a run's wells, their scores, and a map of its treatments; or the reason why there are none."""

import pandas as pd

from phenoviews.job import reported
from phenoviews import values
from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured
from phenoviews.files import atomic, write_json, write_text
from phenoviews.profiles import run

with reported(snakemake.log[0]):
    settings, output = dict(snakemake.params.settings), snakemake.output
    index = run.evaluated(pd.read_parquet(snakemake.input.index), snakemake.params.evaluated)
    try:
        meta, x = run.profiles(index, embeddings.load(snakemake.input.embeddings), settings.pop("across_cells"))
        measured, predictions, about = run.scores(meta, x, settings)
        profiles, mapped = run.as_table(meta, x), run.mapped(meta, x, settings)
    except NotMeasured as reason:
        measured, predictions = values.missing(snakemake.params.metrics, str(reason)), pd.DataFrame()
        profiles, mapped, about = pd.DataFrame({"reason": [str(reason)]}), run.no_map(), {"reason": str(reason)}
    for file, table in ((output.profiles, profiles), (output.map, mapped)):
        with atomic(file) as partial:
            table.to_parquet(partial)
    write_text(output.predictions, predictions.to_csv(index=False))
    write_json(output.about, {**about, "dataset": run.counted(index)})
    values.write(output.values, measured)
