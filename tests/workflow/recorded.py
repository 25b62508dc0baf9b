"""What the jobs of a real run used of our library, and whether their rules state it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.workflow.conftest import ROOT

from phenoviews.study.chosen import BY_EPOCH_OF
from phenoviews.study.code import code_hash, reached

# They answer a question and leave nothing that could be out of date.
QUESTIONS = {"plan.py", "calibrate.py"}
SCRIPTS = {file.name for file in (ROOT / "workflow/scripts").glob("*.py")} - QUESTIONS


def environment(folder: Path) -> dict[str, str]:
    """Of a call of Snakemake: every job leaves its record in `folder`."""
    path = [str(ROOT / "tests/workflow/recording"), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, path)), "RECORDED": str(folder)}


def chosen(record: dict) -> dict[str, set[str]]:
    """The keys of registries that a job used, told by its own parameters."""
    params, measure = record["params"], record["wildcards"].get("measure")
    run, dataset, settings = (params.get(name, {}) for name in ("run", "dataset", "settings"))
    if record["script"] == "pretrain.py":
        training, sets = run["training"], run["transform"]["sets"]
    else:
        # What is measured sees images as they are, and a probe or fine-tuning by its own transform.
        training, sets = settings.get("training", {}), [{"views": [settings.get("transform", [])]}]
    sets = [*sets, *params.get("sets", []), *(one for look in params.get("looks", []) for one in look["sets"])]
    keys = {
        "phenoviews.views.OPERATIONS": {
            "normalize",
            *(operation for one in sets for view in one["views"] for step in view for operation in step),
        },
        "phenoviews.methods.METHODS": {run["method"]["kind"]} if "method" in run else set() if run else None,
        "phenoviews.models.backbones.BACKBONES": {run["backbone"]["kind"]} if "backbone" in run else None,
        "phenoviews.training.optim.OPTIMIZERS": {training["optimizer"]} if training else None,
        "phenoviews.training.optim.SCHEDULES": {training["schedule"]} if training else None,
        "phenoviews.training.loop.KEEPERS": {training["keep"]} if "training" in run else set() if training else None,
        "phenoviews.training.watch.WATCHED": set() if "training" in run else None,
        "phenoviews.data.readers.READERS": {dataset["kind"]} if record["rule"] == "data" else None,
        "phenoviews.cells.choosers.CHOOSERS": {dataset["kind"]} if record["rule"] == "cells" else None,
        "phenoviews.cells.screen.READERS": {params["screen"]["kind"]} if record["rule"] == "screen" else None,
        "phenoviews.panels.figures.FIGURES": {params["panel"]["plot"]} if "plot" in params.get("panel", {}) else None,
        "phenoviews.panels.sweeps.SWEEPS": set(params["given"]["measures"]) if "given" in params else None,
        "phenoviews.measures.clustered.CLUSTERED": {measure} if record["rule"] == "measure_clusters" else None,
        "phenoviews.measures.embedded.EMBEDDED": {measure} if record["rule"] == "measure_embeddings" else None,
        "phenoviews.training.encoded.ENCODED": {measure} if record["rule"] == "measure_encoder" else None,
        **(
            {registry: {measure} & {*names} for registry, names in BY_EPOCH_OF.items()}
            if record["rule"] == "measure_on_the_way"
            else {}
        ),
    }
    return {registry: found for registry, found in keys.items() if found is not None}


def checked(folder: Path) -> set[str]:
    """The scripts whose records are in `folder`, once the hash that each rule states has been found to be of all that
    its job used: every module in `sys.modules`, and every definition whose code ran."""
    records = [json.loads(file.read_text()) for file in folder.iterdir()]
    for record in records:
        # What has been downloaded and verified is not fetched again for an edit.
        if record["rule"] not in ("download", "weights"):
            assert record["params"]["code"] == code_hash(record["script"], chosen(record)), (
                f"{record['rule']} chooses else"
            )
        code = reached(record["script"], chosen(record))
        assert set(record["modules"]) <= set(code), f"{record['rule']} imports more than it states"
        # Of the page's templates, which Jinja compiles, the text is a parameter of the rule.
        for file, name in (one for one in record["definitions"] if one[0].endswith(".py")):
            module = ".".join(
                ["phenoviews", *file.removesuffix(".py").removesuffix("__init__").strip(os.sep).split(os.sep)]
            )
            assert name.startswith("<") or name in code[module], f"{record['rule']} runs {module}.{name} unstated"
    return {record["script"] for record in records}
