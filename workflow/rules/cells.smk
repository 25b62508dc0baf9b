# screen (simulated, downloaded or the user's own) → corrected fields → nuclei → the crops of a dataset's cells


# A screen with known truth, in the very files of the real one: the tables, and per plate an archive.
rule simulate_tables:
    output:
        images=SIMULATION.format(screen="{screen}", file="BBBC021_v1_image.csv"),
        moa=SIMULATION.format(screen="{screen}", file="BBBC021_v1_moa.csv"),
        checksums=[
            SIMULATION.format(screen="{screen}", file=f"BBBC021_v1_{table}.csv.sha256") for table in ("image", "moa")
        ],
    log:
        "results/logs/simulate/{screen}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        simulation=lambda wildcards: user_errors(study.entry, "screens", wildcards.screen)["simulation"],
        code=code("simulate_tables.py"),
    script:
        "../scripts/simulate_tables.py"


rule simulate_plate:
    output:
        archive=SIMULATION.format(screen="{screen}", file="BBBC021_v1_images_{plate}.zip"),
        checksum=SIMULATION.format(screen="{screen}", file="BBBC021_v1_images_{plate}.zip.sha256"),
        truth=TRUTH,
    log:
        "results/logs/simulate/{screen}/{plate}.log",
    conda:
        ENVIRONMENT
    resources:
        runtime=60,
        mem_mb=4000,
    params:
        simulation=lambda wildcards: user_errors(study.entry, "screens", wildcards.screen)["simulation"],
        code=code("simulate_plate.py"),
    script:
        "../scripts/simulate_plate.py"


rule screen:
    input:
        unpack(screen_files),
    output:
        FIELDS,
    log:
        f"{SCREEN}/logs/fields.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        screen=ask(Study.screen, "screen"),
        brought=brought(lambda wildcards: paths.brought(study, "screens", wildcards.screen)),
        code=code("screen.py", kind_of(SCREEN_READERS, "screens", "screen")),
    script:
        "../scripts/screen.py"


rule illumination:
    input:
        fields=FIELDS,
        pictures=pictures_of,
    output:
        ILLUMINATION,
    log:
        f"{SCREEN}/logs/illumination/{{plate}}.log",
    conda:
        ENVIRONMENT
    resources:
        runtime=tries(60),
        mem_mb=4000,
    params:
        screen=lambda wildcards: user_errors(study.screen, wildcards.screen, "illumination", "unreadable_fraction"),
        code=code("illumination.py"),
    script:
        "../scripts/illumination.py"


rule nuclei:
    input:
        fields=FIELDS,
        pictures=pictures_of,
        illumination=ILLUMINATION,
        locations=locations,
    output:
        nuclei=NUCLEI,
        intensities=INTENSITIES,
        qc=QC,
    log:
        f"{SCREEN}/logs/nuclei/{{plate}}.log",
    conda:
        ENVIRONMENT
    resources:
        runtime=tries(60),
        mem_mb=4000,
    params:
        brought=brought(locations),
        screen=lambda wildcards: user_errors(
            study.screen, wildcards.screen, "nuclei", "intensity", "unreadable_fraction"
        ),
        code=code("nuclei.py"),
    script:
        "../scripts/nuclei.py"


# For people to look at: no other stage waits for it, and panels do not depend on it.
rule qc:
    input:
        fields=FIELDS,
        pictures=pictures_of,
        illumination=ILLUMINATION,
        nuclei=NUCLEI,
        quality=QC,
    output:
        light=LIGHT,
        overlay=OVERLAY,
    log:
        f"{SCREEN}/logs/qc/{{plate}}.log",
    conda:
        ENVIRONMENT
    resources:
        runtime=tries(30),
        mem_mb=4000,
    params:
        screen=lambda wildcards: user_errors(study.screen, wildcards.screen, "nuclei"),
        code=code("qc.py"),
    script:
        "../scripts/qc.py"


# What of a simulated plate's true nuclei was found.
rule detection:
    input:
        nuclei=NUCLEI,
        truth=TRUTH,
    output:
        DETECTION,
    log:
        f"{SCREEN}/logs/detection/{{plate}}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        diameter=lambda wildcards: user_errors(study.entry, "screens", wildcards.screen)["nuclei"]["diameter"],
        code=code("detection.py"),
    script:
        "../scripts/detection.py"


# Only the cells of the dataset are cropped, one field in memory at a time.
rule cells:
    input:
        unpack(cell_inputs),
    output:
        images=IMAGES,
        index=INDEX,
    log:
        "results/logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=CELLS,
    conda:
        ENVIRONMENT
    resources:
        runtime=tries(120),
        mem_mb=4000,
    params:
        dataset=ask(Study.cells, "dataset"),
        code=code("cells.py", kind_of(CHOOSERS, "datasets", "dataset")),
    script:
        "../scripts/cells.py"
