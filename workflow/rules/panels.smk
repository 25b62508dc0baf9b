# measures → tables and figures, each beside the published value. Every panel is a rule of its own name.

for panel in study.panels.values():
    if panel.is_table:

        rule:
            name:
                panel.name
            input:
                **table_inputs(panel),
                published=if_there(f"resources/published/{panel.paper}.csv"),
                claims=if_there(f"resources/claims/{panel.paper}.yaml"),
            output:
                csv=report(panel_file(panel, "csv"), **in_report(panel, "CSV")),
                md=panel_file(panel, "md"),
                tex=panel_file(panel, "tex"),
                claims=panel_file(panel, "claims.csv"),
            log:
                panel_file(panel, "log"),
            localrule: True
            conda:
                ENVIRONMENT
            params:
                panel=told(study.declaration, panel),
                code=code_hash(
                    "phenoviews/panels/records.py", "phenoviews/panels/table.py", "phenoviews/panels/claims.py"
                ),
            script:
                "../scripts/table.py"

    else:

        rule:
            name:
                panel.name
            input:
                **figure_inputs(panel),
            output:
                png=report(panel_file(panel, "png"), **in_report(panel, "PNG")),
                pdf=panel_file(panel, "pdf"),
            log:
                panel_file(panel, "log"),
            localrule: True
            conda:
                ENVIRONMENT
            params:
                panel=told(study.declaration, panel),
                code=code_hash(
                    f"phenoviews/panels/figure_{panel.declared['plot']}.py",
                    "phenoviews/panels/style.py",
                    "phenoviews/panels/records.py",
                ),
            script:
                "../scripts/figure.py"


for paper in study.config["panels"]:

    rule:
        name:
            paper
        input:
            panel_files([paper]),
        localrule: True
