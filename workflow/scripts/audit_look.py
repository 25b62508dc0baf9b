"""A look at an audit whose trainings are not all there yet: the settings that have more seeds."""

import json
from pathlib import Path

from phenoviews.job import reported
from phenoviews.panels import audit_files

with reported(snakemake.log[0]):
    files = {name: snakemake.input[name] for name in snakemake.params.inputs}
    left = audit_files.left(snakemake.params.panel, snakemake.params.each, files)
    Path(snakemake.output[0]).write_text(json.dumps(left) + "\n")
