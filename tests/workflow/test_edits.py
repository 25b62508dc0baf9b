"""An edit reruns exactly what it changes: real dry runs on a finished small study. That the code which a rule states is
the code that it runs is shown where every rule runs, in test_demo and test_audit."""

from __future__ import annotations

import contextlib
import functools
import shutil

import pytest
import yaml
from tests.workflow.conftest import Project
from tests.workflow.small import ADDED, RESOURCES, SMALL
from tests.workflow.small import PANELS as PANELS_OF

from phenoviews.study.document import merge

LIBRARY = "workflow/scripts/phenoviews"


class Study:
    """The small study in a project of its own; `planned` after an edit, which is then taken back."""

    def __init__(self, project: Project):
        self.project = project
        self.document = {**ADDED, "scales": {"demo": SMALL}, "only": ["small"]}

    def run(self, *targets: str) -> None:
        self.write(self.document)
        done = self.project.snakemake("--configfile", "small.yaml", "--", *(targets or ["small"]))
        assert done.returncode == 0, done.stdout

    def write(self, document: dict) -> None:
        (self.project.folder / "small.yaml").write_text(yaml.safe_dump(document))

    def planned(self, *targets: str, options: tuple[str, ...] = (), **environment: str) -> dict[str, int]:
        """Jobs per rule, without the target that only collects."""
        arguments = (*options, "--configfile", "small.yaml", "--", *(targets or ["small"]))
        plan = self.project.planned(*arguments, environment=environment)
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
def study(tmp_path_factory):
    study = Study(Project(tmp_path_factory.mktemp("small")))
    for file, text in RESOURCES.items():
        (study.project.folder / "resources" / file).write_text(text)
    study.run("small")
    return study


# --------------------------------------------------------------------------------------------- what an edit runs again
DIGITS = {"small_digits", "small_map", "small_nearest"}
TREATMENTS = {"small_scores", "small_treatments"}
ON_THE_WAY = {"measure_on_the_way", "small_epochs"}
PANELS = {*DIGITS, "small_cells", "small_doses", "small_epochs", *TREATMENTS}
PICTURES = {"small_map", "small_nearest", "small_doses", "small_treatments", "qc"}
OF_DIGITS = {"clusters", "measure_clusters", "tsne", "probe", "fine_tune", *DIGITS}
OF_TREATMENTS = {"score", "structure", *TREATMENTS}
OF_TRAININGS = {"pretrain", *OF_DIGITS, *OF_TREATMENTS, *ON_THE_WAY, "measure_encoder", "small_cells"}

NEW = "\n\ndef new(x: int) -> int:\n    return x + 1\n"
NEW_METHOD = """
from phenoviews.methods.simclr import SimCLR


class Toy(SimCLR):
    pass
"""

VICREG = "from phenoviews.methods.vicreg"
HUE = "def shift_hue(colours: Tensor, away: Tensor) -> Tensor:"

# What is edited: [(file, what it says, what it then says; "" and text: appended)].
# Of no consequence.
HARMLESS = {
    "a comment in the loop": [("training/loop.py", "", "# Nothing.\n")],
    "a type": [("views/colour.py", "def mixture(own: Tensor,", "def mixture(own: object,")],
    "a function beside a loss": [("methods/simclr.py", "", NEW)],
    "a function among the shared parts": [("methods/parts/heads.py", "", NEW)],
    "a reader's module and line": [
        ("data/readers/new.py", "", "def prepare(dataset, downloads, images, index):\n    pass\n"),
        ("data/readers/__init__.py", "import cifar,", "import new, cifar,"),
        ("data/readers/__init__.py", '"mnist": mnist.prepare,', '"mnist": mnist.prepare,\n    "new": new.prepare,'),
    ],
    "a method: its file, its line, its entry": [
        ("methods/toy.py", "", NEW_METHOD),
        (
            "methods/__init__.py",
            "from phenoviews.methods.vicreg",
            "from phenoviews.methods.toy import Toy\nfrom phenoviews.methods.vicreg",
        ),
        ("methods/__init__.py", '"vicreg": VICReg', '"vicreg": VICReg, "toy": Toy'),
    ],
    "an operation": [
        ("views/colour.py", "", "\n\n@dataclass(frozen=True)\nclass Grain(Sometimes):\n    pass\n"),
        ("views/__init__.py", '"random_invert":', '"grain": colour.Grain,\n    "random_invert":'),
    ],
    "a backbone's line": [
        ("models/backbones.py", '"vgg13": partial', '"vgg9": partial(_vgg, "A"),\n    "vgg13": partial')
    ],
    "the layers of backbones that nobody uses": [
        (
            "models/backbones.py",
            "model.layer3 = model._make_layer(block,",
            "model.layer3 = model._make_layer(block or block,",
        ),
        ("models/backbones.py", '"vgg13": partial(_vgg, "B")', '"vgg13": partial(_vgg, "D")'),
    ],
    "what only watches a training": [("training/watch.py", "rankme(subject.test,", "rankme(1 * subject.test,")],
}
# And of some: the rules that are planned then.
EDITS = {
    "the width of figures": ([("panels/style.py", "WIDTH = 7.0", "WIDTH = 6.5")], PICTURES),
    "one figure": ([("panels/figures/tsne.py", "GLYPHS = 600", "GLYPHS = 500")], {"small_map"}),
    "the pictures of plates": ([("pictures/overlay.py", "", "print()\n")], {"qc"}),
    "the layers of the backbone that all use": (
        [("models/backbones.py", "sizes = [v if v ==", "sizes = [v if 1 and v ==")],
        {*OF_TRAININGS, "embed_frozen", "measure_embeddings", "small_doses"},
    ),
    "the reader of the digits": (
        [("data/readers/digits.py", "255 / 16", "250 / 16")],
        {"data", "pretrain", "lpips", *OF_DIGITS},
    ),
    "an operation that digits' transform has not": (
        [("views/colour.py", HUE, f"{HUE}\n    away = 1 * away\n")],
        {"pretrain", "clusters", "measure_encoder", "small_cells", *OF_TREATMENTS, *ON_THE_WAY},
    ),
    "the body of a script": ([("../score.py", "", "print()\n")], OF_TREATMENTS),
    "a loss": (
        [("methods/simclr.py", "temperature\n", "temperature * 1.0\n")],
        {"pretrain", *OF_DIGITS, *OF_TREATMENTS, *ON_THE_WAY},
    ),
    "a head that all share": ([("methods/parts/heads.py", "inputs = size", "inputs = size + 0")], OF_TRAININGS),
    "the loop": ([("training/loop.py", "self.step += 1", "self.step += 1 + 0")], OF_TRAININGS),
    "the probe": (
        [("training/probe.py", "MultiStepLR(optimizer", "MultiStepLR(1 and optimizer")],
        {"probe", "small_digits"},
    ),
    "a claim's wording": ([("../../../resources/claims/small.yaml", "as well", "quite as well")], {"small_digits"}),
    "a published value": ([("../../../resources/published/small.csv", "0.51", "0.52")], {"small_digits"}),
}
# How many of the four trainings are planned.
TRAINED = {"a loss": 2, "a head that all share": 4, "the loop": 4, "the reader of the digits": 2}


@contextlib.contextmanager
def all_of(study, edits):
    with contextlib.ExitStack() as stack:
        for file, before, after in edits:
            stack.enter_context(study.edited(f"{LIBRARY}/{file}", before, after))
        yield


# Judged by one dry run together, since they have no rule in common; each of the others has a dry run of its own.
TOGETHER = [
    ("the width of figures", "the probe"),
    ("a claim's wording", "one figure", "the pictures of plates"),
    ("the body of a script", "a published value"),
    *((what,) for what in ("the layers of the backbone that all use", "the reader of the digits", "a loss")),
    *((what,) for what in ("an operation that digits' transform has not", "a head that all share", "the loop")),
]


@pytest.mark.parametrize("together", TOGETHER, ids=" and ".join)
def test_an_edit_runs_again_what_it_changes(study, together):
    expected = [rule for what in together for rule in EDITS[what][1]]
    assert len(expected) == len(set(expected)), "edits that are judged together have a rule in common"
    with all_of(study, [edit for what in together for edit in EDITS[what][0]]):
        plan = study.planned()
    assert set(plan) == set(expected)
    for what in TRAINED.keys() & set(together):
        assert plan["pretrain"] == TRAINED[what]


def test_every_edit_is_judged():
    assert sorted(what for together in TOGETHER for what in together) == sorted(EDITS)


def test_a_harmless_edit_runs_nothing_again(study):
    """All of them in one dry run, since each must plan nothing; the culprit is looked for only where there is one."""
    with all_of(study, [edit for edits in HARMLESS.values() for edit in edits]):
        together = study.planned()
    if together:
        for what, edits in HARMLESS.items():
            with all_of(study, edits):
                assert study.planned() == {}, what
    assert together == {}


HEAD = {"hidden": [8], "out": 8, "batch_norm": False}
SHOWN = {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
TENDED = {
    **{recipe: {"training": {"checkpoint_minutes": 1, "watch_epochs": 1}} for recipe in ("cells", "treatments")},
    "mnist": {"training": {"checkpoint_minutes": 1}, "fine_tuning": {"training": {"checkpoint_minutes": 1}}},
}
ADDITIONS = {
    "a transform": {"transforms": {"new": [{"random_invert": {"p": 0.5}}, {"normalize": {}}]}},
    "a method's entry": {"methods": {"new": {"kind": "simclr", "temperature": 0.1, "projector": HEAD}}},
    "a dataset": {"datasets": {"new": {"kind": "digits", **SHOWN, "recipe": "mnist"}}},
    "a panel": {"panels": {"other": {"new": PANELS_OF["digits"]}}},
    "how trainings are looked after": {"scales": {"demo": {"recipes": TENDED}}},
}


def test_what_is_added_to_the_study_runs_nothing_old(study):
    """As above, all of it in one dry run."""

    def planned(*what):
        study.write(functools.reduce(merge, (ADDITIONS[one] for one in what), study.document))
        return study.planned()

    try:
        together = planned(*ADDITIONS)
        for what in ADDITIONS if together else ():
            assert planned(what) == {}, what
        assert together == {}
    finally:
        study.write(study.document)


def test_conda_environments_in_the_place_of_ours_run_nothing_again(study, conda):
    assert study.planned(options=("--sdm", "conda"), PATH=conda) == {}


def test_after_edits_a_second_run_does_nothing(study, tmp_path):
    """On a copy, whose digits are two trainings: of a figure, of a measure and of a loss, none is planned for ever."""
    copy = Study(Project.of(shutil.copytree(study.project.folder, tmp_path / "copy", symlinks=True)))
    edits = [edit for what in ("the width of figures", "the probe", "a loss") for edit in EDITS[what][0]]
    with all_of(copy, edits):
        copy.run("small_map", "small_digits")
        assert copy.planned("small_map", "small_digits") == {}
