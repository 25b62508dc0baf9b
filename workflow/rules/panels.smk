# measures → tables and figures, each beside the published value. Every panel is a rule of its own name.

PANELS = f"{RESULTS}/panels"
MEASURES = {
    "clusters": RUN + "/measures/clusters-k{k}.json",
    "probe": RUN + "/measures/probe.json",
    "lpips": RESULTS + "/views/{dataset}/{transform}/seed{seed}/lpips.json",
}


def table_inputs(panel) -> dict[str, list[str]]:
    """One file per run for every kind of measure that the table shows, in the order of its runs."""
    kinds = dict.fromkeys(METRICS[metric][0] for metric in panel.declared["metrics"])
    k = panel.declared.get("clusters")
    return {kind: [path(MEASURES[kind], run, k=k) for run in study.runs(panel)] for kind in kinds}


def figure_inputs(panel) -> dict[str, list[str]]:
    runs, k = study.runs(panel), panel.declared["clusters"]
    inputs = {
        "clusters": [path(RUN + "/measures/clusters-k{k}.parquet", run, k=k) for run in runs],
        "numbers": [path(RUN + "/measures/clusters-k{k}.json", run, k=k) for run in runs],
        "index": [path(DATA + "/index.parquet", run) for run in runs],
    }
    if panel.declared["plot"] == "tsne":
        inputs["tsne"] = [path(RUN + "/measures/tsne.parquet", run) for run in runs]
    if panel.declared["plot"] == "nearest":
        inputs["images"] = [path(DATA + "/images.npy", run) for run in runs]
    return inputs


for panel in study.panels.values():
    # The loop's variable is bound to what the rule uses here, since rules read their functions later.
    runs = study.runs(panel)
    file = f"{PANELS}/{panel.paper}/{panel.item}"
    caption = f"../report/{panel.name}.rst"
    shown = dict(category=panel.paper.replace("_", " ").capitalize(), subcategory=panel.item)

    if panel.is_table:

        rule:
            name:
                panel.name
            input:
                **table_inputs(panel),
                published="resources/published/{}.csv".format(panel.paper),
            output:
                csv=report(f"{file}.csv", caption=caption, labels={"format": "CSV"}, **shown),
                md=f"{file}.md",
                tex=f"{file}.tex",
            log:
                f"{file}.log",
            conda:
                ENVIRONMENT
            localrule: True
            params:
                panel=study.declaration(panel),
                code=code_hash("phenoviews/panels/table.py"),
            script:
                "../scripts/table.py"

    else:

        rule:
            name:
                panel.name
            input:
                **figure_inputs(panel),
            output:
                png=report(f"{file}.png", caption=caption, labels={"format": "PNG"}, **shown),
                pdf=f"{file}.pdf",
            log:
                f"{file}.log",
            conda:
                ENVIRONMENT
            localrule: True
            params:
                panel=study.declaration(panel),
                code=code_hash(f"phenoviews/panels/figure_{panel.declared['plot']}.py", "phenoviews/panels/style.py"),
            script:
                f"../scripts/figure_{panel.declared['plot']}.py"


for paper in study.config["panels"]:

    rule:
        name:
            paper
        localrule: True
        input:
            [f"{PANELS}/{paper}/{panel.item}.{'csv' if panel.is_table else 'png'}" for panel in study.panels.values() if panel.paper == paper],


rule all:
    default_target: True
    localrule: True
    input:
        [f"{PANELS}/{panel.paper}/{panel.item}.{'csv' if panel.is_table else 'png'}" for panel in study.panels.values()],
