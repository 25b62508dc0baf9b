# download (verified) → arrays and index


def downloads(wildcards) -> list[str]:
    """The files that a dataset is made of: its downloads, or what the user brings."""
    dataset = told(study.entry, "datasets", wildcards.dataset)
    if "path" in dataset:
        return [dataset["path"]]
    return [
        f"results/downloads/{wildcards.dataset}/{file['name']}"
        for file in dataset.get("files", {}).values()
    ]


def declared_file(wildcards) -> dict:
    """What config.yaml says of one file of a dataset: its name and checksum. Not its mirrors: another mirror's bytes
    are the same."""
    files = told(study.entry, "datasets", wildcards.dataset).get("files", {})
    by_name = {file["name"]: file for file in files.values()}
    return by_name[wildcards.file]


rule download:
    output:
        "results/downloads/{dataset}/{file}",
    log:
        "results/logs/download/{dataset}/{file}.log",
    conda:
        ENVIRONMENT
    localrule: True
    params:
        file=declared_file,
    script:
        "../scripts/download.py"


rule data:
    input:
        downloads,
    output:
        images=f"{DATA}/images.npy",
        index=f"{DATA}/index.parquet",
    log:
        "results/logs/data/{dataset}.log",
    conda:
        ENVIRONMENT
    localrule: True
    params:
        dataset=lambda wildcards: study.data(wildcards.dataset),
        code=code_hash("phenoviews/data/*.py", "prepare.py"),
    script:
        "../scripts/prepare.py"


# Always succeeds: what it writes says where the weights are, or why there are none. `-R weights` tries again.
rule weights:
    output:
        "results/weights/{weights}.json",
    log:
        "results/logs/weights/{weights}.log",
    conda:
        ENVIRONMENT
    localrule: True
    script:
        "../scripts/weights.py"
