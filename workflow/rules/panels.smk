# measures → tables and figures, each beside the published value. Every panel is a rule of its own name.

for panel in study.panels.values():
    if panel.is_table:

        rule:
            name:
                panel.name
            input:
                **paths.measures(study.of(panel), panel, study.runs(panel)),
            output:
                **number_files(panel),
            log:
                panel_file(panel, "log"),
            localrule: True
            conda:
                ENVIRONMENT
            params:
                **printed(panel),
                panel=user_errors(study.declaration, panel),
                code=code("table.py"),
            script:
                "../scripts/table.py"

    else:

        rule:
            name:
                panel.name
            input:
                **paths.measures(study.of(panel), panel, study.runs(panel)),
                **paths.figure_files(study.of(panel), panel, study.runs(panel)),
            output:
                **number_files(panel),
                png=report(panel_file(panel, "png"), **in_report(panel, "PNG")),
                pdf=panel_file(panel, "pdf"),
            log:
                panel_file(panel, "log"),
            localrule: True
            conda:
                ENVIRONMENT
            params:
                **printed(panel),
                panel=user_errors(study.declaration, panel),
                code=code("figure.py", {FIGURES: lambda wildcards, panel=panel: [panel.declared["plot"]]}),
            script:
                "../scripts/figure.py"


for paper in study.config["panels"]:

    rule:
        name:
            paper
        input:
            panel_files([paper]),
        localrule: True
