# measures → tables and figures, each beside the published value. Every panel is a rule of its own name.

TARGETS = [*study.panels, *study.config["panels"]]
for name in TARGETS:
    if workflow.is_rule(workflow.modifier.modify_rulename(name)) or TARGETS.count(name) > 1:
        raise WorkflowError(
            f"config: panels: '{name}' is the name of another rule; call the group or the panel otherwise"
        )

# With `partial: true`, what of each is there.
MADE_OF, SWEEPS_OF, LACKS = partial_panels()

for panel in filter(is_drawn, study.panels.values()):
    if panel.measures_of_sweeps:

        # Takes minutes, hence no local rule.
        rule:
            name:
                f"{panel.name}_sweeps"
            input:
                **present(SWEEPS_OF[panel.name], sweep_files(panel)),
            output:
                **paths.sweeps(study.of(panel), panel),
            log:
                panel_file(panel, "sweeps.log"),
            conda:
                ENVIRONMENT
            resources:
                runtime=240,
                mem_mb=8000,
            params:
                **partly(SWEEPS_OF[panel.name]),
                given=user_errors(study.sweeps, panel),
                settings=study.of(panel).config["measures"]["sweeps"],
                code=code("sweeps.py", lambda wildcards, panel=panel: {SWEEPS: panel.measures_of_sweeps}),
            script:
                "../scripts/sweeps.py"

    if panel.is_audit:
        # What is decided at a look has no more seeds, so that what is trained after it is known only then.
        for number in range(1, user_errors(study.rounds, panel)):

            checkpoint:
                name:
                    f"{panel.name}_look{number}"
                input:
                    unpack(lambda wildcards, panel=panel, number=number: audited_files(panel, number)),
                output:
                    panel_file(panel, f"look{number}.json"),
                log:
                    panel_file(panel, f"look{number}.log"),
                conda:
                    ENVIRONMENT
                resources:
                    runtime=60,
                    mem_mb=4000,
                params:
                    panel=user_errors(study.deciding, panel),
                    inputs=[*paths.audit_files(study.of(panel), panel, [])],
                    each=lambda wildcards, panel=panel, number=number: [vars(run) for run in audited(panel, number)],
                    code=code("audit_look.py"),
                script:
                    "../scripts/audit_look.py"

        # What a round of a search tries is known once all before it is trained.
        for number in range(1, user_errors(study.rounds_of_search, panel) + 1):

            checkpoint:
                name:
                    f"{panel.name}_search{number}"
                input:
                    unpack(lambda wildcards, panel=panel, number=number: searched_files(panel, number)),
                    **look_files(panel),
                    **proposed_files(panel, number),
                output:
                    panel_file(panel, f"search{number}.json"),
                log:
                    panel_file(panel, f"search{number}.log"),
                conda:
                    ENVIRONMENT
                resources:
                    runtime=60,
                    mem_mb=4000,
                params:
                    panel=user_errors(study.deciding, panel),
                    inputs=[*paths.audit_files(study.of(panel), panel, [])],
                    each=lambda wildcards, panel=panel: [vars(run) for run in audited(panel)],
                    searched=lambda wildcards, panel=panel, number=number: as_told(searched(panel, number)),
                    code=code("audit_search.py"),
                script:
                    "../scripts/audit_search.py"

        # What is recommended is known once all settings are trained, and only then what is trained again.
        checkpoint:
            name:
                f"{panel.name}_choice"
            input:
                unpack(lambda wildcards, panel=panel: searched_files(panel)),
                **look_files(panel),
                **proposed_files(panel),
            output:
                panel_file(panel, "choice.json"),
            log:
                panel_file(panel, "choice.log"),
            conda:
                ENVIRONMENT
            resources:
                runtime=60,
                mem_mb=4000,
            params:
                panel=user_errors(study.deciding, panel),
                inputs=[*paths.audit_files(study.of(panel), panel, [])],
                each=lambda wildcards, panel=panel: [vars(run) for run in audited(panel)],
                searched=lambda wildcards, panel=panel: as_told(searched(panel)),
                code=code("audit_choice.py"),
            script:
                "../scripts/audit_choice.py"

        rule:
            name:
                panel.name
            input:
                unpack(lambda wildcards, panel=panel: audited_again(panel)),
                **look_files(panel),
                **proposed_files(panel),
                **paths.audit_images(study.of(panel), panel, study.runs(panel)),
            output:
                **length_files(panel),
                **search_files(panel),
                csv=report(panel_file(panel, "csv"), **in_report(panel, "CSV")),
                md=panel_file(panel, "md"),
                yaml=report(panel_file(panel, "yaml"), **in_report(panel, "YAML")),
                json=panel_file(panel, "json"),
                png=report(panel_file(panel, "png"), **in_report(panel, "PNG")),
                pdf=panel_file(panel, "pdf"),
            log:
                panel_file(panel, "log"),
            conda:
                ENVIRONMENT
            resources:
                runtime=60,
                mem_mb=8000,
            params:
                panel=user_errors(study.audited, panel),
                inputs=[*paths.audit_files(study.of(panel), panel, [])],
                each=lambda wildcards, panel=panel: [vars(run) for run in audited(panel)],
                searched=lambda wildcards, panel=panel: as_told(searched(panel)),
                again=lambda wildcards, panel=panel: [vars(run) for run in confirming(panel)],
                code=code("audit.py"),
            script:
                "../scripts/audit.py"

    elif panel.is_table:

        rule:
            name:
                panel.name
            input:
                **present(MADE_OF[panel.name], paths.measures(study.of(panel), panel, study.runs(panel))),
                **paths.sweeps(study.of(panel), panel),
            output:
                **number_files(panel),
            log:
                panel_file(panel, "log"),
            localrule: True
            conda:
                ENVIRONMENT
            params:
                **printed(panel),
                **partly(MADE_OF[panel.name]),
                panel=declared(panel),
                code=code("table.py"),
            script:
                "../scripts/table.py"

    else:

        rule:
            name:
                panel.name
            input:
                **present(
                    MADE_OF[panel.name],
                    {
                        **paths.measures(study.of(panel), panel, study.runs(panel)),
                        **paths.figure_files(study.of(panel), panel, study.runs(panel)),
                    },
                ),
                **paths.sweeps(study.of(panel), panel),
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
                **partly(MADE_OF[panel.name]),
                panel=declared(panel),
                code=code("figure.py", lambda wildcards, panel=panel: {FIGURES: [panel.declared["plot"]]}),
            script:
                "../scripts/figure.py"


for paper in study.config["panels"]:

    rule:
        name:
            paper
        input:
            panel_files([panel for panel in study.panels.values() if panel.paper == paper]),
        localrule: True
