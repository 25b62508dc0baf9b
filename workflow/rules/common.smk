# The study, validated before anything else, and what hands its answers to rules: their inputs, resources and parameters.
# What these are is decided in phenoviews/study.

import atexit
import functools
import json
import re
import shlex
import sys
from pathlib import Path
from types import MappingProxyType

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# Beside this file also where another workflow takes this one as a module.
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=False)).parents[1]
if set("{}") & set(str(ROOT)):
    raise WorkflowError(
        f"phenoviews: {ROOT}: Snakemake takes braces in this path for wildcards; move or rename the folder"
    )
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from phenoviews.errors import UserError
from phenoviews.study import Run, Study, chosen, listing, paths, resources
from phenoviews.study.chosen import BACKBONES, CHOOSERS, CLUSTERED, EMBEDDED, ENCODED, FIGURES, KEEPERS, METHODS
from phenoviews.study.chosen import OPERATIONS, OPTIMIZERS, READERS, SCHEDULES, SCREEN_READERS, SWEEPS
from phenoviews.study.code import code_hash, registered
from phenoviews.study.document import shipped, users
from phenoviews.study.locks import clear_stale
from phenoviews.study.metrics import measured
from phenoviews.study.paths import DETECTION, DOWNLOAD, FIELDS, ILLUMINATION, IMAGES, INDEX, INTENSITIES, LIGHT, NUCLEI
from phenoviews.study.paths import CLUSTERS, EMBEDDINGS, LPIPS, MEASURE, MEASURE_K, OVERLAY, POINTS, PREDICTIONS
from phenoviews.study.paths import PROFILES, PROPERTIES, QC, RUN
from phenoviews.study.paths import SCREEN, SIMULATION, SNAPSHOTS, TRUTH, TSNE, VIEWS, WEIGHTS
from phenoviews.study.plan import sweep_sources
from phenoviews.study.resolved import Embedding, FrozenEmbedding, Pretraining

# Snakemake (9.27) hands the path of its Python to shells without quotes, where a blank would end it.
if sys.executable != shlex.quote(sys.executable) and not sys.executable.startswith("'"):
    sys.executable = shlex.quote(sys.executable)

# Killed at any moment, the workflow goes on at the next call.
if workflow.is_main_process and not workflow.dryrun:
    alive = clear_stale(Path(".snakemake"))


def user_errors(function, *arguments):
    """Call `function`; what the user can put right ends the workflow with its one line."""
    try:
        return function(*arguments)
    except UserError as error:
        raise WorkflowError(str(error)) from None


# The shipped document is read from beside this file, wherever Snakemake is called. A panel names what the user's settings
# change in it.
SHIPPED = shipped()
document, said = users(
    config, SHIPPED, {} if workflow.modifier.skip_configfile else workflow.config_settings.overwrite_config
)
study = user_errors(Study, document, SHIPPED, said)
if workflow.is_main_process:
    for line in study.unreached:
        logger.warning(f"phenoviews: {line}")


def study_of(wildcards):
    """The study at the scale of a job."""
    return user_errors(study.at, getattr(wildcards, "scale", study.scale))


def ask(function, *names):
    """A function of a rule's wildcards: what `function` says of the study and of the wildcards of these names, of which
    `run` stands for the five that name a run."""
    return lambda wildcards: user_errors(
        function, study_of(wildcards), *(wildcard_value(wildcards, name) for name in names)
    )


def stopping(function, *arguments):
    """Call `function`; what the user can put right ends everything. A `WorkflowError` would not: where a rule's inputs
    fail, Snakemake takes outputs that are there for files of the user's own."""
    try:
        return function(*arguments)
    except UserError as error:
        logger.error(f"phenoviews: error: {error}")
        raise SystemExit(1) from None


def there(function):
    """`function`, a rule's input function that gives files of the user's, and the end where one of these is missing."""

    def checked(wildcards):
        files = function(wildcards)
        for file in paths.users_own(files) if workflow.is_main_process else []:
            stopping(listing.there, file)
            stopping(listing.nameable, file)
        return files

    return checked


def brought(section, wildcard):
    """A parameter: what is in the user's folders, looked up once, by the process that plans."""

    def listed(wildcards):
        if workflow.is_main_process:
            return stopping(listing.listing, paths.brought(study, section, getattr(wildcards, wildcard)))
        return None

    return listed


def setting(*path):
    """A function of a rule's wildcards: what the study says there."""
    return lambda wildcards: functools.reduce(lambda entry, key: entry[key], path, study_of(wildcards).config)


def wildcard_value(wildcards, name):
    return run_of(wildcards) if name == "run" else getattr(wildcards, name)


def run_of(wildcards) -> Run:
    axes = ("dataset", "transform", "method", "backbone")
    return Run(*(getattr(wildcards, axis) for axis in axes), seed=int(wildcards.seed))


# A local machine counts its GPUs; a scheduler gives one to each job that asks.
resource_scopes:
    gpu="local",


CELLS = paths.names_of(study, "datasets", "cells", "treatments")
FROZEN = "|".join(paths.names_of(study.at(scale), "methods", "frozen") for scale in study.at_work)
TRAINED = f"(?!({FROZEN})/)[^/]+"


wildcard_constraints:
    scale="|".join(map(re.escape, study.at_work)),
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
def code(root, registries=MappingProxyType({})):
    """A parameter: the hash of the code that is reached from a rule's script. `registries`: {registry: function of the
    wildcards that tells which of its keys are used}."""
    return lambda wildcards: code_hash(root, {name: keys(wildcards) for name, keys in registries.items()})


def kind_of(section, wildcard):
    """The kind of the entry that a wildcard names."""
    return lambda wildcards: user_errors(chosen.kind, study, section, getattr(wildcards, wildcard))


method_of = ask(chosen.method, "run")
backbone_of = ask(chosen.backbone, "run")
transform_operations = ask(chosen.training_operations, "transform")
probe_operations = ask(chosen.probe_operations, "run")


def evaluation_operations(wildcards):
    return chosen.EVALUATION


TRAINED_WITH = {
    METHODS: method_of,
    BACKBONES: backbone_of,
    OPERATIONS: transform_operations,
    OPTIMIZERS: ask(chosen.optimizer, "run"),
    SCHEDULES: ask(chosen.schedule, "run"),
    KEEPERS: ask(chosen.keeper, "run"),
}

FINE_TUNED_WITH = {
    METHODS: method_of,
    BACKBONES: backbone_of,
    OPERATIONS: ask(chosen.fine_tuning_operations, "run"),
    OPTIMIZERS: ask(chosen.fine_tuning_optimizer, "run"),
    SCHEDULES: ask(chosen.fine_tuning_schedule, "run"),
    KEEPERS: lambda wildcards: [],
}

# -------------------------------------------------------------------------------------------------------------- files
ENVIRONMENT = "../../envs/phenoviews.yaml"

raw_data = ask(paths.raw_data, "dataset")


def downloads(wildcards) -> list[str]:
    """Of what a dataset is made of the user's is no input: `brought` sees more of it."""
    files = raw_data(wildcards)
    return [file for file in files if file not in paths.users_own(files)]


declared_file = ask(paths.declared_file, "source", "file")
simulated = ask(paths.simulated, "source", "file")
screen_files = there(ask(paths.screen_files, "screen"))
pictures_of = there(ask(paths.pictures, "screen", "plate"))
locations = there(ask(paths.locations, "screen"))
cell_inputs = there(ask(paths.cell_files, "dataset"))
embeddings_of = ask(paths.embeddings, "run")
networks_of = ask(paths.networks, "run")
weights_of = there(ask(paths.weights, "run"))
lpips_weights = there(ask(paths.lpips_weights))


# ----------------------------------------------------------------------------------------------------------- measures
evaluated_of = ask(Study.evaluated, "dataset")
measure_settings = ask(Study.measure_settings, "measure")
probe_settings = ask(Study.probe_settings, "run")
control_of = ask(Study.control, "dataset")


def structure_settings(wildcards) -> dict:
    profiles = study_of(wildcards).config["measures"]["profiles"]
    return {key: profiles[key] for key in ("reg", "coral_reg", "coral_source_reg", "across_wells", "seed")}


# ----------------------------------------------------------------------------------------------------------- training
def resolved(wildcards, stage) -> dict:
    """What a stage uses of the resolved run; nothing else makes its rule run again."""
    return user_errors(stage.of, user_errors(study_of(wildcards).resolve, run_of(wildcards))).to_dict()


def encoder(wildcards) -> dict:
    """What an encoder that is measured is made from."""
    trained = user_errors(study_of(wildcards).is_trained, run_of(wildcards))
    return resolved(wildcards, Embedding if trained else FrozenEmbedding)


def checkpoint_of(wildcards) -> str:
    trainer = code("phenoviews.training.loop:Trainer", TRAINED_WITH)
    decisive = user_errors(Pretraining.of, user_errors(study_of(wildcards).resolve, run_of(wildcards))).decisive()
    return user_errors(paths.checkpoint, study_of(wildcards), run_of(wildcards), decisive, trainer(wildcards))


def fine_tuning_of(wildcards) -> dict:
    return user_errors(study_of(wildcards).fine_tuning, run_of(wildcards)).to_dict()


def fine_tuning_checkpoint(wildcards) -> str:
    tuner = code("phenoviews.training.fine_tuning:FineTuner", FINE_TUNED_WITH)
    decisive = [encoder(wildcards), fine_tuning_of(wildcards)]
    return user_errors(paths.checkpoint, study_of(wildcards), run_of(wildcards), decisive, tuner(wildcards))


PLANNED = {}  # the loads of trainings that are to be made, by their runs


def minutes(wildcards, attempt) -> int:
    """A retry resumes where the first try ended, and has more time."""
    there, run = study_of(wildcards), run_of(wildcards)
    PLANNED[there.scale, run] = stopping(there.load, run)
    return PLANNED[there.scale, run].minutes * attempt


def told():
    """At the end of a dry run, what its trainings come to."""
    if PLANNED and workflow.dryrun:
        epochs = sum(load.epochs for load in PLANNED.values())
        hours = sum(load.minutes for load in PLANNED.values()) / 60
        print(
            f"phenoviews: {len(PLANNED)} trainings, {epochs:,} epochs, {hours:,.1f} hours asked for on one GPU",
            file=sys.stderr,
        )


if workflow.is_main_process:
    atexit.register(told)


def memory(wildcards, attempt) -> int:
    """MB; a retry has more."""
    there, run = study_of(wildcards), run_of(wildcards)
    return (stopping(there.load, run).mem_mb if user_errors(there.is_trained, run) else 16000) * attempt


# ------------------------------------------------------------------------------------------------------------- panels
def panel_file(panel, suffix) -> str:
    return paths.panel_file(study.of(panel), panel, suffix)


def panel_files(papers, on_demand=True) -> list[str]:
    """What people look at first: a file of every panel of these papers, those on demand included or not, and the pictures
    of their plates. A panel does not depend on the pictures, so that drawing one anew makes no table again."""
    panels = [panel for panel in study.panels.values() if panel.paper in papers and (on_demand or not panel.on_demand)]
    datasets = [run.dataset for panel in panels for run in study.runs(panel)]
    looks = [file for panel in panels for file in paths.first_look(study.of(panel), [panel])]
    return looks + paths.plate_pictures(study, datasets)


def sweep_files(panel) -> dict[str, list[str]]:
    """What the sweeps of a panel are measured from."""
    sources = sweep_sources(panel, study.places(panel))
    return paths.sweep_sources(study.of(panel), {name: [place.run for place in of] for name, of in sources.items()})


def confirming(panel) -> list:
    """What an audit trains again: of the settings that its choice names, the runs with new seeds."""
    chosen_file = getattr(checkpoints, f"{panel.name}_choice").get().output[0]
    settings = json.loads(Path(chosen_file).read_text())
    return user_errors(study.confirming, panel, settings) if settings else []


def audited_again(panel) -> dict:
    """The choice, and the files of what is trained again."""
    runs = confirming(panel)
    files = paths.audit_files(study.of(panel), panel, runs) if runs else {}
    return {"choice": panel_file(panel, "choice.json"), **{f"again_{name}": of for name, of in files.items()}}


def in_report(panel, form) -> dict:
    """Where a panel stands in `snakemake --report`."""
    return {
        # A panel of the user's need not have one.
        "caption": (
            f"../report/{panel.name}.rst" if (ROOT / "workflow" / "report" / f"{panel.name}.rst").exists() else None
        ),
        "category": panel.paper.replace("_", " ").capitalize(),
        "subcategory": panel.item,
        "labels": {"panel": panel.item, "form": form},
    }


def number_files(panel) -> dict[str, str]:
    """The numbers of a panel as tables, with the verdicts on the paper's claims."""
    if not panel.has_numbers:
        return {}
    return {
        "csv": report(panel_file(panel, "csv"), **in_report(panel, "CSV")),
        "md": panel_file(panel, "md"),
        "tex": panel_file(panel, "tex"),
        **({"claims": panel_file(panel, "claims.csv")} if study.is_shipped(panel) or printed(panel)["claims"] else {}),
    }


def printed(panel) -> dict[str, list]:
    """What the paper printed of a panel, and the claims on it: parameters, so that a word of them makes no other panel
    again."""
    if not panel.has_numbers:
        return {}
    return {"published": resources.published(panel), "claims": user_errors(resources.claims, panel)}
