# panels, runs, screens → a page for people to read, and a sheet of all verdicts


# What the transforms of the trainings make of eight images of a data set, by the very code that trains.
rule views:
    input:
        images=IMAGES,
        index=INDEX,
    output:
        directory(LOOKS),
    log:
        "results/{scale}/logs/views/{dataset}.log",
    conda:
        ENVIRONMENT
    resources:
        runtime=30,
        mem_mb=8000,
    params:
        looks=looks_of,
        dataset=ask(Study.network_input, "dataset"),
        paints=ask(composites.paints, "dataset"),
        seed=lambda wildcards: study_of(wildcards).config["seeds"][0],
        code=code("draw_views.py", lambda wildcards: {chosen.OPERATIONS: looks.operations(looks_of(wildcards))}),
    script:
        "../scripts/draw_views.py"


for scale in study.at_work:

    rule:
        name:
            page_rule(scale)
        input:
            unpack(lambda wildcards, scale=scale: page_inputs(scale)),
        output:
            page=PAGE.format(scale=scale),
            csv=SHEET.format(scale=scale, suffix="csv"),
            md=SHEET.format(scale=scale, suffix="md"),
        log:
            f"results/{scale}/logs/report.log",
        localrule: True
        conda:
            ENVIRONMENT
        params:
            told=page_told(scale),
            templates=page_templates,
            code=code("report.py"),
        script:
            "../scripts/report.py"
