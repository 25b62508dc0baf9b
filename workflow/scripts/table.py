"""A table of a paper: as a long CSV, in Markdown and in LaTeX, with the paper's claims and their verdicts."""

from phenoviews.errors import reported
from phenoviews.panels import claims, records, table

with reported(snakemake.log[0]):
    panel = snakemake.params.panel
    published, claimed = (next(iter(snakemake.input[name]), None) for name in ("published", "claims"))
    measures = [files for kind, files in snakemake.input.items() if kind not in ("published", "claims")]
    runs = [{**run, "files": files} for run, *files in zip(panel["each"], *measures, strict=True)]
    numbers = records.read(runs, [metric["name"] for metric in panel["metrics"]])
    verdicts = claims.evaluate(claims.load(claimed, panel["name"]), numbers)
    claims.write(verdicts, panel, snakemake.output.claims)
    table.write(
        table.long(numbers, panel, records.published(published, panel["name"])),
        panel,
        snakemake.output.csv,
        snakemake.output.md,
        snakemake.output.tex,
        below=claims.markdown(verdicts, panel),
    )
