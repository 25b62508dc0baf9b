"""The profiles of a run's wells, their scores, and a map of its treatments; or the reason why there are none."""

import pandas as pd

from phenoviews.data import embeddings
from phenoviews.errors import reported
from phenoviews.files import atomic, write_json, write_text
from phenoviews.profiles import run

with reported(snakemake.log[0]):
    settings, output = dict(snakemake.params.settings), snakemake.output
    found, reason = embeddings.load(snakemake.input.embeddings)
    tables = {name: pd.DataFrame({"reason": [reason]}) for name in ("profiles", "treatments")}
    numbers, predictions = {"reason": reason, "postprocessings": {}}, pd.DataFrame()
    if not reason:
        index = pd.read_parquet(snakemake.input.index)
        meta, x = run.profiles(index, found, settings.pop("across_cells"))
        tables["profiles"] = run.as_table(meta, x)
        numbers, predictions, tables["treatments"] = run.scores(meta, x, settings)
        numbers["dataset"] = run.counted(index)
    for name, table in tables.items():
        with atomic(output[name]) as partial:
            table.to_parquet(partial)
    write_text(output.predictions, predictions.to_csv(index=False))
    write_json(output.numbers, numbers)
