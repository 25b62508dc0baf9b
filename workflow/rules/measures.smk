# embeddings, labels, images → numbers


rule clusters:
    input:
        index=f"{DATA}/index.parquet",
        embeddings=f"{RUN}/embeddings/test.npy",
    output:
        numbers=f"{RUN}/measures/clusters-k{{k}}.json",
        table=f"{RUN}/measures/clusters-k{{k}}.parquet",
    log:
        f"{RUN}/logs/clusters-k{{k}}.log",
    conda:
        ENVIRONMENT
    resources:
        runtime=30,
        mem_mb=4000,
    params:
        **{key: study.config["measures"]["clusters"][key] for key in ("n_init", "seed")},
        code=code_hash("phenoviews/measures/clusters.py"),
    script:
        "../scripts/clusters.py"


rule tsne:
    input:
        index=f"{DATA}/index.parquet",
        embeddings=f"{RUN}/embeddings/test.npy",
    output:
        f"{RUN}/measures/tsne.parquet",
    log:
        f"{RUN}/logs/tsne.log",
    conda:
        ENVIRONMENT
    resources:
        runtime=60,
        mem_mb=4000,
    params:
        **study.config["measures"]["tsne"],
        code=code_hash("phenoviews/measures/tsne.py"),
    script:
        "../scripts/tsne.py"


def lpips_weights(wildcards) -> list[str]:
    """AlexNet's ImageNet weights: what the download said, a file of the user's, or none."""
    weights = study.config["measures"]["lpips"]["weights"]
    return {"download": ["results/weights/alexnet.json"], "none": []}.get(weights, [weights])


# How far apart two views are that a transform makes, whatever is then trained on them.
rule lpips:
    input:
        images=f"{DATA}/images.npy",
        index=f"{DATA}/index.parquet",
        weights=lpips_weights,
    output:
        RESULTS + "/views/{dataset}/{transform}/seed{seed}/lpips.json",
    log:
        RESULTS + "/views/{dataset}/{transform}/seed{seed}/lpips.log",
    conda:
        ENVIRONMENT
    resources:
        gpu=1,
        runtime=60,
        mem_mb=8000,
    params:
        dataset=lambda wildcards: study.seen(wildcards.dataset),
        sets=lambda wildcards: told(study.sets, wildcards.transform),
        pair=study.config["measures"]["lpips"]["pair"],
        code=code_hash("phenoviews/data/images.py", "phenoviews/views/*.py", "phenoviews/measures/perceptual.py"),
    script:
        "../scripts/lpips.py"
