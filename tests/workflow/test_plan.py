"""What Snakemake plans, and what it refuses before it plans anything."""

from __future__ import annotations

import re

import pytest
import yaml


def test_the_papers_scale_plans_its_trainings_and_downloads_nothing(project):
    """MNIST 50, Table 2 270, the ablation 120 more, Figure 2 two more, Figures 3 and 8 five methods at 58 values on two
    data sets, Figure 4 two more backbones for three methods at ten values, Table 4 twelve methods at 20 values,
    ImageNet100 four methods with three backbones at ten values; paper B's 18, four more seeds and
    eight from random weights; MNIST's four files, CIFAR's two, BBBC021's two tables, the archives of its 55 plates.

    Every panel by its name too, since `all` leaves out those on demand."""
    names = project.snakemake("--list-target-rules").stdout
    panels = re.findall(r"^(?:no_free_lunch|single_cell)_\w+$", names, flags=re.MULTILINE)
    assert len(panels) > 26
    plan = project.planned("--config", "scale=paper", "--", *panels, "all")
    assert plan["pretrain"] == 50 + 270 + 120 + 2 + 2 * 5 * 58 * 5 + 300 + 1200 + 360 + 18 + 4 + 8
    assert plan["fine_tune"] == 150
    assert plan["download"] == 4 + 2 + 2 + 55
    # Of three compounds and of 15 % of the fields a draw for each seed, and what nothing is drawn of.
    assert plan["cells"] == 3 * 5 + 5 + 2
    assert not (project.folder / "results").exists()


def test_table_2_needs_the_three_plates_of_week_1(project):
    done = project.snakemake("--dry-run", "--config", "scale=paper", "--", "no_free_lunch_table2")
    assert done.returncode == 0
    archives = set(re.findall(r"output: (\S+\.zip)", done.stdout))
    plates = {f"results/downloads/bbbc021/BBBC021_v1_images_Week1_{number}.zip" for number in (22123, 22141, 22161)}
    assert archives == plates
    assert not (project.folder / "results").exists()


def test_the_demo_downloads_nothing_and_uses_nearly_every_rule(project):
    """What it fetches, its own simulation made: two tables and an archive per plate. It has no use for ImageNet's
    weights, for projectors, for how well nuclei are found, for kNN, for the price of it all,
    and for the targets of single papers."""
    plan = project.planned()
    assert plan["download"] == 2 + plan["simulate_plate"]
    rules = re.findall(r"^\w+$", project.snakemake("--list-rules").stdout, flags=re.MULTILINE)
    assert set(rules) - set(plan) == {
        *("weights", "embed", "detection", "measure_encoder", "plan", "calibrate"),
        *("no_free_lunch", "single_cell", "pilot", "pilot_cifar10"),
    }


TABLES = [f"single_cell_table{number}" for number in range(1, 8)]


def test_paper_b_shares_its_trainings(project):
    """16 + 1 for all tables and the figure, as ../shared/papers/runs.md counts them, and the final run at τ = 0.1."""
    panels = [*TABLES, "single_cell_figure2"]
    assert project.planned("--config", "scale=paper", "--", *panels)["pretrain"] == 18
    # Three more temperatures, of which two are new.
    method = ["simclr", "simclr+temperature=0.05", "simclr+temperature=0.2", "simclr+temperature=0.3"]
    patch = {"panels": {"single_cell": {"table7": {"runs": {"method": method}}}}}
    (project.folder / "sweep.yaml").write_text(yaml.safe_dump(patch))
    plan = project.planned("--configfile", "sweep.yaml", "--config", "scale=paper", "--", *panels)
    assert plan["pretrain"] == 18 - 2 + 2  # 1.0 and 0.5 are not asked for any more


ARRAYS = {"download", "data"}
CELLS = {"download", "screen", "illumination", "nuclei", "cells"}
OF_ENCODER, OF_EMBEDDINGS, OF_CLUSTERS = "measure_encoder", "measure_embeddings", "measure_clusters"
PROBE = "probe"


@pytest.mark.parametrize(
    ("panel", "trainings", "others"),
    [
        ("no_free_lunch_table1", 25, ARRAYS | {"clusters", PROBE, "lpips", "weights"}),
        ("no_free_lunch_table7", 30, ARRAYS | {PROBE, "embed_frozen"}),
        ("no_free_lunch_figure1", 2, ARRAYS | {"clusters", "tsne", OF_CLUSTERS}),
        ("no_free_lunch_figure9", 6, ARRAYS | {"clusters", OF_CLUSTERS}),
        ("no_free_lunch_table2", 270, CELLS | {"clusters", "weights", "embed_frozen"}),
        ("no_free_lunch_ablation", 150, CELLS | {"clusters", "embed_frozen"}),
        ("no_free_lunch_figure2", 3, CELLS | {"clusters", OF_CLUSTERS}),
        ("no_free_lunch_figure6", 0, CELLS | {OF_EMBEDDINGS, "weights", "embed_frozen"}),
        ("single_cell_table1", 10, CELLS | {"score", "weights"}),
        ("single_cell_table2", 2, CELLS | {"score", "weights"}),
        ("single_cell_hyperparameters", 16, CELLS | {"score", "weights"}),
        ("single_cell_table6", 3, CELLS | {"score", "weights"}),
        ("single_cell_figure2", 1, CELLS | {"score", "weights"}),
        ("single_cell_structure", 5, CELLS | {"score", "structure", "weights"}),
        ("single_cell_random_start", 8, CELLS | {"score"}),
    ],
)
def test_a_panel_runs_what_it_needs_and_nothing_else(project, panel, trainings, others):
    plan = project.planned("--config", "scale=paper", "--", panel)
    assert plan.pop("pretrain", 0) == trainings
    assert set(plan) == {panel, *others}


def test_a_metric_by_class_and_one_without_labels_are_a_table_without_new_rules(project):
    run = {"dataset": "digits", "transform": "mnist_first", "method": ["moco", "untrained"], "backbone": "vgg11"}
    panel = {"title": "By class", "runs": run, "metrics": ["accuracy", "knn", "rankme"], "where": {"class": ["3", "7"]}}
    panel |= {"rows": ["method", "class"], "columns": ["metric"]}
    (project.folder / "mine.yaml").write_text(yaml.safe_dump({"seeds": [5], "panels": {"mine": {"classes": panel}}}))
    plan = project.planned("--configfile", "mine.yaml", "--", "mine_classes")
    assert (plan["pretrain"], plan["embed_frozen"]) == (1, 1)
    assert (plan[PROBE], plan[OF_ENCODER], plan[OF_EMBEDDINGS]) == (2, 2, 2)


def test_a_sweep_needs_no_new_rules(project):
    panel = {
        "title": "Rotation",
        "runs": {
            "dataset": "digits",
            "transform": ["mnist_first", "mnist_first+degrees=45", "mnist_first+degrees=25"],
            "method": "moco+temperature=0.5",
            "backbone": "vgg11",
        },
        "metrics": ["ami"],
        "clusters": 10,
        "rows": ["transform"],
        "columns": ["metric"],
    }
    (project.folder / "sweep.yaml").write_text(yaml.safe_dump({"seeds": [5], "panels": {"mine": {"rotation": panel}}}))
    # degrees=25 is what mnist_first has: the same training.
    assert project.planned("--configfile", "sweep.yaml", "--", "mine_rotation")["pretrain"] == 2


@pytest.mark.parametrize(
    ("patch", "says"),
    [
        (
            {"transforms": {"mnist_first": [{"padd": {"fraction": [0.1, 0.4]}}]}},
            "unknown operation 'padd'; did you mean pad?",
        ),
        ({"recipes": {"mnist": {"training": {"epochs": -1}}}}, "recipes.mnist.training.epochs: -1 is less than"),
        ({"methods": {"moco": {"queu": 5}}}, "unknown key 'queu'; did you mean queue?"),
    ],
)
def test_a_study_that_cannot_be_is_refused_in_one_line(project, patch, says):
    (project.folder / "bad.yaml").write_text(yaml.safe_dump(patch))
    done = project.snakemake("--dry-run", "--configfile", "bad.yaml")
    assert done.returncode != 0
    lines = [line for line in done.stdout.splitlines() if says in line]
    assert len(lines) == 1
    assert "Traceback" not in done.stdout
    assert not (project.folder / "results").exists()


def test_what_the_user_says_counts_and_own_panels_are_no_demo(project):
    """In another folder, too, with nothing but a file of one's own; and as `config.yaml` of that folder."""
    runs = {"dataset": "digits", "transform": "mnist_first", "method": "simclr", "backbone": "vgg11"}
    panel = {
        "title": "Mine",
        "runs": runs,
        "metrics": ["ami"],
        "clusters": 10,
        "rows": ["method"],
        "columns": ["metric"],
    }
    elsewhere = project.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.yaml").write_text(yaml.safe_dump({"seeds": [1, 2, 3], "panels": {"mine": {"table1": panel}}}))
    there = ["-d", "elsewhere", "--configfile", "elsewhere/mine.yaml", "--"]
    plan = project.planned(*there, "no_free_lunch_table1", "mine_table1")
    assert plan["pretrain"] == 5 * 3 + 3
    done = project.snakemake("--dry-run", *there, "mine_table1")
    assert (
        len(re.findall(r"output: results/own/runs/digits/mnist_first/simclr/vgg11/seed\d/encoder.pt", done.stdout)) == 3
    )
    assert "results/demo" not in done.stdout
    (elsewhere / "mine.yaml").rename(elsewhere / "config.yaml")
    assert project.planned("-d", "elsewhere", "--", "no_free_lunch_table1", "mine_table1") == plan


def test_another_workflow_takes_this_one_as_a_module(project):
    """With a copy of config.yaml, or only what it changes."""
    outer = project.folder / "outer"
    outer.mkdir()
    lines = [
        "module phenoviews:",
        '    snakefile: "../Snakefile"',
        "    config: config",
        "use rule * from phenoviews as pheno_*",
    ]
    for config in (
        {"seeds": [1, 2]},
        {**yaml.safe_load((project.folder / "config.yaml").read_text()), "seeds": [1, 2]},
    ):
        (outer / "config.yaml").write_text(yaml.safe_dump(config))
        (outer / "Snakefile").write_text("\n".join(['configfile: "config.yaml"', *lines]))
        plan = project.planned("-s", "outer/Snakefile", "-d", "outer", "--", "pheno_no_free_lunch_table1")
        assert plan["pheno_pretrain"] == 5 * 2


@pytest.mark.parametrize("group", ["data", "all", "no_free_lunch_table1"])
def test_a_group_of_panels_that_is_called_like_a_rule_is_refused(project, group):
    runs = {"dataset": "digits", "transform": "plain", "method": "simclr", "backbone": "vgg11"}
    panel = {"title": "Mine", "runs": runs, "metrics": ["rankme"], "rows": ["method"], "columns": ["metric"]}
    (project.folder / "mine.yaml").write_text(yaml.safe_dump({"panels": {group: {"table1": panel}}}))
    done = project.snakemake("--dry-run", "--configfile", "mine.yaml", "--", f"{group}_table1")
    assert done.returncode != 0
    assert f"config: panels: '{group}' is the name of another rule" in done.stdout
    assert "CreateRuleException" not in done.stdout


def test_settings_on_the_command_line(project):
    """Nested ones come in text; what something more special overrides is told."""
    recipe = "recipes={cifar: {training: {epochs: 2, warmup_epochs: 1, lr: 1e-2}}}"
    done = project.snakemake("--dry-run", "--config", recipe, "seeds=[3]", "--", "no_free_lunch_figure3")
    assert done.returncode == 0, done.stdout
    assert "/seed3/" in done.stdout
    assert "/seed5/" not in done.stdout
    assert "phenoviews: recipes.cifar.training.lr: 0.01 does not reach simclr (0.4)" in done.stdout
    done = project.snakemake(
        "--dry-run", "--config", "recipes={cifar: {training: {warmup_epochs: 12}}}", "--", "no_free_lunch_figure3"
    )
    assert done.returncode != 0
    assert "recipes.cifar.training.warmup_epochs is 12, which leaves nothing of epochs: 10" in done.stdout
    assert "Traceback" not in done.stdout
