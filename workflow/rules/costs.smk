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
