# what the study costs, before anything of it runs


# Both have no output: a question is answered whenever it is asked.
rule plan:
    log:
        "results/logs/plan.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        document=document,
        said=said,
    script:
        "../scripts/plan.py"


rule calibrate:
    log:
        "results/logs/calibrate.log",
    conda:
        ENVIRONMENT
    threads: study.config["resources"]["threads"]
    resources:
        gpu=1,
        runtime=20,
        mem_mb=16000,
    params:
        document=document,
        said=said,
    script:
        "../scripts/calibrate.py"


def note_what_is_asked():
    """For `python -m phenoviews.status`: the trainings of this call, done already or not."""
    to_do = set(workflow.dag.needrun_jobs())
    for scale in study.at_work:
        trainings = {
            run_of(job.wildcards): job in to_do
            for job in workflow.dag.jobs
            if job.rule.name.endswith("pretrain") and job.wildcards.scale == scale
        }
        if trainings:
            stopping(write_asked, study.at(scale), trainings)


onstart:
    note_what_is_asked()
