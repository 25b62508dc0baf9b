# embeddings, labels, images → numbers


rule clusters:
    input:
        index=INDEX,
        embeddings=embeddings_of,
    output:
        values=CLUSTERS,
        points=POINTS,
    log:
        f"{RUN}/logs/clusters-k{{k}}.log",
    group:
        BUNDLE
    conda:
        ENVIRONMENT
    resources:
        runtime=30,
        mem_mb=4000,
        bundle=1,
    params:
        n_init=setting("measures", "clusters", "n_init"),
        seed=setting("measures", "clusters", "seed"),
        metrics=measured("clusters"),
        code=code("clusters.py"),
    script:
        "../scripts/clusters.py"


# Whatever needs the clusters: `phenoviews.measures.clustered` has the measures.
rule measure_clusters:
    input:
        index=INDEX,
        images=IMAGES,
        clusters=CLUSTERS,
        points=POINTS,
    output:
        MEASURE_K,
    log:
        f"{RUN}/logs/{{measure}}-k{{k}}.log",
    wildcard_constraints:
        measure="|".join(registered(CLUSTERED)),
    group:
        BUNDLE
    conda:
        ENVIRONMENT
    resources:
        runtime=30,
        mem_mb=4000,
        bundle=1,
    params:
        metrics=metrics_of,
        code=code("measure_clusters.py", measure_of(CLUSTERED)),
    script:
        "../scripts/measure_clusters.py"


# Whatever needs embeddings alone: `phenoviews.measures.embedded` has the measures.
rule measure_embeddings:
    input:
        index=INDEX,
        embeddings=embeddings_of,
    output:
        MEASURE,
    log:
        f"{RUN}/logs/{{measure}}.log",
    wildcard_constraints:
        measure="|".join(registered(EMBEDDED)),
    group:
        BUNDLE
    conda:
        ENVIRONMENT
    resources:
        runtime=60,
        mem_mb=lambda wildcards: 16000 if evaluated_of(wildcards) == "all" else 4000,
        bundle=1,
    params:
        evaluated=evaluated_of,
        settings=measure_settings,
        metrics=metrics_of,
        code=code("measure_embeddings.py", measure_of(EMBEDDED)),
    script:
        "../scripts/measure_embeddings.py"


# Whatever needs the encoder itself: `phenoviews.training.encoded` has the measures.
rule measure_encoder:
    input:
        unpack(networks_of),
        images=IMAGES,
        index=INDEX,
        embeddings=embeddings_of,
    output:
        MEASURE,
    log:
        f"{RUN}/logs/{{measure}}.log",
    wildcard_constraints:
        measure="|".join(registered(ENCODED)),
    conda:
        ENVIRONMENT
    threads: setting("resources", "threads")
    resources:
        gpu=1,
        runtime=tries(120),
        mem_mb=memory,
    params:
        brought=brought(networks_of),
        run=encoder,
        settings=measure_settings,
        metrics=metrics_of,
        code=code("measure_encoder.py", ask(chosen.measured_with, "run", "measure")),
    script:
        "../scripts/measure_encoder.py"


# The linear probe, and the class that it takes each test image for.
rule probe:
    input:
        unpack(networks_of),
        images=IMAGES,
        index=INDEX,
        embeddings=embeddings_of,
    output:
        values=MEASURE.replace("{measure}", "probe"),
        predictions=PREDICTIONS.replace("{classifier}", "probe"),
    log:
        f"{RUN}/logs/probe.log",
    conda:
        ENVIRONMENT
    threads: setting("resources", "threads")
    resources:
        gpu=1,
        runtime=tries(120),
        mem_mb=memory,
    params:
        brought=brought(networks_of),
        run=encoder,
        settings=probe_settings,
        metrics=measured("probe"),
        code=code("probe.py", probed_with),
    script:
        "../scripts/probe.py"


# The encoder trained on, together with a classifier [A-17].
rule fine_tune:
    input:
        unpack(networks_of),
        images=IMAGES,
        index=INDEX,
        embeddings=embeddings_of,
    output:
        values=MEASURE.replace("{measure}", "fine_tuning"),
        predictions=PREDICTIONS.replace("{classifier}", "fine_tuning"),
    log:
        f"{RUN}/logs/fine_tuning.log",
    conda:
        ENVIRONMENT
    threads: setting("resources", "threads")
    resources:
        gpu=1,
        runtime=tries(240),
        mem_mb=memory,
    params:
        brought=brought(networks_of),
        run=encoder,
        settings=without_tending(fine_tuning_of),
        tending=tending_of(fine_tuning_of),
        checkpoint=fine_tuning_checkpoint,
        metrics=measured("fine_tuning"),
        code=code("fine_tune.py", fine_tuned_with),
    script:
        "../scripts/fine_tune.py"


rule tsne:
    input:
        index=INDEX,
        embeddings=embeddings_of,
    output:
        TSNE,
    log:
        f"{RUN}/logs/tsne.log",
    group:
        BUNDLE
    conda:
        ENVIRONMENT
    resources:
        runtime=60,
        mem_mb=4000,
        bundle=1,
    params:
        points=setting("measures", "tsne", "points"),
        seed=setting("measures", "tsne", "seed"),
        code=code("tsne.py"),
    script:
        "../scripts/tsne.py"


# Cells → well profiles → treatments, and whether each finds its mechanism of action.
rule score:
    input:
        index=INDEX,
        embeddings=embeddings_of,
    output:
        values=MEASURE.replace("{measure}", "scores"),
        profiles=PROFILES.replace("{file}", "profiles.parquet"),
        predictions=PROFILES.replace("{file}", "predictions.csv"),
        map=PROFILES.replace("{file}", "map.parquet"),
        about=PROFILES.replace("{file}", "about.json"),
    log:
        f"{RUN}/logs/score.log",
    group:
        BUNDLE
    conda:
        ENVIRONMENT
    resources:
        runtime=60,
        mem_mb=16000,
        bundle=1,
    params:
        settings=setting("measures", "profiles"),
        evaluated=evaluated_of,
        metrics=measured("scores"),
        code=code("score.py"),
    script:
        "../scripts/score.py"


# Measures of the encoders that a training had on its way. Nothing is chosen by them.
rule measure_on_the_way:
    input:
        index=INDEX,
        images=IMAGES,
        snapshots=SNAPSHOTS,
    output:
        MEASURE.replace("{measure}", f"{{measure}}{BY_EPOCH}"),
    log:
        f"{RUN}/logs/{{measure}}{BY_EPOCH}.log",
    wildcard_constraints:
        method=TRAINED,
        measure="|".join(MEASURED_BY_EPOCH),
    conda:
        ENVIRONMENT
    threads: setting("resources", "threads")
    resources:
        gpu=1,
        runtime=tries(240),
        mem_mb=memory,
    params:
        run=encoder,
        epochs=lengths_of,
        settings=settings_on_the_way,
        evaluated=evaluated_of,
        metrics=metrics_by_epoch,
        code=code("measure_on_the_way.py", ask(chosen.measured_on_the_way_with, "run", "measure")),
    script:
        "../scripts/measure_on_the_way.py"


# What profiles follow besides: replicates, mechanisms of action, weeks and plates.
rule structure:
    input:
        PROFILES.replace("{file}", "profiles.parquet"),
    output:
        MEASURE.replace("{measure}", "structure"),
    log:
        f"{RUN}/logs/structure.log",
    group:
        BUNDLE
    conda:
        ENVIRONMENT
    resources:
        runtime=60,
        mem_mb=4000,
        bundle=1,
    params:
        control=control_of,
        metrics=measured("structure"),
        settings=structure_settings,
        code=code("structure.py"),
    script:
        "../scripts/structure.py"


# What the classes of a data set are like, as an encoder that others trained sees them, and in the images themselves.
rule properties:
    input:
        images=IMAGES,
        index=INDEX,
        embeddings=embeddings_of,
    output:
        PROPERTIES,
    log:
        f"{RUN}/logs/properties.log",
    group:
        BUNDLE
    conda:
        ENVIRONMENT
    resources:
        runtime=60,
        mem_mb=8000,
        bundle=1,
    params:
        settings=setting("measures", "properties"),
        composites=ask(composites.composites, "dataset"),
        metrics=measured("properties"),
        code=code("properties.py"),
    script:
        "../scripts/properties.py"


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
        brought=brought(lpips_weights),
        dataset=ask(Study.network_input, "dataset"),
        composites=ask(composites.composites, "dataset"),
        sets=ask(Study.sets, "transform"),
        pair=setting("measures", "lpips", "pair"),
        metrics=measured("lpips"),
        code=code("perceptual.py", viewed_with),
    script:
        "../scripts/perceptual.py"
