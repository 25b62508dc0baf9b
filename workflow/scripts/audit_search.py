"""A round of an audit's search: the settings that it tries, by what all trainings before it gave."""

import json
from pathlib import Path

from phenoviews.job import reported
from phenoviews.panels import audit_files

with reported(snakemake.log[0]):
    names = snakemake.params.inputs
    searched = audit_files.Searched.of(snakemake.params.searched, snakemake.input, names)
    files = {name: snakemake.input[name] for name in names}
    proposed = audit_files.proposed(snakemake.params.panel, snakemake.params.each, files, searched)
    Path(snakemake.output[0]).write_text(json.dumps(proposed) + "\n")
