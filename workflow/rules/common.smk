# The study, validated before anything else; the paths; the functions that tell rules their inputs, resources and
# parameters. What they decide is decided in phenoviews/study: here it is handed to Snakemake.

import hashlib
import json
import re
import sys
from pathlib import Path
from types import MappingProxyType

import yaml
from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "workflow" / "scripts"))

from phenoviews.errors import UserError
from phenoviews.study import METRICS, Run, Study
from phenoviews.study.code import code_hash
from phenoviews.study.locks import clear_stale

# Killed at any moment, the workflow goes on at the next call.
if workflow.is_main_process and not workflow.dryrun:
    alive = clear_stale(Path(".snakemake"))


def told(function, *arguments):
    """Call `function`; what the user can put right ends the workflow with its one line."""
    try:
        return function(*arguments)
    except UserError as error:
        raise WorkflowError(str(error)) from None


# The document as it is shipped: a panel names what the user's settings change in it.
shipped = yaml.safe_load((Path(workflow.basedir) / "config.yaml").read_text())
study = told(Study, config, shipped)


# A local machine counts its GPUs; a scheduler gives one to each job that asks.
resource_scopes:
    gpu="local",


def named(section, *kinds):
    """A pattern of the names, with overrides or without, of entries of these kinds: for rules that serve only them."""
    names = [name for name, entry in study.config[section].items() if entry["kind"] in kinds]
    return rf"({'|'.join(map(re.escape, names))})(\+[^/]+)?" if names else "(?!)"


CELLS = named("datasets", "cells", "treatments")
FROZEN = named("methods", "frozen")
TRAINED = f"(?!{FROZEN}/)[^/]+"


wildcard_constraints:
    source="[^/]+",
    file="[^/]+",
    screen="[^/]+",
    plate="[^/]+",
    dataset="[^/]+",
    transform="[^/]+",
    method="[^/]+",
    backbone="[^/]+",
    seed=r"\d+",
    k=r"\d+",


# --------------------------------------------------------------------------------------------------------------- code
# Registries of the library: a rule depends on what it chooses of one, and on nothing else in it.
READERS = "phenoviews.data.readers.READERS"
SCREEN_READERS = "phenoviews.cells.screen.READERS"
CHOOSERS = "phenoviews.cells.choosers.CHOOSERS"
OPERATIONS = "phenoviews.views.OPERATIONS"
METHODS = "phenoviews.methods.METHODS"
FIGURES = "phenoviews.panels.figures.FIGURES"


def code(root, registries=MappingProxyType({})):
    """A parameter: the hash of the code that is reached from a rule's script. `registries`: {registry: function of the
    wildcards that tells which of its keys are used}."""
    return lambda wildcards: code_hash(root, {name: keys(wildcards) for name, keys in registries.items()})


def kind_of(section, wildcard):
    """The kind of the entry that a wildcard names."""
    return lambda wildcards: [told(study.entry, section, getattr(wildcards, wildcard))["kind"]]


def method_of(wildcards) -> list[str]:
    return [told(study.resolve, run_of(wildcards))["method"]["kind"]]


def transform_operations(wildcards) -> set[str]:
    """The operations of a transform, and the one that makes the evaluated images."""
    sets = told(study.sets, wildcards.transform)
    return {operation for one in sets for view in one["views"] for step in view for operation in step}


def evaluation_operations(wildcards) -> set[str]:
    """Evaluated images are resized and normalised, nothing else."""
    return {"normalize"}


def probe_operations(wildcards) -> set[str]:
    steps = told(study.resolve, run_of(wildcards))["probe"]["transform"]
    return {"normalize"} | {operation for step in steps for operation in step}


TRAINED_WITH = {METHODS: method_of, OPERATIONS: transform_operations}

# -------------------------------------------------------------------------------------------------------------- paths
ENVIRONMENT = "../../envs/phenoviews.yaml"
DOWNLOAD = "results/downloads/{source}/{file}"
SIMULATION = "results/simulation/{screen}/{file}"
SCREEN = "results/screens/{screen}"
FIELDS = f"{SCREEN}/fields.parquet"
ILLUMINATION = f"{SCREEN}/illumination/{{plate}}.npy"
LIGHT = f"{SCREEN}/illumination/{{plate}}.png"
NUCLEI = f"{SCREEN}/nuclei/{{plate}}.parquet"
QC = f"{SCREEN}/qc/{{plate}}.csv"
OVERLAY = f"{SCREEN}/qc/{{plate}}.png"
DETECTION = f"{SCREEN}/detection/{{plate}}.json"
INTENSITIES = f"{SCREEN}/intensities/{{plate}}.json"
IMAGES = "results/data/{dataset}/images.npy"
INDEX = "results/data/{dataset}/index.parquet"
WEIGHTS = "results/weights/{weights}.json"
RESULTS = f"results/{study.scale}"
VIEWS = f"{RESULTS}/views/{{dataset}}/{{transform}}/seed{{seed}}"
RUN = f"{RESULTS}/runs/{{dataset}}/{{transform}}/{{method}}/{{backbone}}/seed{{seed}}"
EMBEDDINGS = f"{RUN}/embeddings/{{evaluate}}.npy"
CLUSTERS = f"{RUN}/measures/clusters-k{{k}}.json"
CLUSTER_TABLE = f"{RUN}/measures/clusters-k{{k}}.parquet"
TSNE = f"{RUN}/measures/tsne.parquet"
DOSES = f"{RUN}/measures/doses.json"
PROFILES = f"{RUN}/measures/profiles.parquet"
SCORES = f"{RUN}/measures/scores.json"
TREATMENTS = f"{RUN}/measures/treatments.parquet"
STRUCTURE = f"{RUN}/measures/structure.json"
PROBE = f"{RUN}/measures/probe.json"
LPIPS = f"{VIEWS}/lpips.json"


def path(pattern, run, **more) -> str:
    """The file of a run."""
    return pattern.format(**vars(run), **more)


def run_of(wildcards) -> Run:
    axes = ("dataset", "transform", "method", "backbone")
    return Run(*(getattr(wildcards, axis) for axis in axes), seed=int(wildcards.seed))


def own(file) -> str:
    """A path of the user's, as Snakemake looks for it."""
    return str(Path(file).expanduser())


# --------------------------------------------------------------------------------------------------------------- data
def downloads(wildcards) -> list[str]:
    """The files that a dataset is made of: its downloads, or what the user brings."""
    dataset = told(study.entry, "datasets", wildcards.dataset)
    if "path" in dataset:
        return [own(dataset["path"])]
    files = dataset.get("files", {}).values()
    return [DOWNLOAD.format(source=wildcards.dataset, file=file["name"]) for file in files]


def declared_file(wildcards) -> dict:
    """What config.yaml says of one file: its name and checksum; of a plate's archive the name. Not its mirrors: bytes
    with the right checksum are the same from anywhere."""
    files = told(study.source, wildcards.source).get("files", {}).values()
    return next((file for file in files if file["name"] == wildcards.file), {"name": wildcards.file})


def simulated(wildcards) -> list[str]:
    """The file to download where a simulation makes it."""
    is_simulated = "simulation" in told(study.source, wildcards.source)
    return [SIMULATION.format(screen=wildcards.source, file=wildcards.file)] if is_simulated else []


# -------------------------------------------------------------------------------------------------------------- cells
def screen_files(wildcards) -> dict[str, str]:
    """What tells which fields a screen has."""
    screen = told(study.entry, "screens", wildcards.screen)
    if screen["kind"] != "bbbc021":
        return {key: own(screen[key]) for key in ("path", "platemap") if key in screen}
    return {key: DOWNLOAD.format(source=wildcards.screen, file=file["name"]) for key, file in screen["files"].items()}


def pictures(name, plate) -> str:
    """Where the images of a screen's plate are: its archive, or the folder that the user brings."""
    screen = told(study.entry, "screens", name)
    if screen["kind"] == "bbbc021":
        return DOWNLOAD.format(source=name, file=screen["archive"].format(plate=plate))
    return own(screen["path"] if screen["kind"] == "pattern" else Path(screen["path"]).parent)


def pictures_of(wildcards) -> str:
    return pictures(wildcards.screen, wildcards.plate)


def plate_pictures(panel) -> list[str]:
    """The pictures of the plates whose cells a panel's runs see, by which a person judges those cells."""
    datasets = dict.fromkeys(run.dataset for run in study.runs(panel))
    entries = [told(study.entry, "datasets", name) for name in datasets]
    plates = dict.fromkeys(
        (entry["screen"], plate) for entry in entries if "screen" in entry for plate in entry["plates"]
    )
    return [file.format(screen=screen, plate=plate) for screen, plate in plates for file in (OVERLAY, LIGHT)]


def locations(wildcards) -> list[str]:
    """Centres of cells that the user brings in place of detected ones."""
    screen = told(study.entry, "screens", wildcards.screen)
    return [own(screen["locations"])] if "locations" in screen else []


def truth(wildcards) -> str:
    """What a simulation knows of its plates."""
    return SIMULATION.format(screen=wildcards.screen, file=f"{wildcards.plate}.truth.parquet")


def cell_inputs(wildcards) -> dict[str, list[str]]:
    """One file of each kind per plate that a dataset of cells names."""
    dataset = told(study.entry, "datasets", wildcards.dataset)
    screen, plates = dataset["screen"], dataset["plates"]
    patterns = {"illumination": ILLUMINATION, "nuclei": NUCLEI, "intensities": INTENSITIES}
    if "simulation" in told(study.entry, "screens", screen):
        patterns["truth"] = SIMULATION.replace("{file}", "{plate}.truth.parquet")
    return {
        "fields": [FIELDS.format(screen=screen)],
        "pictures": [pictures(screen, plate) for plate in plates],
        **{kind: [file.format(screen=screen, plate=plate) for plate in plates] for kind, file in patterns.items()},
    }


# -------------------------------------------------------------------------------------------------------- embeddings
def embeddings_of(wildcards) -> str:
    """The embeddings that are evaluated; an encoder that nobody trained here has no projector."""
    run = run_of(wildcards)
    trained = told(study.is_trained, run)
    return path(EMBEDDINGS, run, evaluate=study.config["measures"]["evaluate"] if trained else "encoder")


# ----------------------------------------------------------------------------------------------------------- profiles
STRUCTURE_SETTINGS = ("reg", "coral_reg", "across_wells", "seed")


def control_of(wildcards) -> str:
    """What a dataset's screen calls its negative control."""
    screen = told(study.entry, "datasets", wildcards.dataset)["screen"]
    return told(study.entry, "screens", screen)["control"]


# ------------------------------------------------------------------------------------------------------------ weights
def weights_of(wildcards) -> list[str]:
    """The weights that the run's encoder starts from: ImageNet's, a file of the user's, or none."""
    run = run_of(wildcards)
    init = told(study.resolve, run)["backbone"]["init"]
    imagenet = WEIGHTS.format(weights=told(study.torchvision_name, run))
    return {"random": [], "imagenet": [imagenet]}.get(init, [own(init)])


def lpips_weights(wildcards) -> list[str]:
    """AlexNet's ImageNet weights: what the download said, a file of the user's, or none."""
    weights = study.config["measures"]["lpips"]["weights"]
    return {"none": [], "download": [WEIGHTS.format(weights="alexnet")]}.get(weights, [own(weights)])


# ----------------------------------------------------------------------------------------------------------- training
# What a rule uses of the resolved run; nothing else makes it run again.
PRETRAINED = (
    "name",
    "scale",
    "dataset",
    "transform",
    "method",
    "training",
    "backbone",
    "seed",
)
EMBEDDED = ("name", "dataset", "transform", "method", "backbone", "evaluate")
FROZEN_EMBEDDED = ("name", "dataset", "backbone", "seed")
PROBED = (*EMBEDDED, "probe", "seed")


def resolved(wildcards, sections) -> dict:
    run = told(study.resolve, run_of(wildcards))
    return {section: run[section] for section in sections}


def checkpoint_of(wildcards) -> str:
    """Outside the declared outputs, which Snakemake deletes when a job fails; named by what is trained."""
    trainer = code("phenoviews.training.loop:Trainer", TRAINED_WITH)
    identity = json.dumps([resolved(wildcards, PRETRAINED), trainer(wildcards)], sort_keys=True)
    return f"{RESULTS}/checkpoints/{hashlib.sha256(identity.encode()).hexdigest()[:20]}.pt"


def minutes(wildcards, attempt) -> int:
    """A retry resumes where the first try ended, and has more time."""
    return told(study.load, run_of(wildcards))["minutes"] * attempt


def memory(wildcards, attempt) -> int:
    """MB; a retry has more."""
    return told(study.load, run_of(wildcards))["mem_mb"] * attempt


# ------------------------------------------------------------------------------------------------------------- panels
def panel_file(panel, suffix) -> str:
    return f"{RESULTS}/panels/{panel.paper}/{panel.item}.{suffix}"


def panel_files(papers) -> list[str]:
    """The file of every panel of these papers that people look at first."""
    panels = [panel for panel in study.panels.values() if panel.paper in papers]
    return [panel_file(panel, "md" if panel.is_table else "png") for panel in panels]


def if_there(file) -> list[str]:
    """A file that the papers' panels have, and a panel of the user's need not."""
    return [file] if Path(file).exists() else []


def in_report(panel, form) -> dict:
    """Where a panel stands in `snakemake --report`."""
    return {
        "caption": f"../report/{panel.name}.rst" if if_there(f"workflow/report/{panel.name}.rst") else None,
        "category": panel.paper.replace("_", " ").capitalize(),
        "subcategory": panel.item,
        "labels": {"panel": panel.item, "form": form},
    }


def table_inputs(panel) -> dict[str, list[str]]:
    """One file per run for every kind of measure that the table shows, in the order of its runs."""
    kinds = dict.fromkeys(METRICS[metric]["measure"] for metric in panel.declared["metrics"])
    patterns = {"clusters": CLUSTERS, "probe": PROBE, "lpips": LPIPS, "scores": SCORES, "structure": STRUCTURE}
    k = panel.declared.get("clusters")
    return {kind: [path(patterns[kind], run, k=k) for run in study.runs(panel)] for kind in kinds}


def number_files(panel) -> dict[str, str]:
    """The numbers of a panel as tables, with the verdicts on the paper's claims."""
    if not panel.has_numbers:
        return {}
    return {
        "csv": report(panel_file(panel, "csv"), **in_report(panel, "CSV")),
        "md": panel_file(panel, "md"),
        "tex": panel_file(panel, "tex"),
        "claims": panel_file(panel, "claims.csv"),
    }


def published_of(panel) -> list[str]:
    return if_there(f"resources/published/{panel.paper}.csv") if panel.has_numbers else []


def claims_on(panel) -> list[str]:
    return if_there(f"resources/claims/{panel.paper}.yaml") if panel.has_numbers else []


def figure_inputs(panel) -> dict[str, list[str]]:
    """Files of each run, in the order of the figure's runs."""
    patterns = {
        "tsne": {"index": INDEX, "tsne": TSNE, "clusters": CLUSTER_TABLE, "numbers": CLUSTERS},
        "nearest": {"index": INDEX, "images": IMAGES, "clusters": CLUSTER_TABLE, "numbers": CLUSTERS},
        "doses": {"doses": DOSES},
        "treatments": {"treatments": TREATMENTS},
    }[panel.declared["plot"]]
    runs, k = study.runs(panel), panel.declared.get("clusters")
    return {name: [path(pattern, run, k=k) for run in runs] for name, pattern in patterns.items()}
