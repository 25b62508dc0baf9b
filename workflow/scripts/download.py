"""One file of a dataset, from the first mirror that has it."""

from pathlib import Path

from phenoviews.data.download import fetch
from phenoviews.errors import reported
from phenoviews.study import Study

with reported(snakemake.log[0]):
    # Mirrors are no parameter of the rule: bytes with the right checksum are the same from anywhere.
    mirrors = Study(snakemake.config).entry("datasets", snakemake.wildcards.dataset)["mirrors"]
    fetch(mirrors, snakemake.params.file, Path(snakemake.output[0]))
