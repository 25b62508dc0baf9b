"""Where everything lies, and which files a rule needs: patterns with Snakemake's wildcards, and what fills them.

Paths are relative to the folder that Snakemake is called in; those of the user's own data are as the config has them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from phenoviews.study import resources
from phenoviews.study.metrics import TEST
from phenoviews.study.panel import Panel
from phenoviews.study.resolve import Resolver
from phenoviews.study.run import Run

DOWNLOAD = "results/downloads/{source}/{file}"
WEIGHTS = "results/weights/{weights}.json"

SIMULATION = "results/simulation/{screen}/{file}"
TRUTH = SIMULATION.replace("{file}", "{plate}.truth.parquet")

SCREEN = "results/screens/{screen}"
FIELDS = f"{SCREEN}/fields.parquet"
ILLUMINATION = f"{SCREEN}/illumination/{{plate}}.npy"
LIGHT = f"{SCREEN}/illumination/{{plate}}.png"
NUCLEI = f"{SCREEN}/nuclei/{{plate}}.parquet"
INTENSITIES = f"{SCREEN}/intensities/{{plate}}.json"
QC = f"{SCREEN}/qc/{{plate}}.csv"
OVERLAY = f"{SCREEN}/qc/{{plate}}.png"
DETECTION = f"{SCREEN}/detection/{{plate}}.json"

IMAGES = "results/data/{dataset}/images.npy"
INDEX = "results/data/{dataset}/index.parquet"

RESULTS = "results/{scale}"
VIEWS = f"{RESULTS}/views/{{dataset}}/{{transform}}/seed{{seed}}"
RUN = f"{RESULTS}/runs/{{dataset}}/{{transform}}/{{method}}/{{backbone}}/seed{{seed}}"
SNAPSHOTS = f"{RUN}/snapshots.pt"
EMBEDDINGS = f"{RUN}/embeddings/{{evaluate}}.npy"

# Tables of values, and nothing else, lie in folders called measures.
MEASURE = f"{RUN}/measures/{{measure}}.parquet"
MEASURE_K = f"{RUN}/measures/{{measure}}-k{{k}}.parquet"
CLUSTERS = MEASURE_K.replace("{measure}", "clusters")
LPIPS = f"{VIEWS}/measures/lpips.parquet"
POINTS = f"{RUN}/maps/clusters-k{{k}}.parquet"
TSNE = f"{RUN}/maps/tsne.parquet"
PREDICTIONS = f"{RUN}/predictions/{{classifier}}.npy"
PROFILES = f"{RUN}/profiles/{{file}}"

PROPERTIES = f"{RUN}/measures/properties.parquet"

LOOKS = f"{RESULTS}/pictures/{{dataset}}"  # a folder: what transforms make of a few images
PAGE = f"{RESULTS}/report/index.html"
SHEET = f"{RESULTS}/verdicts.{{suffix}}"

# What a figure needs besides measures, by its kind.
FIGURE_FILES: dict[str, dict[str, str]] = {
    "tsne": {"index": INDEX, "map": TSNE, "points": POINTS},
    "nearest": {"index": INDEX, "images": IMAGES, "points": POINTS},
    "curves": {},
    "superclasses": {},
    "opposition": {},
    "doses": {},
    "treatments": {"map": PROFILES.replace("{file}", "map.parquet")},
}


def names_of(study: Resolver, section: str, *kinds: str) -> str:
    """A pattern of the names, with overrides or without, of entries of these kinds: for rules that serve only them."""
    names = [re.escape(name) for name, entry in study.config[section].items() if entry["kind"] in kinds]
    return rf"({'|'.join(names)})(\+[^/]+)?" if names else "(?!)"


def users_path(file: str | Path) -> str:
    """A path of the user's, as Snakemake looks for it."""
    return str(Path(file).expanduser())


def users_own(files: Any) -> Iterator[str]:
    """Of what an input function gives, a file, or lists or mappings of files, those that no rule makes."""
    if isinstance(files, str):
        yield from [] if files.startswith("results/") else [files]
    else:
        for one in files.values() if isinstance(files, dict) else files:
            yield from users_own(one)


# ----------------------------------------------------------------------------------------------------------------- data
def raw_data(study: Resolver, dataset: str) -> list[str]:
    """The files that a dataset is made of: its downloads, or what the user brings.

    Not ImageNet's folder, so that what needs it can be planned where it is not (see `brought`).
    """
    entry = study.entry("datasets", dataset)
    if entry["kind"] == "imagenet":
        return []
    if "path" in entry:
        return [users_path(entry["path"])]
    return [DOWNLOAD.format(source=dataset, file=file["name"]) for file in entry.get("files", {}).values()]


def brought(study: Resolver, section: str, name: str) -> list[str]:
    """The files and folders of a user's that a dataset or a screen is made of, of which everything below counts."""
    entry = study.entry(section, name)
    if entry["kind"] == "imagenet":
        return _imagenet(name, entry)
    if section == "datasets":
        return list(users_own(raw_data(study, name)))
    if entry["kind"] == "bbbc021":
        return []
    # A table of files stands for the folder that it is in, and for those that its paths are replaced by.
    folders = [Path(entry["path"]).parent, *entry.get("replace", {}).values()]
    named = folders if entry["kind"] == "loaddata" else [entry["path"]]
    return list(dict.fromkeys(map(users_path, [*named, *(entry[key] for key in ["platemap"] if key in entry)])))


def _imagenet(name: str, entry: Mapping[str, Any]) -> list[str]:
    """Of ImageNet's folder what is read: the folders of the listed classes, or one of all images, and the file that
    tells their classes. Nothing where neither the folder nor what is made of it is there."""
    path = Path(users_path(entry["path"]))
    if not path.exists():
        return [str(path)] if Path(IMAGES.format(dataset=name)).exists() else []
    found = []
    for split in ("train", "val"):
        of_classes = [path / split / one for one in resources.classes(entry["classes"])]
        found += [folder for folder in of_classes if folder.is_dir()] or [path / split]
    if "ground_truth" in entry:
        truth = Path(users_path(entry["ground_truth"]))
        found += [truth, *(file for file in [truth.with_name("meta.mat")] if file.exists())]
    return list(map(str, found))


def declared_file(study: Resolver, source: str, file: str) -> Mapping[str, Any]:
    """What config.yaml says of one file: its name and checksum; of a plate's archive the name. Not its mirrors: bytes
    with the right checksum are the same from anywhere."""
    files: Mapping[str, Mapping[str, Any]] = study.source(source).get("files", {})
    return next((declared for declared in files.values() if declared["name"] == file), {"name": file})


def simulated(study: Resolver, source: str, file: str) -> list[str]:
    """The file to download where a simulation makes it."""
    return [SIMULATION.format(screen=source, file=file)] if "simulation" in study.source(source) else []


# ---------------------------------------------------------------------------------------------------------------- cells
def screen_files(study: Resolver, screen: str) -> dict[str, str]:
    """The files in which it stands which fields a screen has."""
    entry = study.entry("screens", screen)
    if entry["kind"] != "bbbc021":
        return {key: users_path(entry[key]) for key in ("path", "platemap") if key in entry}
    return {key: DOWNLOAD.format(source=screen, file=file["name"]) for key, file in entry["files"].items()}


def pictures(study: Resolver, screen: str, plate: str) -> str:
    """Where the images of a screen's plate are: its archive, or the folder that the user brings."""
    entry = study.entry("screens", screen)
    if entry["kind"] == "bbbc021":
        return DOWNLOAD.format(source=screen, file=entry["archive"].format(plate=plate))
    return users_path(entry["path"] if entry["kind"] == "pattern" else Path(entry["path"]).parent)


def locations(study: Resolver, screen: str) -> list[str]:
    """Centres of cells that the user brings in place of detected ones."""
    entry = study.entry("screens", screen)
    return [users_path(entry["locations"])] if "locations" in entry else []


def cell_files(study: Resolver, dataset: str) -> dict[str, list[str]]:
    """What a dataset of cells is made of: the table of its screen's fields, and one file of each kind per plate."""
    entry = study.entry("datasets", dataset)
    screen, plates = entry["screen"], entry["plates"]
    patterns = {"illumination": ILLUMINATION, "nuclei": NUCLEI, "intensities": INTENSITIES}
    if "simulation" in study.entry("screens", screen):
        patterns["truth"] = TRUTH
    return {
        "fields": [FIELDS.format(screen=screen)],
        "pictures": [pictures(study, screen, plate) for plate in plates],
        **{
            kind: [pattern.format(screen=screen, plate=plate) for plate in plates] for kind, pattern in patterns.items()
        },
    }


def plate_pictures(study: Resolver, datasets: Iterable[str]) -> list[str]:
    """The pictures of the plates that these datasets have cells of, by which a person judges those cells."""
    return [
        file.format(screen=screen, plate=plate)
        for screen, plates in plates_of(study, datasets).items()
        for plate in plates
        for file in (OVERLAY, LIGHT)
    ]


def plates_of(study: Resolver, datasets: Iterable[str]) -> dict[str, list[str]]:
    """{screen: its plates that these datasets have cells of}."""
    found: dict[str, dict[str, None]] = {}
    for name in dict.fromkeys(datasets):
        entry = study.entry("datasets", name)
        if "screen" in entry:
            found.setdefault(entry["screen"], {}).update(dict.fromkeys(entry["plates"]))
    return {screen: list(plates) for screen, plates in found.items()}


# ----------------------------------------------------------------------------------------------------------------- runs
def run_file(study: Resolver, pattern: str, run: Run, **more: object) -> str:
    """The file of a run."""
    return pattern.format(scale=study.scale, **vars(study.on_disk(run)), **more)


def embeddings(study: Resolver, run: Run) -> str:
    """The embeddings that are evaluated; an encoder that nobody trained here has no projector."""
    evaluated = study.config["measures"]["evaluate"] if study.is_trained(run) else "encoder"
    return run_file(study, EMBEDDINGS, run, evaluate=evaluated)


def networks(study: Resolver, run: Run) -> dict[str, str | list[str]]:
    """What the encoder that is measured is made from: files of a training, or the weights of an encoder that nobody
    trained here."""
    if study.is_trained(run):
        return {name: run_file(study, f"{RUN}/{name}.pt", run) for name in ("encoder", "projector")}
    return {"weights": weights(study, run)}


def weights(study: Resolver, run: Run) -> list[str]:
    """The weights that the run's encoder starts from: ImageNet's, a file of the user's, or none."""
    init = study.resolve(run).backbone.init
    imagenet = WEIGHTS.format(weights=study.torchvision_name(run))
    return {"random": [], "imagenet": [imagenet]}.get(init, [users_path(init)])


def lpips_weights(study: Resolver) -> list[str]:
    """AlexNet's ImageNet weights: what the download said, a file of the user's, or none."""
    chosen = study.config["measures"]["lpips"]["weights"]
    return {"none": [], "download": [WEIGHTS.format(weights="alexnet")]}.get(chosen, [users_path(chosen)])


def checkpoint(study: Resolver, run: Run, decisive: Any, code: str) -> str:
    """Of a training that is not done: outside the declared outputs, which Snakemake deletes when a job fails, and named
    by the run, by what decides its weights (plain data) and by the code that trains it."""
    identity = hashlib.sha256(json.dumps([run.name, decisive, code], sort_keys=True).encode()).hexdigest()[:20]
    return f"{RESULTS}/checkpoints/{identity}.pt".format(scale=study.scale)


# --------------------------------------------------------------------------------------------------------------- panels
def panel_file(study: Resolver, panel: Panel, suffix: str) -> str:
    """A file of a panel: csv, md, tex, claims.csv; png, pdf; log."""
    return f"{RESULTS}/panels/{panel.paper}/{panel.item}.{suffix}".format(scale=study.scale)


def measures(study: Resolver, panel: Panel, runs: Iterable[Run]) -> dict[str, list[str]]:
    """One file per run, in their order, for every measure that a panel shows."""
    k, clustered = panel.declared.get("clusters"), panel.measures_of_clusters
    patterns = {name: MEASURE_K if name in clustered else MEASURE for name in panel.measures} | (
        {"lpips": LPIPS} if "lpips" in panel.measures else {}
    )
    return {
        name: [run_file(study, pattern, run, measure=name, k=k) for run in runs] for name, pattern in patterns.items()
    }


def audit_files(study: Resolver, panel: Panel, runs: Sequence[Run]) -> dict[str, list[str]]:
    """What an audit is made from: of every run its measures, its embeddings, what its images are, and of classes what
    its classifier takes each test image for."""
    found = measures(study, panel, runs)
    found["embeddings"] = [embeddings(study, run) for run in runs]
    found["index"] = [run_file(study, INDEX, run) for run in runs]
    if panel.audited_data == TEST:
        found["predictions"] = [run_file(study, PREDICTIONS, run, classifier="probe") for run in runs]
    return found


def audit_on_the_way(study: Resolver, panel: Panel, runs: Sequence[Run]) -> dict[str, list[str]]:
    """Of an audit's trainings, in their order, what was measured on their way; nothing where it asks for none."""
    if not panel.on_the_way:
        return {}
    trained = filter(study.is_trained, runs)
    return {"on_the_way": [run_file(study, MEASURE, run, measure=panel.on_the_way) for run in trained]}


def audit_images(study: Resolver, panel: Panel, runs: Sequence[Run]) -> dict[str, str]:
    """The images of an audit of classes, for what their intensities alone tell; else none."""
    return {"images": run_file(study, IMAGES, runs[0])} if panel.audited_data == TEST else {}


def sweep_sources(study: Resolver, sources: Mapping[str, Sequence[Run]]) -> dict[str, list[str]]:
    """The files that a panel's sweeps are measured from: of each measure those of these runs."""
    return {name: [run_file(study, MEASURE, run, measure=name) for run in runs] for name, runs in sources.items()}


def sweeps(study: Resolver, panel: Panel) -> dict[str, str]:
    """What is measured of a panel's sweeps, where it shows anything of that."""
    return {"sweeps": panel_file(study, panel, "sweeps.parquet")} if panel.measures_of_sweeps else {}


def figure_files(study: Resolver, panel: Panel, runs: Iterable[Run]) -> dict[str, list[str]]:
    """What a figure needs besides, one file of each kind per run."""
    patterns, k = FIGURE_FILES[panel.declared["plot"]], panel.declared.get("clusters")
    return {name: [run_file(study, pattern, run, k=k) for run in runs] for name, pattern in patterns.items()}


def first_look(study: Resolver, panels: Iterable[Panel]) -> list[str]:
    """The file of each panel that people look at first."""
    return [panel_file(study, panel, "md" if panel.is_table or panel.is_audit else "png") for panel in panels]
