# The study, validated before anything else; paths; input and resource functions that several stages share.

import hashlib
import json
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "workflow" / "scripts"))

from phenoviews.errors import UserError
from phenoviews.study import METRICS, Run, Study
from phenoviews.study.code import code_hash


def told(function, *arguments):
    """Call `function`; what the user can put right ends the workflow with its one line."""
    try:
        return function(*arguments)
    except UserError as error:
        raise WorkflowError(str(error)) from None


study = told(Study, config)

# A local machine counts its GPUs; a scheduler gives one to each job that asks.
resource_scopes:
    gpu="local",


DATA = "results/data/{dataset}"
RESULTS = f"results/{study.scale}"
RUN = RESULTS + "/runs/{dataset}/{transform}/{method}/{backbone}/seed{seed}"
ENVIRONMENT = "../../envs/phenoviews.yaml"


wildcard_constraints:
    dataset="[^/]+",
    transform="[^/]+",
    method="[^/]+",
    backbone="[^/]+",
    seed=r"\d+",
    k=r"\d+",


def run_of(wildcards) -> Run:
    return Run(
        wildcards.dataset,
        wildcards.transform,
        wildcards.method,
        wildcards.backbone,
        int(wildcards.seed),
    )


def resolved(wildcards, *sections) -> dict:
    """The named sections of the resolved run: a rule states what it uses, so that nothing else makes it run again."""
    run = told(study.resolve, run_of(wildcards))
    return {key: run[key] for key in sections}


def path(pattern: str, run: Run, **more) -> str:
    """The file of a run."""
    return pattern.format(
        dataset=run.dataset,
        transform=run.transform,
        method=run.method,
        backbone=run.backbone,
        seed=run.seed,
        **more,
    )


def minutes(wildcards, attempt) -> int:
    """A retry resumes where the first try ended, and has more time."""
    return int(told(study.load, run_of(wildcards))["minutes"]) * attempt


def memory(wildcards, attempt) -> int:
    return int(told(study.load, run_of(wildcards))["mem_mb"]) * attempt


def weights_of(wildcards) -> list[str]:
    """The weights that the run's encoder starts from: ImageNet's, a file of the user's, or none."""
    init = told(study.entry, "backbones", wildcards.backbone)["init"]
    if init == "random":
        return []
    return [f"results/weights/{study.torchvision_name(wildcards.backbone)}.json"] if init == "imagenet" else [init]
