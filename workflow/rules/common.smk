# The study, validated before anything else, and what hands its answers to rules: their inputs, resources and parameters.
# What these are is decided in phenoviews/study.

import atexit
import functools
import gc
import hashlib
import inspect
import json
import os
import re
import shlex
import sys
from pathlib import Path

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
from phenoviews.prepared import SNAKEMAKE
from phenoviews.study import Run, Study, at_hand, chosen, composites, listing, looks, paths, resources
from phenoviews.study.asked import count, counts
from phenoviews.study.asked import write as write_asked
from phenoviews.study.audits import ladder
from phenoviews.study.chosen import CHOOSERS, CLUSTERED, EMBEDDED, ENCODED, FIGURES, READERS, SCREEN_READERS, SWEEPS
from phenoviews.study.chosen import MEASURED_BY_EPOCH, WATCHED
from phenoviews.study.code import Hashes, registered
from phenoviews.study.document import shipped, users
from phenoviews.study.locks import clear_stale
from phenoviews.study.metrics import BY_EPOCH, measured
from phenoviews.study.paths import DETECTION, DOWNLOAD, FIELDS, ILLUMINATION, IMAGES, INDEX, INTENSITIES, LIGHT, NUCLEI
from phenoviews.study.paths import CLUSTERS, EMBEDDINGS, LPIPS, MEASURE, MEASURE_K, OVERLAY, POINTS, PREDICTIONS
from phenoviews.study.paths import LOOKS, PAGE, PROFILES, PROPERTIES, QC, RUN
from phenoviews.study.paths import SCREEN, SHEET, SIMULATION, SNAPSHOTS, TRUTH, TSNE, VIEWS, WEIGHTS
from phenoviews.study.plan import fine_tuning, sweep_sources
from phenoviews.study.resolved import Embedding, FrozenEmbedding, Pretraining, tending, untended
from phenoviews.study.told import told as told_of

# Snakemake (9.27) hands the path of its Python to shells without quotes, where a blank would end it.
if sys.executable != shlex.quote(sys.executable) and not sys.executable.startswith("'"):
    sys.executable = shlex.quote(sys.executable)

# A plan is a million objects that stay; to look among them for rubbish as often as Python does is a sixth of the planning.
gc.set_threshold(100_000, 50, 100)

# What begins its jobs lives as long as this process. On a cluster every job is a Snakemake of its own.
os.environ.pop(SNAKEMAKE, None)
if workflow.is_main_process:
    os.environ[SNAKEMAKE] = str(os.getpid())

# Killed at any moment, the workflow goes on at the next call.
if workflow.is_main_process:
    alive = clear_stale(Path(".snakemake"))


def asked(function):
    """`function`, of a rule. Snakemake asks for its signature several times a job, which is worked out here once."""
    function.__signature__ = inspect.signature(function)
    return function


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
study = user_errors(Study, document, SHIPPED, said, counts(document["datasets"], workflow.is_main_process))
if workflow.is_main_process and at_hand.has_models(study):
    for panel in study.asked:
        user_errors(at_hand.check, study.of(panel), study.runs(panel))


def study_of(wildcards):
    """The study at the scale of a job."""
    return user_errors(study.at, getattr(wildcards, "scale", study.scale))


def ask(function, *names):
    """A function of a rule's wildcards: what `function` says of the study and of the wildcards of these names, of which
    `run` stands for the five that name a run."""
    return asked(
        lambda wildcards: user_errors(
            function, study_of(wildcards), *(wildcard_value(wildcards, name) for name in names)
        )
    )


def stopping(function, *arguments):
    """Call `function`; what the user can put right ends everything. A `WorkflowError` would not: where a rule's inputs
    fail, Snakemake takes outputs that are there for files of the user's own."""
    try:
        return function(*arguments)
    except UserError as error:
        logger.error(f"phenoviews: error: {error}")
        for word in (told, name_pages):  # of calls that went through
            atexit.unregister(word)
        raise SystemExit(1) from None


def there(function):
    """`function`, a rule's input function that gives files of the user's, and the end where one of these is missing."""

    def checked(wildcards):
        files = function(wildcards)
        for file in paths.users_own(files) if workflow.is_main_process else []:
            stopping(listing.there, file)
            stopping(listing.nameable, file)
        return files

    return asked(checked)


def brought(function):
    """A parameter: what is in the files and folders of the user's that a function of a rule's wildcards gives, looked up
    once, by the process that plans; None where all that it gives is made here. Snakemake sees what is newer than the
    output; what took the place of something under its name may be older."""

    def listed(wildcards):
        files = list(paths.users_own(function(wildcards))) if workflow.is_main_process else []
        return stopping(listing.listing, files) if files else None

    return asked(listed)


def setting(*path):
    """What the study says there; where its scales at work say different things, a function of a rule's wildcards."""

    def at(scale):
        return functools.reduce(lambda entry, key: entry[key], path, study.at(scale).config)

    first, *others = map(at, study.at_work)
    return asked(lambda wildcards: at(wildcards.scale)) if any(other != first for other in others) else first


def tries(minutes):
    """The minutes of a job; a retry has more time."""
    return asked(lambda wildcards, attempt: minutes * attempt)


def wildcard_value(wildcards, name):
    return run_of(wildcards) if name == "run" else getattr(wildcards, name)


def run_of(wildcards) -> Run:
    axes = ("dataset", "transform", "method", "backbone")
    return Run(*(getattr(wildcards, axis) for axis in axes), seed=int(wildcards.seed))


TOLD = set()


def telling(function):
    """`function`, an input function of trainings; of those that are planned it is told, once, which settings of the user's
    do not reach their methods."""

    def told(wildcards):
        lines = user_errors(study_of(wildcards).unreached, [run_of(wildcards)]) if workflow.is_main_process else []
        for line in lines:
            if line not in TOLD:
                logger.warning(f"phenoviews: {line}")
        TOLD.update(lines)
        return function(wildcards)

    return asked(told)


# A local machine counts its GPUs; a scheduler gives one to each job that asks. How many of a bundle run at once is a matter
# of each bundle.
resource_scopes:
    gpu="local",
    bundle="local",


# Measures that take seconds share a job of a cluster, where it takes as long to start one: profiles/slurm says how many.
BUNDLE = "measures-{scale}-{dataset}-{method}"


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
code_hash = Hashes(Path(".snakemake/phenoviews.code.json"))
if workflow.is_main_process:
    atexit.register(code_hash.keep)


def code(root, chooses=None):
    """A parameter: the hash of the code that is reached from a rule's script. `chooses`: a function of the wildcards that
    tells {registry: the keys of it that are used}."""
    return asked(lambda wildcards: code_hash(root, chooses(wildcards) if chooses else {}))


def kind_of(registry, section, wildcard):
    """Of a registry the kind of the entry that a wildcard names."""
    return lambda wildcards: {registry: user_errors(chosen.kind, study, section, getattr(wildcards, wildcard))}


def measure_of(registry):
    """Of a registry the measure that a wildcard names."""
    return lambda wildcards: {registry: [wildcards.measure]}


embedded_with = ask(chosen.embedded_with, "run")
probed_with = ask(chosen.probed_with, "run")
trained_with = ask(chosen.trained_with, "run")
fine_tuned_with = ask(chosen.fine_tuned_with, "run")
viewed_with = ask(chosen.viewed_with, "transform")

# -------------------------------------------------------------------------------------------------------------- files
ENVIRONMENT = "../../envs/phenoviews.yaml"

raw_data = ask(paths.raw_data, "dataset")


@asked
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
weights_of = telling(there(ask(paths.weights, "run")))
lpips_weights = there(ask(paths.lpips_weights))


# ----------------------------------------------------------------------------------------------------------- measures
metrics_of = asked(lambda wildcards: measured(wildcards.measure))
metrics_by_epoch = asked(lambda wildcards: measured(wildcards.measure + BY_EPOCH))
evaluated_of = ask(Study.evaluated, "dataset")
measure_settings = ask(Study.measure_settings, "measure")
probe_settings = ask(Study.probe_settings, "run")
control_of = ask(Study.control, "dataset")


@asked
def profile_settings(wildcards) -> dict:
    return study_of(wildcards).config["measures"]["profiles"]


@asked
def structure_settings(wildcards) -> dict:
    profiles = profile_settings(wildcards)
    return {key: profiles[key] for key in ("reg", "coral_reg", "coral_source_reg", "across_wells", "seed")}


@asked
def structure_settings_on_the_way(wildcards) -> dict:
    return structure_settings(wildcards) | {"across_cells": profile_settings(wildcards)["across_cells"]}


@asked
def settings_on_the_way(wildcards) -> dict:
    of = {"probe": probe_settings, "scores": profile_settings, "structure": structure_settings_on_the_way}
    return of.get(wildcards.measure, measure_settings)(wildcards)


@asked
def lengths_of(wildcards) -> list[int] | None:
    """After how many epochs a training is measured on its way; None: after all whose weights were kept, as the paper
    scores treatments [B-18]."""
    if wildcards.measure == "scores":
        return None
    return ladder(user_errors(study_of(wildcards).resolve, run_of(wildcards)).training)


# ----------------------------------------------------------------------------------------------------------- training
def resolved(stage, **more):
    """A parameter: what a stage uses of the resolved run, and `more`; nothing else makes its rule run again."""
    return asked(
        lambda wildcards: (
            user_errors(stage.of, user_errors(study_of(wildcards).resolve, run_of(wildcards))).to_dict() | more
        )
    )


pretraining_of = resolved(Pretraining)
trained_encoder, given_encoder = resolved(Embedding), resolved(FrozenEmbedding)


@asked
def encoder(wildcards) -> dict:
    """What an encoder that is measured is made from."""
    trained = user_errors(study_of(wildcards).is_trained, run_of(wildcards))
    return (trained_encoder if trained else given_encoder)(wildcards)


def without_tending(training_of):
    """A parameter: what decides a training."""
    return asked(lambda wildcards: untended(training_of(wildcards)))


def tending_of(training_of):
    """A parameter: how a training is looked after. It takes `resources` because what derives from those is, to Snakemake,
    no reason to run a job again."""
    return asked(lambda wildcards, resources: tending(training_of(wildcards)))


@asked
def watched(wildcards, resources) -> dict:
    """A parameter, as `tending_of` has it: the settings of the measures that a training is watched by."""
    return {name: user_errors(study_of(wildcards).measure_settings, name) for name in registered(WATCHED)}


@asked
def checkpoint_of(wildcards) -> str:
    trainer = code("phenoviews.training.loop:Trainer", trained_with)
    decisive = user_errors(Pretraining.of, user_errors(study_of(wildcards).resolve, run_of(wildcards))).decisive()
    return user_errors(paths.checkpoint, study_of(wildcards), run_of(wildcards), decisive, trainer(wildcards))


@asked
def fine_tuning_of(wildcards) -> dict:
    return user_errors(fine_tuning, study_of(wildcards), run_of(wildcards)).to_dict()


@asked
def fine_tuning_checkpoint(wildcards) -> str:
    tuner = code("phenoviews.training.fine_tuning:FineTuner", fine_tuned_with)
    decisive = [encoder(wildcards), user_errors(fine_tuning, study_of(wildcards), run_of(wildcards)).decisive()]
    return user_errors(paths.checkpoint, study_of(wildcards), run_of(wildcards), decisive, tuner(wildcards))


PLANNED = {}  # the loads of trainings that are to be made, by their runs


@asked
def minutes(wildcards, attempt) -> int:
    """A retry resumes where the first try ended, and has more time."""
    there, run = study_of(wildcards), run_of(wildcards)
    PLANNED[there.scale, run] = stopping(there.load, run)
    return PLANNED[there.scale, run].minutes * attempt


def note_what_is_asked():
    """For `python -m phenoviews.status`: the trainings of this call, done already or not."""
    to_do = set(workflow.dag.needrun_jobs())
    for scale in study.at_work:
        trainings = {
            run_of(job.wildcards): job in to_do
            for job in workflow.dag.jobs
            if job.rule.name.endswith("pretrain") and job.wildcards.scale == scale
        }
        if trainings:
            stopping(write_asked, study.at(scale), trainings)
            stopping(count, study.at(scale), {run.dataset for run in trainings})


def told():
    """At the end of a dry run, what its trainings come to."""
    if PLANNED and workflow.dryrun:
        epochs = sum(load.epochs for load in PLANNED.values())
        hours = sum(load.minutes for load in PLANNED.values()) / 60
        print(
            f"phenoviews: {len(PLANNED)} trainings, {epochs:,} epochs; the time limits of these jobs add up to "
            f"{hours:,.1f} hours, and `snakemake plan` tells what they are likely to cost",
            file=sys.stderr,
        )


if workflow.is_main_process:
    atexit.register(told)


@asked
def memory(wildcards, attempt) -> int:
    """MB; a retry has more."""
    there, run = study_of(wildcards), run_of(wildcards)
    return (stopping(there.load, run).mem_mb if user_errors(there.is_trained, run) else 16000) * attempt


# ------------------------------------------------------------------------------------------------------------- panels
def panel_file(panel, suffix) -> str:
    return paths.panel_file(study.of(panel), panel, suffix)


def panel_files(panels) -> list[str]:
    """What people look at first: a file of each of these panels, and the pictures of their plates. A panel does not depend
    on the pictures, so that drawing one anew makes no table again."""
    panels = [panel for panel in panels if is_to_be_had(panel)]
    datasets = [run.dataset for panel in panels for run in study.runs(panel) if not study.config["partial"]]
    looks = [file for panel in panels for file in paths.first_look(study.of(panel), [panel])]
    return looks + paths.plate_pictures(study, datasets)


def sweep_files(panel) -> dict[str, list[str]]:
    """What the sweeps of a panel are measured from."""
    sources = sweep_sources(panel, study.places(panel))
    return paths.sweep_sources(study.of(panel), {name: [place.run for place in of] for name, of in sources.items()})


def is_drawn(panel) -> bool:
    """Whether a panel is made. With `partial: true` an audit is not: to look at a part of its trainings would be one look
    more than those over which its error is spent."""
    return not (study.config["partial"] and panel.is_audit)


def is_to_be_had(panel) -> bool:
    """Whether a panel is made, or was."""
    return is_drawn(panel) or all(map(os.path.exists, page_files(panel).values()))


def say_what_is_left_out():
    left = [panel.name for panel in study.asked if not is_to_be_had(panel)]
    if left:
        print(
            f"phenoviews: {', '.join(left)}: left out, as an audit is told of all its trainings or not at all",
            file=sys.stderr,
        )


def partial_panels() -> tuple[dict, dict, dict]:
    """With `partial: true` what of each panel, and of its sweeps, is there, and how it says so; else None for each."""
    if not study.config["partial"]:
        return tuple(dict.fromkeys(study.panels) for _ in range(3))
    from phenoviews.status.present import Present

    look = Present(study)
    return tuple(
        {name: user_errors(of, panel) for name, panel in study.panels.items() if is_drawn(panel)}
        for of in (look.panel, look.sweeps, look.note)
    )


def present(partial, files) -> dict:
    """The inputs of a panel: `files`, or those of them that are there."""
    return partial.present() if partial else files


def partly(partial) -> dict:
    """A parameter of a panel that lacks some of its files: all of them, and why each is not there."""
    return {"partial": {"files": partial.files, "absent": partial.absent}} if partial and partial.absent else {}


def declared(panel) -> dict:
    """A panel's declaration, which says how much of it is there."""
    found, lacks = user_errors(study.declaration, panel), LACKS[panel.name]
    return (
        {**found, "scale": {**found["scale"], "note": f"{lacks} {found['scale']['note']}".strip()}} if lacks else found
    )


def length_files(panel) -> dict[str, str]:
    """What an audit says of shorter trainings, where it measures on the way."""
    return {"lengths": panel_file(panel, "lengths.csv")} if panel.on_the_way else {}


def look_files(panel) -> dict[str, list[str]]:
    """What an audit's looks left, where it has some: of each but the last."""
    numbers = range(1, user_errors(study.rounds, panel))
    return {"looks": [panel_file(panel, f"look{number}.json") for number in numbers]} if numbers else {}


def audited(panel, until=None) -> list:
    """The runs of an audit, up to a look: of each round after the first those settings that the look before it left."""
    found = user_errors(study.in_round, panel, 0)
    for number in range(1, user_errors(study.rounds, panel) if until is None else until):
        look = getattr(checkpoints, f"{panel.name}_look{number}").get().output[0]
        found += user_errors(study.in_round, panel, number, json.loads(Path(look).read_text()))
    return found


def audited_files(panel, until=None) -> dict[str, list[str]]:
    return paths.audit_files(study.of(panel), panel, audited(panel, until))


def searched(panel, until=None) -> list[list]:
    """The runs of an audit's search, round by round: all, or those of the rounds before one."""
    rounds = []
    for number in range(1, user_errors(study.rounds_of_search, panel) + 1 if until is None else until):
        proposed = getattr(checkpoints, f"{panel.name}_search{number}").get().output[0]
        rounds.append(user_errors(study.searched, panel, json.loads(Path(proposed).read_text())))
    return rounds


def searched_files(panel, until=None) -> dict[str, list[str]]:
    """What an audit was made from, and what its search tried."""
    files, runs = audited_files(panel), [run for of in searched(panel, until) for run in of]
    its = paths.audit_files(study.of(panel), panel, runs) if runs else {}
    return {**files, **{f"searched_{name}": of for name, of in its.items()}}


def proposed_files(panel, until=None) -> dict[str, list[str]]:
    """What the rounds of an audit's search proposed, where it has some: parameters may depend on inputs alone."""
    most = user_errors(study.rounds_of_search, panel) + 1 if until is None else until
    files = [panel_file(panel, f"search{number}.json") for number in range(1, most)]
    return {"proposed": files} if files else {}


def as_told(rounds) -> list[list[dict]]:
    """A parameter: runs, round by round."""
    return [[vars(run) for run in of] for of in rounds]


def search_files(panel) -> dict[str, str]:
    """What an audit's search tried, where it searches."""
    return {"search": panel_file(panel, "search.csv")} if user_errors(study.rounds_of_search, panel) else {}


def confirming(panel) -> list:
    """What an audit trains again: of the settings that its choice names, the runs with new seeds."""
    chosen_file = getattr(checkpoints, f"{panel.name}_choice").get().output[0]
    settings = json.loads(Path(chosen_file).read_text())
    return user_errors(study.confirming, panel, settings) if settings else []


def audited_again(panel) -> dict:
    """The choice, and the files of what was chosen from and of what is trained again."""
    runs = confirming(panel)
    files = paths.audit_files(study.of(panel), panel, runs) if runs else {}
    again = {f"again_{name}": of for name, of in files.items()}
    on_the_way = paths.audit_on_the_way(study.of(panel), panel, audited(panel))
    return {"choice": panel_file(panel, "choice.json"), **again, **searched_files(panel), **on_the_way}


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
    """What the page is made from, and the numbers of a panel as tables, with the verdicts on the paper's claims."""
    page = {"json": panel_file(panel, "json")}
    if not panel.has_numbers:
        return page
    return page | {
        "csv": report(panel_file(panel, "csv"), **in_report(panel, "CSV")),
        "md": panel_file(panel, "md"),
        "tex": panel_file(panel, "tex"),
        **({"claims": panel_file(panel, "claims.csv")} if study.is_shipped(panel) or printed(panel)["claims"] else {}),
    }


def printed(panel) -> dict[str, list]:
    """What the paper printed of a panel, and the claims on it: parameters, so that a word of them makes no other panel
    again."""
    return {"published": resources.published(panel), "claims": user_errors(resources.claims, panel)}


# --------------------------------------------------------------------------------------------------------------- page
PAGES = []  # of this call, once it has asked whether they are up to date


def page_rule(scale) -> str:
    return "report" if scale == study.scale else f"report_{scale}"


def page_panels(scale) -> dict:
    """The panels of a scale that are on its page."""
    there = study.at(scale)
    return {panel.name: panel for panel in study.asked if study.of(panel) is there and is_to_be_had(panel)}


def page_runs(scale) -> list[Run]:
    return list(dict.fromkeys(run for panel in page_panels(scale).values() for run in study.runs(panel)))


def page_files(panel) -> dict[str, str]:
    """The files of a panel, by suffix."""
    drawn = {} if panel.is_table else {suffix: panel_file(panel, suffix) for suffix in ("png", "pdf")}
    if panel.is_audit:
        told = {suffix: panel_file(panel, suffix) for suffix in ("json", "csv", "md", "yaml")}
        return {**drawn, **told, **length_files(panel), **search_files(panel)}
    return {**number_files(panel), **drawn}


def runs_with_data(scale) -> list[Run]:
    """With `partial: true` nothing is made for the page: those runs of it whose images are there."""
    there = study.at(scale)
    return [run for run in page_runs(scale) if Path(IMAGES.format(dataset=there.on_disk(run).dataset)).exists()]


def has_pictures(screen, plate) -> bool:
    return all(Path(file.format(screen=screen, plate=plate)).exists() for file in (QC, OVERLAY, LIGHT))


def page_inputs(scale) -> dict[str, list[str]]:
    """Everything that stands on the page, but for what runs say of themselves: a panel is made anew with its runs."""
    there, runs = study.at(scale), page_runs(scale)
    plates = paths.plates_of(there, (run.dataset for run in runs))
    if study.config["partial"]:
        runs = runs_with_data(scale)
        plates = {screen: [plate for plate in of if has_pictures(screen, plate)] for screen, of in plates.items()}
    return {
        "panels": [file for panel in page_panels(scale).values() for file in page_files(panel).values()],
        "views": user_errors(looks.folders, there, runs),
        "plates": [
            file.format(screen=screen, plate=plate)
            for screen, of in plates.items()
            for plate in of
            for file in (QC, OVERLAY, LIGHT)
        ],
    }


def page_told(scale):
    """A parameter: all that the page is told."""

    def told(wildcards):
        PAGES.append(PAGE.format(scale=scale))
        panels = page_panels(scale)
        found = told_of(
            study.at(scale),
            panels,
            {name: page_files(panel) for name, panel in panels.items()},
            runs_with_data(scale) if study.config["partial"] else page_runs(scale),
        )
        for name, screen in found["screens"].items() if study.config["partial"] else ():
            screen["plates"] = [plate for plate in screen["plates"] if has_pictures(name, plate["name"])]
        return found

    return told


@functools.cache
def looks_at(scale) -> dict:
    strengths = [run for panel in page_panels(scale).values() for run in user_errors(study.strengths, panel)]
    return user_errors(looks.transforms, study.at(scale), [*page_runs(scale), *strengths])


def looks_of(wildcards) -> list[dict]:
    """What the trainings of a data set see."""
    there = looks_at(wildcards.scale)
    if wildcards.dataset not in there:
        raise WorkflowError(f"no training of this study sees '{wildcards.dataset}'; there are {', '.join(there)}")
    return there[wildcards.dataset]


def page_templates(wildcards) -> str:
    """A parameter: what the templates, the style and the scripts of the page say."""
    folder = ROOT / "workflow" / "scripts" / "phenoviews" / "report"
    files = sorted(file for part in ("templates", "static") for file in (folder / part).iterdir())
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:20]


def name_pages():
    """The last line of a call that made pages, or found them made."""
    # Whether it was a dry run is not known before now where a profile names the executor.
    if not workflow.dryrun and workflow.dag is not None and not any(workflow.dag.needrun_jobs()):
        for page in filter(os.path.exists, dict.fromkeys(PAGES)):
            print(f"phenoviews: every panel, run and verdict is on one page: {page}", file=sys.stderr)


if workflow.is_main_process:
    atexit.register(name_pages)
    say_what_is_left_out()


def look_only_when_a_job_ends():
    """Under a limit of jobs per second Snakemake (9.27) looks a second later again for what may begin, if something
    waits; and as each job that ends has it look once more, after a hundred jobs it does so a hundred times a second,
    which takes a core. Its default, 100/1s, limits nothing here: no job begins within ten milliseconds."""
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None
