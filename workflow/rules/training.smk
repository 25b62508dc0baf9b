# dataset × transform × method × backbone × seed → an encoder, its embeddings, its linear probe

TRAINING_CODE = [
    "phenoviews/data/images.py",
    "phenoviews/views/*.py",
    "phenoviews/models/*.py",
]


def method_code(wildcards) -> str:
    """The code of a training: another method's loss is not among it."""
    kind = told(study.entry, "methods", wildcards.method.split("+")[0])["kind"]
    shared = [f"phenoviews/methods/{module}.py" for module in ("__init__", "base", "heads", "losses")]
    loop = [f"phenoviews/training/{module}.py" for module in ("loop", "optim", "checkpoint")]
    return code_hash(*TRAINING_CODE, *shared, f"phenoviews/methods/{kind}.py", *loop)


def checkpoint_of(wildcards) -> str:
    """Outside the declared outputs, which Snakemake deletes when a job fails; named by what is trained."""
    identity = json.dumps([resolved(wildcards, *PRETRAINED), method_code(wildcards)], sort_keys=True)
    return f"{RESULTS}/checkpoints/{hashlib.sha256(identity.encode()).hexdigest()[:20]}.pt"


PRETRAINED = ["name", "scale", "dataset", "transform", "method", "training", "backbone", "seed"]


rule pretrain:
    input:
        images=f"{DATA}/images.npy",
        index=f"{DATA}/index.parquet",
        weights=weights_of,
    output:
        encoder=f"{RUN}/encoder.pt",
        projector=f"{RUN}/projector.pt",
        history=f"{RUN}/history.csv",
        summary=f"{RUN}/run.yaml",
    log:
        f"{RUN}/logs/pretrain.log",
    benchmark:
        f"{RUN}/benchmarks/pretrain.tsv"
    conda:
        ENVIRONMENT
    threads: study.config["resources"]["threads"]
    resources:
        gpu=1,
        runtime=minutes,
        mem_mb=memory,
    params:
        run=lambda wildcards: resolved(wildcards, *PRETRAINED),
        code=method_code,
        checkpoint=checkpoint_of,
    script:
        "../scripts/pretrain.py"


rule embed:
    input:
        images=f"{DATA}/images.npy",
        index=f"{DATA}/index.parquet",
        encoder=f"{RUN}/encoder.pt",
        projector=f"{RUN}/projector.pt",
    output:
        test=f"{RUN}/embeddings/test.npy",
    log:
        f"{RUN}/logs/embed.log",
    conda:
        ENVIRONMENT
    threads: study.config["resources"]["threads"]
    resources:
        gpu=1,
        runtime=30,
        mem_mb=memory,
    params:
        run=lambda wildcards: resolved(wildcards, "name", "dataset", "method", "backbone", "evaluate"),
        code=code_hash(*TRAINING_CODE, "phenoviews/training/embed.py"),
    script:
        "../scripts/embed.py"


rule probe:
    input:
        images=f"{DATA}/images.npy",
        index=f"{DATA}/index.parquet",
        encoder=f"{RUN}/encoder.pt",
    output:
        f"{RUN}/measures/probe.json",
    log:
        f"{RUN}/logs/probe.log",
    conda:
        ENVIRONMENT
    threads: study.config["resources"]["threads"]
    resources:
        gpu=1,
        runtime=lambda wildcards, attempt: 120 * attempt,
        mem_mb=memory,
    params:
        run=lambda wildcards: resolved(wildcards, "name", "dataset", "backbone", "probe", "seed"),
        code=code_hash(*TRAINING_CODE, "phenoviews/training/probe.py", "phenoviews/measures/probe.py"),
    script:
        "../scripts/probe.py"
