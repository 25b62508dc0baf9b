# embeddings, labels, images → numbers


rule clusters:
    input:
        index=INDEX,
        embeddings=embeddings_of,
    output:
        numbers=CLUSTERS,
        table=CLUSTER_TABLE,
    log:
        f"{RUN}/logs/clusters-k{{k}}.log",
    conda:
        ENVIRONMENT
    resources:
        runtime=30,
        mem_mb=4000,
    params:
        **study.config["measures"]["clusters"],
        code=code("clusters.py"),
    script:
        "../scripts/clusters.py"


# Treated against untreated cells, dose by dose, on equal random samples.
rule doses:
    input:
        index=INDEX,
        embeddings=embeddings_of,
    output:
        DOSES,
    log:
        f"{RUN}/logs/doses.log",
    conda:
        ENVIRONMENT
    resources:
        runtime=60,
        mem_mb=4000,
    params:
        clusters=study.config["measures"]["clusters"],
        code=code("doses.py"),
    script:
        "../scripts/doses.py"


rule tsne:
    input:
        index=INDEX,
        embeddings=embeddings_of,
    output:
        TSNE,
    log:
        f"{RUN}/logs/tsne.log",
    conda:
        ENVIRONMENT
    resources:
        runtime=60,
        mem_mb=4000,
    params:
        **study.config["measures"]["tsne"],
        code=code("tsne.py"),
    script:
        "../scripts/tsne.py"


# Cells → well profiles → treatments, and whether each finds its mechanism of action.
rule score:
    input:
        index=INDEX,
        embeddings=embeddings_of,
    output:
        profiles=PROFILES,
        numbers=SCORES,
        predictions=SCORES.replace(".json", ".csv"),
        treatments=TREATMENTS,
    log:
        f"{RUN}/logs/score.log",
    conda:
        ENVIRONMENT
    resources:
        runtime=60,
        mem_mb=16000,
    params:
        settings=study.config["measures"]["profiles"],
        code=code("score.py"),
    script:
        "../scripts/score.py"


# What profiles follow besides: replicates, mechanisms of action, weeks and plates.
rule structure:
    input:
        PROFILES,
    output:
        STRUCTURE,
    log:
        f"{RUN}/logs/structure.log",
    conda:
        ENVIRONMENT
    resources:
        runtime=60,
        mem_mb=4000,
    params:
        control=control_of,
        settings={key: study.config["measures"]["profiles"][key] for key in STRUCTURE_SETTINGS},
        code=code("structure.py"),
    script:
        "../scripts/structure.py"


# How far apart two views are that a transform makes, whatever is then trained on them.
rule lpips:
    input:
        images=IMAGES,
        index=INDEX,
        weights=lpips_weights,
    output:
        LPIPS,
    log:
        f"{VIEWS}/lpips.log",
    conda:
        ENVIRONMENT
    resources:
        gpu=1,
        runtime=60,
        mem_mb=8000,
    params:
        dataset=lambda wildcards: user_errors(study.network_input, wildcards.dataset),
        sets=lambda wildcards: user_errors(study.sets, wildcards.transform),
        pair=study.config["measures"]["lpips"]["pair"],
        code=code("perceptual.py", {OPERATIONS: transform_operations}),
    script:
        "../scripts/perceptual.py"
