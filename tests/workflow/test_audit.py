"""An audit from its line in a config to its page: what the command plans, and a small one that runs."""

from __future__ import annotations

import copy

import pandas as pd
import yaml
from tests.workflow import recorded
from tests.workflow.conftest import Project

AUDIT = {"dataset": "digits", "start": "mnist_first", "method": "simclr", "backbone": "vgg11", "budget_gpu_hours": 0.5}
OWN = {
    "recipes": {"mnist": {"training": {"epochs": 1}}},
    "panels": {"mine": {"audit": {**AUDIT, "objective": ["labels", "uniformity", "alignment"]}}},
}


def test_an_audit_and_its_page_are_planned_with_what_the_objectives_need(tmp_path):
    project = Project(tmp_path)
    (project.folder / "audit.yaml").write_text(yaml.safe_dump(OWN))
    planned = project.planned("--configfile", "audit.yaml", "--", "report_own")
    runs = planned["pretrain"] + planned["embed_frozen"]
    assert planned["embed_frozen"] >= 3
    # One choice, one audit, one page; of every run the probe, uniformity and alignment.
    assert {rule: planned[rule] for rule in ("mine_audit_choice", "mine_audit", "report_own", "views")} == {
        "mine_audit_choice": 1, "mine_audit": 1, "report_own": 1, "views": 1,
    }  # fmt: skip
    assert planned["probe"] == planned["measure_embeddings"] == planned["measure_encoder"] == runs


def test_an_audit_is_not_drawn_of_a_part_of_its_trainings(tmp_path):
    """That would be one look more; what else is asked for is drawn."""
    project = Project(tmp_path)
    own = copy.deepcopy(OWN)
    runs = {"dataset": "digits", "transform": "mnist_first", "method": "simclr", "backbone": "vgg11"}
    table = {"title": "Mine", "runs": runs, "metrics": ["knn"], "rows": ["method"], "columns": ["metric"]}
    own["panels"]["mine"]["table"] = table
    (project.folder / "audit.yaml").write_text(yaml.safe_dump(own))
    command = ["--configfile", "audit.yaml", "--config", "partial=true", "only=mine", "--", "report_own"]
    assert project.planned(*command) == {"mine_table": 1, "report_own": 1}
    said = project.snakemake("--dry-run", "--quiet", *command).stdout
    assert "phenoviews: mine_audit: left out, as an audit is told of all its trainings or not at all" in said
    folder = project.folder / "results/own/panels/mine"
    folder.mkdir(parents=True)
    for suffix in ("json", "csv", "md", "yaml", "png", "pdf"):
        (folder / f"audit.{suffix}").touch()
    assert "left out" not in project.snakemake("--dry-run", "--quiet", *command).stdout


def test_with_looks_the_trainings_up_to_the_first_are_planned_and_the_plan_counts_all_that_may_be(tmp_path):
    project = Project(tmp_path)
    own = copy.deepcopy(OWN)
    own["panels"]["mine"]["audit"] |= {"looks": [2, 5], "shortest": 0.5, "epochs": 2, "objective": "labels"}
    (project.folder / "audit.yaml").write_text(yaml.safe_dump(own))
    planned = project.planned("--configfile", "audit.yaml", "--", "mine_audit")
    assert {rule: count for rule, count in planned.items() if rule.startswith("mine_audit")} == {
        "mine_audit_look1": 1, "mine_audit_choice": 1, "mine_audit": 1,
    }  # fmt: skip
    assert planned["pretrain"] % 2 == 0
    assert planned["embed_frozen"] == 2
    done = project.snakemake("--configfile", "audit.yaml", "--", "plan")
    assert done.returncode == 0, done.stdout
    told = pd.read_csv(project.folder / "results/own/plan.csv")
    (line,) = told[told["panel"] == "mine_audit"].to_dict("records")
    # All settings with all seeds, and with new ones the set and what is recommended in its place.
    assert line["trainings"] == planned["pretrain"] / 2 * 5 + 2 * 5


# One operation in question, and looked at half-way of each training. Within so wide a margin all is alike, so that the
# first of two looks decides, and saves the trainings with a third seed; from there a search goes on.
TURNED = [{"random_crop": {"fraction": [0.6, 0.9]}}, {"random_invert": {"p": 0.5}}, {"normalize": {}}]
SMALL = {
    "resources": {"threads": 1},
    "transforms": {"turned": TURNED},
    "backbones": {"vgg11": {"width": 0.125}},
    "recipes": {"mnist": {"training": {"epochs": 2, "batch_size": 256}}},
    "panels": {
        "mine": {
            "audit": {
                **AUDIT,
                "start": "turned",
                "keep": ["random_crop"],
                "objective": "uniformity",
                "looks": [2, 3],
                "shortest": 0.5,
                "margin": 1e6,
                "search": {"rounds": 2, "settings": 1, "candidates": 1},
            }
        }
    },
}


def test_an_audit_runs_through_its_looks(tmp_path):
    project, records = Project(tmp_path / "project"), tmp_path / "records"
    records.mkdir()
    (project.folder / "audit.yaml").write_text(yaml.safe_dump(SMALL))
    command = ["--configfile", "audit.yaml", "--", "mine_audit"]
    finished = project.snakemake(*command, environment=recorded.environment(records))
    assert finished.returncode == 0, finished.stdout
    scripts = {"audit_look.py", "audit_search.py", "audit_choice.py", "audit.py", "measure_on_the_way.py"}
    assert recorded.checked(records) >= scripts
    folder = project.folder / "results/own/panels/mine"
    found = pd.read_csv(folder / "audit.csv")
    assert set(found["look"].dropna()) == {2}
    runs = {(file.parts[-5], file.parent.name) for file in project.folder.glob("results/own/runs/**/history.csv")}
    changed = set(found.loc[found["against"] == "turned", "setting"]) - {"turned"}
    assert {seed for setting, seed in runs if setting in changed} == {"seed5", "seed6"}
    # The search tries one of the others in each round, and what looks better than the set again, with new seeds.
    tried = pd.read_csv(folder / "audit.search.csv").set_index("setting")
    assert tried["round"].tolist() == [1, 2]
    better = set(tried.index[tried["change"] == tried["change"].max()]) if (tried["change"] > 0).any() else set()
    assert set(tried.index[tried["candidate"]]) == better
    new = {("turned", seed) for seed in ("seed8", "seed9", "seed10")} if better else set()
    new |= {(name, seed) for name in better for seed in ("seed8", "seed9", "seed10")}
    itself = {("turned", "seed5"), ("turned", "seed6")}
    assert {run for run in runs if run[0] not in changed} == itself | {(name, "seed5") for name in tried.index} | new
    assert found["change"].notna().any()
    assert pd.read_csv(folder / "audit.lengths.csv")["epochs"].tolist() == [1, 2]
    assert yaml.safe_load((folder / "audit.yaml").read_text())["transforms"]
    assert project.planned(*command) == {}
