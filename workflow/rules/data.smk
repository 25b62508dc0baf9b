# download (verified) → arrays and index


rule download:
    input:
        simulated,
    output:
        DOWNLOAD,
    log:
        "results/logs/download/{source}/{file}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        file=declared_file,
    script:
        "../scripts/download.py"


rule data:
    input:
        downloads,
    output:
        images=IMAGES,
        index=INDEX,
    log:
        "results/logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=f"(?!{CELLS}/)[^/]+",
    conda:
        ENVIRONMENT
    threads: study.config["resources"]["threads"]
    resources:
        runtime=tries(120),
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
    params:
        dataset=ask(Study.data, "dataset"),
        brought=brought(lambda wildcards: paths.brought(study, "datasets", wildcards.dataset)),
        code=code("prepare.py", kind_of(READERS, "datasets", "dataset")),
    script:
        "../scripts/prepare.py"


# Says where the weights are, or why there are none; `snakemake -R weights` tries again.
rule weights:
    output:
        WEIGHTS,
    log:
        "results/logs/weights/{weights}.log",
    localrule: True
    conda:
        ENVIRONMENT
    script:
        "../scripts/weights.py"
