"""A table of a paper: as a long CSV, in Markdown and in LaTeX."""

from phenoviews.errors import reported
from phenoviews.files import atomic, write_text
from phenoviews.panels import records, table

with reported(snakemake.log[0]):
    panel, scale = snakemake.params.panel, table.Scale(**snakemake.params.panel["scale"])
    measures = [files for kind, files in snakemake.input.items() if kind != "published"]
    runs = [{**run, "files": files} for run, *files in zip(panel["each"], *measures, strict=True)]
    numbers = table.long(
        records.read(runs, [metric["name"] for metric in panel["metrics"]]),
        panel,
        records.published(snakemake.input.published, panel["name"]),
        scale,
    )
    with atomic(snakemake.output.csv) as partial:
        numbers.to_csv(partial, index=False)
    view = table.layout(numbers, panel, scale, panel["labels"])
    write_text(snakemake.output.md, table.markdown(view))
    write_text(snakemake.output.tex, table.latex(view))
