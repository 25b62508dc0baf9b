"""An edit reruns exactly what it changes: real dry runs on a finished small study, and the proof that the code which a
rule states is the code that it runs."""

from __future__ import annotations

import contextlib
import json
import os

import pytest
import yaml
from tests.workflow.conftest import ROOT, Project
from tests.workflow.small import ADDED, SMALL

from phenoviews.study.code import reached

LIBRARY = "workflow/scripts/phenoviews"
RECORDING = ROOT / "tests/workflow/recording"


class Study:
    """The small study in a project of its own; `planned` after an edit, which is then taken back."""

    def __init__(self, project: Project):
        self.project = project
        self.document = {**ADDED, "scales": {"demo": SMALL}}

    def run(self, **environment: str) -> str:
        self.write(self.document)
        done = self.project.snakemake("--configfile", "small.yaml", "--", "small", environment=environment)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def write(self, document: dict) -> None:
        (self.project.folder / "small.yaml").write_text(yaml.safe_dump(document))

    def planned(self) -> dict[str, int]:
        """Jobs per rule, without the target that only collects."""
        plan = self.project.planned("--configfile", "small.yaml", "--", "small")
        return {rule: count for rule, count in plan.items() if rule != "small"}

    @contextlib.contextmanager
    def edited(self, file: str, before: str, after: str):
        """`before` is replaced in a file of the project, or `after` appended where it is empty."""
        path = self.project.folder / file
        text = path.read_text() if path.exists() else ""
        assert before in text, f"{file} does not say {before!r} any more; mend this test"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace(before, after, 1) if before else text + after)
            yield
        finally:
            path.write_text(text) if text else path.unlink()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return tmp_path_factory.mktemp("recorded")


@pytest.fixture(scope="module")
def study(tmp_path_factory, recorded):
    study = Study(Project(tmp_path_factory.mktemp("small")))
    path = os.pathsep.join(filter(None, [str(RECORDING), os.environ.get("PYTHONPATH")]))
    study.run(PYTHONPATH=path, RECORDED=str(recorded))
    return study


# --------------------------------------------------------------------------------------------------- what a rule runs
def chosen(record):
    """The keys of registries that a job used, told by its own parameters."""
    params = record["params"]
    run, dataset = params.get("run", {}), params.get("dataset", {})
    sets = run.get("transform", {}).get("sets", params.get("sets", []))
    steps = [step for one in sets for view in one["views"] for step in view] + run.get("probe", {}).get("transform", [])
    training = run.get("training", {})
    keys = {
        "phenoviews.views.OPERATIONS": {"normalize", *(operation for step in steps for operation in step)},
        "phenoviews.methods.METHODS": {run["method"]["kind"]} if "method" in run else None,
        "phenoviews.training.optim.OPTIMIZERS": {training["optimizer"]} if training else None,
        "phenoviews.training.optim.SCHEDULES": {training["schedule"]} if training else None,
        "phenoviews.training.loop.KEEPERS": {training["keep"]} if training else None,
        "phenoviews.data.readers.READERS": {dataset["kind"]} if record["rule"] == "data" else None,
        "phenoviews.cells.choosers.CHOOSERS": {dataset["kind"]} if record["rule"] == "cells" else None,
        "phenoviews.cells.screen.READERS": {params["screen"]["kind"]} if record["rule"] == "screen" else None,
        "phenoviews.panels.figures.FIGURES": {params["panel"]["plot"]} if "plot" in params.get("panel", {}) else None,
    }
    return {registry: found for registry, found in keys.items() if found}


def test_the_code_that_a_rule_states_is_the_code_that_it_runs(study, recorded):
    """Every module in `sys.modules` and every definition whose code ran in a real job is among what is reached."""
    records = [json.loads(file.read_text()) for file in recorded.iterdir()]
    scripts = {file.name for file in (ROOT / "workflow/scripts").glob("*.py")}
    seen = set()
    for record in records:
        seen.add(record["script"])
        code = reached(record["script"], chosen(record))
        assert set(record["modules"]) <= set(code), f"{record['rule']} imports more than it states"
        for file, name in record["definitions"]:
            module = ".".join(
                ["phenoviews", *file.removesuffix(".py").removesuffix("__init__").strip(os.sep).split(os.sep)]
            )
            assert name.startswith("<") or name in code[module], f"{record['rule']} runs {module}.{name} unstated"
    # Those that need what a small study has not: a simulated plate's score, a projector's output, ImageNet's weights.
    assert scripts - seen <= {"detection.py", "embed.py", "weights.py"}


# --------------------------------------------------------------------------------------------- what an edit runs again
PANELS = {
    "small_digits",
    "small_map",
    "small_nearest",
    "small_cells",
    "small_doses",
    "small_scores",
    "small_treatments",
}
TRAINED = {"pretrain", "probe", "clusters", "tsne", "score", "structure", *PANELS} - {"small_doses"}


def test_a_second_run_does_nothing(study):
    assert study.planned() == {}


METHOD = f"{LIBRARY}/methods"
NOTHING: set[str] = set()
EDITS = {
    # what: (file, before, after, the rules that are planned)
    "the width of figures": (
        f"{LIBRARY}/panels/style.py",
        "WIDTH = 7.0",
        "WIDTH = 6.0",
        {"small_map", "small_nearest", "small_doses", "small_treatments"},
    ),
    "a figure": (f"{LIBRARY}/panels/figures/tsne.py", "GLYPHS = 600", "GLYPHS = 500", {"small_map"}),
    "a new function beside a loss": (f"{METHOD}/simclr.py", "", "\n\ndef new() -> int:\n    return 1\n", NOTHING),
    "a new reader's module": (f"{LIBRARY}/data/readers/new.py", "", "def prepare() -> None:\n    pass\n", NOTHING),
    "a new reader's line": (
        f"{LIBRARY}/data/readers/__init__.py",
        '"mnist": mnist.prepare,',
        '"mnist": mnist.prepare,\n    "new": mnist.prepare,',
        NOTHING,
    ),
    "a reader": (f"{LIBRARY}/data/readers/digits.py", "1797", "1796", None),
    "another reader": (f"{LIBRARY}/data/readers/cifar.py", "", "\nprint\n", None),
}
