# dataset × transform × method × backbone × seed → an encoder, its embeddings


rule pretrain:
    input:
        images=IMAGES,
        index=INDEX,
        weights=weights_of,
    output:
        encoder=f"{RUN}/encoder.pt",
        projector=f"{RUN}/projector.pt",
        snapshots=SNAPSHOTS,
        embeddings=EMBEDDINGS.replace("{evaluate}", "encoder"),
        history=f"{RUN}/history.csv",
        summary=f"{RUN}/run.yaml",
    log:
        f"{RUN}/logs/pretrain.log",
    wildcard_constraints:
        method=TRAINED,
    conda:
        ENVIRONMENT
    threads: setting("resources", "threads")
    resources:
        gpu=1,
        runtime=minutes,
        mem_mb=memory,
    params:
        brought=brought(weights_of),
        run=without_tending(pretraining_of),
        tending=tending_of(pretraining_of),
        watched=watched,
        checkpoint=checkpoint_of,
        code=code("pretrain.py", trained_with),
    script:
        "../scripts/pretrain.py"


# The projector's output, where that is to be evaluated.
rule embed:
    input:
        images=IMAGES,
        index=INDEX,
        encoder=f"{RUN}/encoder.pt",
        projector=f"{RUN}/projector.pt",
        summary=f"{RUN}/run.yaml",
    output:
        EMBEDDINGS.replace("{evaluate}", "projector"),
    log:
        f"{RUN}/logs/embed.log",
    wildcard_constraints:
        method=TRAINED,
    conda:
        ENVIRONMENT
    threads: setting("resources", "threads")
    resources:
        gpu=1,
        runtime=30,
        mem_mb=memory,
    params:
        run=resolved(Embedding, evaluate="projector"),
        code=code("embed.py", embedded_with),
    script:
        "../scripts/embed.py"


# The encoder as it is given; where it cannot be had, the reason why.
rule embed_frozen:
    input:
        images=IMAGES,
        index=INDEX,
        weights=weights_of,
    output:
        EMBEDDINGS.replace("{evaluate}", "encoder"),
    log:
        f"{RUN}/logs/embed.log",
    wildcard_constraints:
        method=FROZEN,
    conda:
        ENVIRONMENT
    threads: setting("resources", "threads")
    resources:
        gpu=1,
        runtime=60,
        mem_mb=16000,
    params:
        brought=brought(weights_of),
        run=given_encoder,
        code=code("embed_frozen.py", embedded_with),
    script:
        "../scripts/embed_frozen.py"
