"""What an audit trains again, with seeds that the choice has not seen."""

import json
from pathlib import Path

from phenoviews.job import reported
from phenoviews.panels import audit_files

with reported(snakemake.log[0]):
    names = snakemake.params.inputs
    searched = audit_files.Searched.of(snakemake.params.searched, snakemake.input, names)
    files = {name: snakemake.input[name] for name in names}
    chosen = audit_files.choice(snakemake.params.panel, snakemake.params.each, files, searched)
    Path(snakemake.output[0]).write_text(json.dumps(chosen) + "\n")
