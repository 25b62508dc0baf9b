"""One file of a dataset or a screen, from the first mirror that has it."""

from pathlib import Path

from phenoviews.job import reported
from phenoviews.data.download import fetch
from phenoviews.study import Study
from phenoviews.study.document import shipped, users
from phenoviews.study.resources import located

with reported(snakemake.log[0]):
    if snakemake.input:  # what a simulation has made, as if from a server
        (made,) = (Path(file).resolve() for file in snakemake.input)
        mirrors, record = [made.parent.as_uri()], f"{made}.sha256"
    else:
        # Mirrors are no parameter of the rule: bytes with the right checksum are the same from anywhere.
        document, said = users(snakemake.config, shipped(), {})
        source = Study(document, shipped(), said).source(snakemake.wildcards.source)
        mirrors, record = source["mirrors"], located(source["checksums"]) if "checksums" in source else None
    fetch(mirrors, snakemake.params.file, Path(snakemake.output[0]), record)
