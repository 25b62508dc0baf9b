"""An audit: what each part of a set of views does, to whom, and which set follows."""

from phenoviews.job import reported
from phenoviews.panels import audit_files

with reported(snakemake.log[0]):
    names = snakemake.params.inputs
    audit_files.write(
        {**snakemake.params.panel, "each": snakemake.params.each},
        {name: snakemake.input[name] for name in names},
        snakemake.params.again,
        {name: snakemake.input.get(f"again_{name}", []) for name in names},
        dict(snakemake.output.items()),
        snakemake.input.get("images"),
        snakemake.input.get("on_the_way", []),
        audit_files.Searched.of(snakemake.params.searched, snakemake.input, names),
    )
