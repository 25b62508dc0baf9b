"""What the user says counts, at every scale and however it is said; and nothing else is changed by it."""

from __future__ import annotations

import re

import pytest
import yaml

from phenoviews.errors import UserError
from phenoviews.study import Run, Study, merge
from phenoviews.study.document import ROOT, shipped, users

SHIPPED = shipped()
RUNS = {"dataset": "mnist", "transform": "mnist_first", "method": "simclr", "backbone": "vgg11"}
PANEL = {"title": "Mine", "runs": RUNS, "metrics": ["ami"], "clusters": 10, "rows": ["method"], "columns": ["metric"]}
MINE = {"panels": {"mine": {"table1": PANEL}}}


def study(said, scale=None):
    """The study as Snakemake makes it of a file of the user's."""
    said = merge(said, {"scale": scale} if scale else {})
    document, said = users(merge(SHIPPED, said), SHIPPED, said)
    return Study(document, SHIPPED, said)


def unreached(said):
    """What is told of the user's settings where every panel is planned."""
    mine = study(said)
    return mine.unreached(run for panel in mine.panels.values() for run in mine.runs(panel))


def trained(study, panel):
    """One run of a panel, resolved."""
    there = study.of(study.panels[panel])
    return there.resolve(there.on_disk(study.runs(study.panels[panel])[0]))


@pytest.mark.parametrize("scale", [None, "demo", "paper"])
@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"recipes": {"mnist": {"training": {"epochs": 50}}}}, lambda run: run.training.epochs == 50),
        # What is shipped, and what the demo has another value for.
        ({"recipes": {"mnist": {"training": {"epochs": 250}}}}, lambda run: run.training.epochs == 250),
        ({"backbones": {"vgg11": {"width": 1.0}}}, lambda run: run.backbone.width == 1),
        (
            {"recipes": {"mnist": {"methods": {"byol": {"training": {"lr": 0.01}}}}}},
            lambda run: run.training.lr == 0.01,
        ),
        ({"stand_ins": {"mnist": "cifar10"}}, lambda run: run.dataset.name == "cifar10"),
        ({"scales": {"demo": {"seeds": [7]}, "paper": {"seeds": [7]}}}, lambda run: run.seed == 7),
    ],
)
def test_the_users_settings_win_at_every_scale(said, found, scale):
    said = merge(said, {"panels": {"no_free_lunch": {"table1": {"runs": {"method": "byol"}}}}})
    assert found(trained(study(said, scale), "no_free_lunch_table1"))


@pytest.mark.parametrize("scale", [None, "demo", "paper"])
def test_seeds_of_the_users_are_the_seeds(scale):
    mine = study({"seeds": [5, 6, 7, 8, 9], **MINE}, scale)
    for panel in ("no_free_lunch_table1", "mine_table1"):
        assert {run.seed for run in mine.runs(mine.panels[panel])} == {5, 6, 7, 8, 9}


@pytest.mark.parametrize("seeds", [[7], [1, 2, 3]])
def test_a_scale_takes_no_fewer_and_no_more_seeds_than_the_user_says(seeds):
    """Of the demo's panels some take one of its seeds, and some two."""
    demo = study({"seeds": seeds})
    for item in ("table1", "figure3", "table4"):
        assert {run.seed for run in demo.runs(demo.panels[f"no_free_lunch_{item}"])} == set(seeds)
    for scale in ("paper", "own"):  # where some take three
        whole = study({"seeds": seeds, **MINE}, scale)
        assert {run.seed for run in whole.runs(whole.panels["no_free_lunch_figure8"])} == set(seeds)
    few = study({"seeds": seeds, "panel_seeds": {"no_free_lunch": 1}})
    assert {run.seed for run in few.runs(few.panels["no_free_lunch_table1"])} == set(seeds[:1])


def test_more_seeds_than_there_are_is_refused_where_the_user_asks_for_them():
    panel = {**PANEL, "runs": {**RUNS, "seeds": 3}}
    with pytest.raises(UserError, match=r"panels.mine.table1: its `seeds` asks for 3, and `seeds` has 2"):
        study({"seeds": [5, 6], "panels": {"mine": {"table1": panel}}}, "paper")


def test_what_is_said_under_a_scale_wins_there_over_what_is_said_of_all():
    said = {"seeds": [1, 2], "scales": {"demo": {"seeds": [1]}}}
    assert study(said).config["seeds"] == [1]
    assert study(said, "paper").config["seeds"] == [1, 2]


def test_a_panel_that_is_not_shipped_is_not_the_demo():
    """No stand-ins, all seeds, the whole network, at a scale of its own, without a word of published values."""
    mine = study(MINE)
    panel = mine.panels["mine_table1"]
    run = trained(mine, "mine_table1")
    assert (mine.of(panel).scale, run.scale) == ("own", "own")
    assert (run.dataset.name, run.backbone.width, run.training.epochs) == ("mnist", 1, 250)
    assert len(mine.runs(panel)) == len(SHIPPED["seeds"])
    assert mine.note(panel) == ""
    assert mine.declaration(panel)["scale"] == {"name": "own", "note": "", "stand_ins": {}, "own": True}
    # The papers' are as they would be without it.
    plain = study({})
    for name, other in plain.panels.items():
        assert mine.declaration(mine.panels[name]) == plain.declaration(other)
    assert mine.at_work == ["demo", "own"]
    assert plain.at_work[0] == "demo"


def test_a_scale_that_is_asked_for_is_that_of_every_panel():
    for scale in ("demo", "paper", "own"):
        mine = study(MINE, scale)
        assert {mine.of(panel).scale for panel in mine.panels.values()} == {scale} == set(mine.at_work)
    demo = study(MINE, "demo")
    assert trained(demo, "mine_table1").dataset.name == "digits"
    note = demo.note(demo.panels["mine_table1"])
    assert note == "Demo scale (digits in place of MNIST, reduced training, 2 seeds)."


def test_a_scale_of_ones_own_is_laid_over_what_is_said_of_all():
    said = {**MINE, "scale": "quick", "scales": {"quick": {"seeds": [3]}}, "seeds": [1, 2]}
    mine = study(said)
    assert {run.seed for run in mine.runs(mine.panels["mine_table1"])} == {3}
    assert trained(mine, "mine_table1").training.epochs == 250


def test_settings_are_named_for_what_they_differ_from():
    said = {**MINE, "recipes": {"mnist": {"training": {"epochs": 2}}}}
    said_of = {
        ("no_free_lunch_table1", None): "the demo scale's",
        ("no_free_lunch_table1", "paper"): "the paper's",
        ("mine_table1", None): "the shipped ones",
        ("mine_table1", "paper"): "the shipped ones",
    }
    for (panel, scale), whose in said_of.items():
        mine = study(said, scale)
        assert f"Settings that are not {whose}: recipes.mnist.training.epochs: 2." in mine.note(mine.panels[panel])


@pytest.mark.parametrize(
    ("said", "named"),
    [
        # A key that the shipped document lacks, in an entry that it has.
        (
            {"recipes": {"cifar": {"methods": {"vicreg": {"training": {"lr": 0.03}}}}}},
            ["recipes.cifar.methods.vicreg.training.lr: 0.03"],
        ),
        ({"backbones": {"resnet18": {"width": 0.5}}}, ["backbones.resnet18.width: 0.5"]),
        (
            {
                "recipes": {
                    "cells": {
                        "fine_tuning": {
                            "transform": "plain",
                            "training": {"epochs": 1, "batch_size": 2, "optimizer": "sgd", "lr": 0.1},
                        }
                    }
                }
            },
            None,
        ),
        ({"panel_seeds": {"no_free_lunch": 2}}, ["panel_seeds.no_free_lunch: 2"]),
        ({"stand_ins": {"mnist": "digits"}}, ["stand_ins.mnist: digits"]),
        # What it fills in itself.
        ({"backbones": {"resnet18": {"width": 1.0}}}, []),
        ({"recipes": {"cifar": {"training": {"precision": "auto"}}}}, []),
        # The user's own.
        (
            {
                "methods": {"mine": {"kind": "simclr", "temperature": 1, "projector": {"out": 8}}},
                "recipes": {"cifar": {"methods": {"mine": {"training": {"lr": 0.1}}}}},
            },
            [],
        ),
        ({**MINE, "panel_seeds": {"mine": 1}}, []),
    ],
)
def test_every_leaf_that_is_not_shipped_is_a_change(said, named):
    found = study(said, "paper").changes
    assert found == named if named is not None else all("recipes.cells.fine_tuning" in leaf for leaf in found) and found


def test_two_scales_at_work_have_the_same_data():
    """Of a dataset and of a screen there is one folder."""
    mine = study(MINE)
    demo, own = mine, mine.of(mine.panels["mine_table1"])
    assert own is not demo
    for name in own.config["datasets"]:
        drawn = f"{name}+split_seed=5" if own.entry("datasets", name).get("split_seed") == "run" else name
        assert demo.data(drawn) == own.data(drawn)
    assert demo.config["screens"] == own.config["screens"]


def test_settings_for_a_scale_ask_for_it():
    """Nothing that the user says is lost."""
    mine = study({**MINE, "scales": {"demo": {"seeds": [7]}}})
    assert mine.at_work == ["demo"]
    assert trained(mine, "mine_table1").seed == 7


def test_a_study_without_the_papers_panels():
    """A configuration may have panels of its own alone, or none; a misspelt paper is told all the same."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert Study({**config, "scale": "paper"}).load(Run("mnist", "mnist_first", "simclr", "vgg11", 5)).steps > 0
    assert set(Study({**config, **MINE}).panels) == {"mine_table1"}
    with pytest.raises(UserError, match="panel_seeds: no panels of 'singel_cell'; did you mean single_cell"):
        Study({**config, "panel_seeds": {"singel_cell": 1}})


# ------------------------------------------------------------------------------------------------------------ readings
def read(text):
    return study(yaml.safe_load(text)).config


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("recipes: {mnist: {training: {lr: 1e-3}}}", "recipes.mnist.training.lr", 1e-3),  # text, to YAML 1.1
        ("recipes: {mnist: {training: {epochs: '5'}}}", "recipes.mnist.training.epochs", 5),
        ("recipes: {mnist: {training: {lr_scaling: 'true'}}}", "recipes.mnist.training.lr_scaling", True),
        ("recipes: {mnist: {probe: {milestones: ['3', '4']}}}", "recipes.mnist.probe.milestones", [3, 4]),
        ("recipes: {mnist: {probe: {milestones: '3'}}}", "recipes.mnist.probe.milestones", [3]),
        ("seeds: 7", "seeds", [7]),
        ("seeds: ['1', '2']", "seeds", [1, 2]),
        ("datasets: {mnist: {mean: ['0.5', '0.4', '0.3']}}", "datasets.mnist.mean", [0.5, 0.4, 0.3]),
        ("datasets: {cells_taxol: {cells: 'null'}}", "datasets.cells_taxol.cells", None),
        ("screens: {simulated: {control: 7}}", "screens.simulated.control", "7"),
        ("datasets: {cells_taxol: {compound: 2024-05-01}}", "datasets.cells_taxol.compound", "2024-05-01"),
    ],
)
def test_what_is_meant_is_read(text, path, value):
    """As --config gives it, all in text, and as people write YAML."""
    found = read(text)
    for key in path.split("."):
        found = found[key]
    assert found == value
    assert type(found) is type(value)


def test_numbers_are_read_in_what_a_recipe_says_of_a_method_too():
    training = study(yaml.safe_load("recipes: {cifar: {methods: {simclr: {training: {lr: 1e-2}}}}}"))
    assert training.pair("simclr", "cifar")["training"]["lr"] == 0.01


def test_a_number_as_a_name_is_a_name():
    assert study({"seeds": [5], "panels": {"mine": {2024: PANEL}}}).panels["mine_2024"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("recipes: {mnist: {training: {epochs: five}}}", "recipes.mnist.training.epochs: 'five' is not a whole number"),
        ("seeds: [4294967296]", r"seeds\[0\]: 4294967296 is greater than the maximum of 4294967295"),
        (
            "datasets: {digits: {std: [0, 1, 1]}}",
            r"digits.std: \[0, 1, 1\] is not one to twelve numbers above 0",
        ),
        (
            "datasets: {digits: {mean: [127, 127, 127], std: [0.3, 0.3, 0.3]}}",
            r"digits.mean: \[127, 127, 127\] is not one to twelve numbers from 0 to 1 \(of values that go",
        ),
        ("datasets: {digits: {std: [60]}}", r"digits.std: \[60\] is not one to twelve numbers above 0, up to 1"),
        ("recipes: {mnist: {training: {epochs: 2.5}}}", "recipes.mnist.training.epochs: 2.5 is not a whole number"),
        (
            "datasets: {digits: {kind: folder, path: x}}",
            "datasets.digits: a shipped dataset of kind digits has this name, and yours of kind folder would be",
        ),
        (
            "screens: {simulated: {kind: pattern, path: x}}",
            "screens.simulated: a shipped screen of kind bbbc021 has this name, and yours of kind pattern",
        ),
        (
            "transforms: {mine: [{random_resized_crop: {scale: [1, 0.08]}}]}",
            r"transforms.mine\[0\].random_resized_crop.scale: \[1, 0.08\] is no range; give the lesser end first",
        ),
        ("transforms: {mine: [{random_crop: {fraction: [1, 0.5]}}]}", r"\[1, 0.5\] is no range"),
        ("recipes: {mnist: {training: {lr: .nan}}}", "recipes.mnist.training.lr: nan is not a number"),
        ("recipes: {mnist: {training: {lr: .inf}}}", "recipes.mnist.training.lr: inf is not a number"),
        ("recipes: {mnist: {training: {epochs: .inf}}}", "recipes.mnist.training.epochs: inf is not a whole number"),
        ("recipes: {mnist: {training: {epochs: '2.5'}}}", "epochs: '2.5' is not a whole number"),
        ("recipes: {mnist: {training: {lr: nan}}}", "lr: 'nan' is not a number"),
        ("screens: {simulated: {control: no}}", "screens.simulated.control: False is not text.*; write it in quotes"),
        ("datasets: {mnist: 5}", "datasets.mnist: 5 is not a mapping of keys to values"),
        ("datasets: {my/data: {kind: digits}}", "datasets: the name 'my/data' cannot be that of a rule or a folder"),
        ("panels: {my lab: {}}", "panels: the name 'my lab' cannot be that of a rule"),
        (
            "panels: {mine: {one: {title: x, runs: {dataset: mnist, transform: plain, method: moco, backbone: vgg11,"
            " seeds: [1, 2]}}}}",
            "runs.seeds: .*how many of the study's seeds, `all`, or `{most: 3}`; which seeds there are says",
        ),
        (
            "transforms: {cifar: {color_jitter: {hue: 0.3}}}",
            r"transforms.cifar: a transform is a list of operations; .*override in its name, as in 'cifar\+color_jit",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_of_plain_words(text, says):
    with pytest.raises(UserError, match=says) as caught:
        read(text)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_under_labels_is_refused():
    panel = {**PANEL, "labels": {"mnist_frist": "First"}}
    with pytest.raises(
        UserError, match=r"panels.mine.one: labels: nothing in it is called 'mnist_frist'; did you mean mn"
    ):
        study({"panels": {"mine": {"one": panel}}})


@pytest.mark.parametrize(
    ("panel", "says"),
    [
        ({"runs": {**RUNS, "method": ["moco", "byol"]}, "rows": ["transform"]}, "2 values of 'method'"),
        ({"metrics": ["ami", "top1"], "columns": ["transform"]}, "2 values of 'metric'"),
        ({"runs": {**RUNS, "transform": ["mnist_first", "mnist_first+degrees=90"]}}, "2 values of 'transform'"),
        ({"runs": {**RUNS, "backbone": ["vgg11", "vgg11+width=0.5"]}}, "2 values of 'backbone'"),
        ({"runs": {**RUNS, "sweep": "turns"}}, "2 values of 'transform'"),
        ({"metrics": ["accuracy"]}, "several values of 'class'"),
        ({"metrics": ["nsc"], "runs": {**RUNS, "dataset": "treatments"}}, "several values of 'postprocessing'"),
    ],
)
def test_a_table_that_does_not_show_what_its_runs_differ_in_is_refused_before_they_are_trained(panel, says):
    sweeps = {"turns": {"leaf": "degrees", "values": [0, 90]}}
    with pytest.raises(UserError, match=f"panels.mine.one: {says}, which is in neither"):
        study({"sweeps": sweeps, "panels": {"mine": {"one": {**PANEL, **panel}}}})


def test_what_is_swept_or_not_trained_with_differs_and_is_shown_otherwise():
    sweeps = {"turns": {"leaf": "degrees", "values": [0, 90]}}
    both = [{**RUNS, "sweep": "turns"}, {**RUNS, "transform": "plain", "method": "untrained"}]
    shown = {**PANEL, "runs": both, "rows": ["method", "at"]}
    made = study({"seeds": [5], "sweeps": sweeps, "panels": {"mine": {"one": shown}}})
    assert len(made.runs(made.panels["mine_one"])) == 3


@pytest.mark.parametrize(
    "panel",
    [{"rows": ["method", "metric"]}, {"columns": ["metric", "class"], "average": ["class"], "metrics": ["accuracy"]}],
)
def test_a_dimension_that_is_laid_out_twice_is_refused(panel):
    with pytest.raises(
        UserError, match=r"panels.mine.one: '(metric|class)' is in two of `rows`, `columns` and `average`"
    ):
        study({"panels": {"mine": {"one": {**PANEL, **panel}}}})


def test_a_whole_number_that_is_written_with_a_point_is_one():
    run = trained(study({**MINE, "recipes": {"mnist": {"training": {"epochs": 2.0}}}}), "mine_table1")
    assert run.training.epochs == 2
    assert isinstance(run.training.epochs, int)


# ----------------------------------------------------------------------------------------------------------- unreached
def test_what_something_more_special_overrides_is_told():
    batch = unreached({"recipes": {"cifar": {"training": {"batch_size": 128, "epochs": 3}}}})
    assert batch == [
        "recipes.cifar.training.batch_size: 128 does not reach vicreg (256), dino (256), which have their own: set "
        "recipes.cifar.methods.vicreg.training.batch_size"
    ]
    (of_method,) = unreached({"methods": {"moco": {"temperature": 0.5}}})
    assert "methods.moco.temperature: 0.5 does not reach recipes.mnist (0.07), recipes.cells (0.07)" in of_method
    of_both = {
        "training": {"batch_size": 128},
        "methods": {name: {"training": {"batch_size": 64}} for name in ("vicreg", "dino")},
    }
    assert unreached({"recipes": {"cifar": of_both}}) == []
    assert unreached({}) == []


@pytest.mark.parametrize(
    ("method", "told"), [("simclr", []), ("dino", ["dino (256)"]), (["moco", "vicreg"], ["vicreg (256)"])]
)
def test_only_methods_that_are_planned_are_told_of(method, told):
    runs = {**RUNS, "dataset": "cifar10", "transform": "cifar", "backbone": "resnet18", "method": method}
    said = {"recipes": {"cifar": {"training": {"batch_size": 128}}}, "methods": {"moco": {"temperature": 0.5}}}
    mine = study({**said, "panels": {"mine": {"one": {**PANEL, "runs": runs, "rows": ["method"]}}}})
    lines = mine.unreached(mine.runs(mine.panels["mine_one"]))
    assert [line.split("does not reach ")[1].split(", which")[0] for line in lines if "batch_size" in line] == told
    # Recipes whose data nobody asked for have temperatures of their own; CIFAR's has none.
    assert [line for line in lines if "temperature" in line] == []


# --------------------------------------------------------------------------------------------------------------- labels
@pytest.mark.parametrize(
    ("section", "name", "said", "label"),
    [
        ("datasets", "mnist", {"files": {"train_images": {"md5": "0" * 32}}}, "mnist"),
        ("datasets", "mnist", {"files": {"train_images": {"md5": "0" * 32}}, "label": "Fashion"}, "Fashion"),
        ("datasets", "treatments", {"screen": "simulated"}, "treatments"),
        ("datasets", "cells_taxol", {"compound": "colchicine"}, "cells_taxol"),
        ("datasets", "imagenet100", {"classes": "mine.txt"}, "imagenet100"),
        # The same data, from elsewhere or shown otherwise.
        ("datasets", "imagenet100", {"path": "/data/imagenet"}, "ImageNet100"),
        ("datasets", "mnist", {"size": 28, "mirrors": ["file:///data/"]}, "MNIST"),
        ("datasets", "treatments", {"plates": ["Week1_22123"]}, "BBBC021, all fields"),
        ("screens", "bbbc021", {"archive": "other_{plate}.zip"}, "bbbc021"),
        ("screens", "bbbc021", {"mirrors": ["file:///data/"]}, "BBBC021v1"),
    ],
)
def test_other_data_under_a_shipped_name_are_not_called_as_the_shipped_ones(section, name, said, label):
    said = {section: {name: said}}
    for config in (merge(SHIPPED, said), said):
        document, _ = users(config, SHIPPED, said)
        assert document[section][name]["label"] == label


def test_what_says_nothing_of_data_says_no_labels():
    assert users(SHIPPED, SHIPPED, {})[1] == {}


# --------------------------------------------------------------------------------------------------------- superclasses
FOLDER = {"kind": "folder", "path": "pictures", "size": 32, "recipe": "cifar"}


@pytest.mark.parametrize(
    ("dataset", "entry", "cure"),
    [
        ("mnist", {}, "take it out, or take a data set that has them, such as cifar100"),
        ("cifar10", {}, "take it out"),
        (
            "mine",
            {"kind": "folder", "path": "pictures", "size": 32, "recipe": "cifar"},
            r"say them in datasets.mine.superclas",
        ),
        ("cifar100", {}, None),
        (
            "mine",
            {"kind": "folder", "path": "pictures", "size": 32, "recipe": "cifar", "superclasses": {"a": ["b"]}},
            None,
        ),
    ],
)
@pytest.mark.parametrize("shown", ["superclass_recognised", "superclasses"])
def test_superclasses_that_are_not_there_are_refused_when_planned(dataset, entry, cure, shown):
    runs = {**RUNS, "dataset": dataset, "transform": "cifar", "method": "simclr", "backbone": "resnet18"}
    panel = {**PANEL, "runs": runs, "metrics": [shown], "rows": ["superclass"]}
    if shown == "superclasses":
        panel = {"title": "Mine", "plot": shown, "runs": {**runs, "sweep": "hue"}}
    said = {"datasets": {dataset: entry} if entry else {}, "panels": {"mine": {"one": panel}}}
    if cure is None:
        study(said, "paper")
        return
    with pytest.raises(
        UserError, match=rf"panels.mine.one: `superclass_.*`: the classes of '{dataset}' have no .*{cure}"
    ):
        study(said, "paper")


# ----------------------------------------------------------------------------------------------------------- ImageNet's
@pytest.mark.parametrize(
    ("dataset", "backbone", "method", "said"),
    [
        (
            "cifar10",
            "resnet18_imagenet+width=0.5",
            "simclr",
            "ImageNet's weights are of `width: 1.0`; set that, or `init: random`",
        ),
        ("cifar10", "resnet18_imagenet+stem=small", "simclr", "ImageNet's weights are of `stem: standard`"),
        ("cifar10", "narrow", "simclr", "ImageNet's weights are of `width: 1.0`"),
    ],
)
def test_imagenets_weights_of_another_network_are_refused_when_planned(dataset, backbone, method, said):
    runs = {**RUNS, "dataset": dataset, "transform": "cifar", "method": method, "backbone": backbone}
    narrow = {"kind": "vgg11", "init": "imagenet", "width": 0.25}
    with pytest.raises(UserError, match=rf"panels.mine.one: backbone '{re.escape(backbone)}': {said}"):
        study({"backbones": {"narrow": narrow}, "panels": {"mine": {"one": {**PANEL, "runs": runs}}}}, "paper")


def test_a_transform_of_the_users_is_theirs_for_every_method():
    """The shipped recipe changes the shipped transform for VICReg."""
    mine = [
        {"random_resized_crop": {"scale": [0.5, 1.0]}},
        {"color_jitter": {"hue": 0.1, "p": 0.5}},
        {"random_horizontal_flip": {}},
        {"normalize": {}},
    ]
    for change, crop in (({}, [0.5, 1.0]), ({"random_resized_crop": {"scale": [0.4, 1.0]}}, [0.4, 1.0])):
        recipe = {"cifar": {"methods": {"vicreg": {"transforms": {"cifar": change}}}}} if change else {}
        found = study({"transforms": {"cifar": mine}, "recipes": recipe}, "paper")
        assert found.sets("cifar", "vicreg", "cifar")[0]["views"][0][0]["random_resized_crop"]["scale"] == crop


@pytest.mark.parametrize(("key", "epochs"), [("warmup_epochs", 10), ("warmup_epochs", 2)])
def test_a_warm_up_that_leaves_nothing_is_refused_in_the_plan(key, epochs):
    mine = study({"recipes": {"cifar": {"training": {"epochs": epochs, key: 10}}}}, "paper")
    with pytest.raises(
        UserError, match=f"recipes.cifar.training.{key} is 10, which leaves nothing of epochs: {epochs}"
    ):
        mine.load(Run("cifar10", "cifar", "simclr", "resnet18", 5))


def test_watching_that_would_never_look_is_refused_in_the_plan():
    watched = study({"recipes": {"cifar": {"training": {"epochs": 40, "watch_epochs": 40}}}}, "paper")
    assert watched.load(Run("cifar10", "cifar", "simclr", "resnet18", 5)).epochs == 40
    never = study({"recipes": {"cifar": {"training": {"epochs": 40, "watch_epochs": 41}}}}, "paper")
    with pytest.raises(UserError, match=r"training\.watch_epochs is 41, of epochs: 40, so that it would never be"):
        never.load(Run("cifar10", "cifar", "simclr", "resnet18", 5))


def test_a_batch_of_more_images_than_there_are_is_refused_in_the_plan(tmp_path):
    (tmp_path / "cat").mkdir()
    for number in range(60):
        (tmp_path / "cat" / f"{number}.png").touch()
    entry = {"kind": "folder", "path": str(tmp_path), "size": 32, "mean": "own", "std": "own", "recipe": "cifar"}
    mine = study({"datasets": {"mine": entry}, "recipes": {"cifar": {"training": {"batch_size": 32}}}}, "paper")
    assert mine.load(Run("mine", "cifar", "simclr", "resnet18", 5)).steps == 1000
    with pytest.raises(
        UserError, match=r"recipes.cifar.methods.vicreg.training.batch_size is 256, but dataset 'mine' has about 48"
    ):
        mine.load(Run("mine", "cifar", "vicreg", "resnet18", 5))


GIVEN = {**RUNS, "transform": "plain", "method": "given"}


def test_an_encoder_at_hand_has_weights():
    """It was the network with random weights, under the name of an encoder."""
    with pytest.raises(UserError, match=r"panels.mine.one: the method 'given' .* backbone 'vgg11' has random weights"):
        study({"panels": {"mine": {"one": {**PANEL, "runs": GIVEN}}}})
    for weights in ({"init": "theirs.pt"}, {"init": "imagenet"}):
        backbones = {"theirs": {"kind": "vgg11", **weights}}
        panel = {**PANEL, "runs": {**GIVEN, "backbone": "theirs"}}
        run = trained(study({"backbones": backbones, "panels": {"mine": {"one": panel}}}), "mine_one")
        assert run.backbone.init == weights["init"]
        assert run.method.parameters == {}
    untrained = {**PANEL, "runs": {**GIVEN, "method": "untrained"}}
    assert trained(study({"panels": {"mine": {"one": untrained}}}), "mine_one").backbone.init == "random"


@pytest.mark.parametrize("more", [{"kind": "resnet50"}, {"init": "a.pt"}, {"width": 0.5}, {"prefix": "encoder."}])
def test_what_a_run_says_of_its_encoder_is_not_said_again(more):
    panel = {**PANEL, "runs": {**GIVEN, "backbone": "ours"}}
    said = {"backbones": {"ours": {"run": "results/nowhere", **more}}, "panels": {"mine": {"one": panel}}}
    with pytest.raises(UserError, match=rf"backbone 'ours': its `run` says what it is, and `{next(iter(more))}` would"):
        trained(study(said), "mine_one")
    said["backbones"]["ours"] = {"run": "results/nowhere", "label": "Ours"}
    with pytest.raises(UserError, match=r"results/nowhere/run.yaml cannot be read"):
        trained(study(said), "mine_one")


def test_a_prefix_without_a_file_is_refused():
    panel = {**PANEL, "runs": {**RUNS, "backbone": "theirs"}}
    said = {"backbones": {"theirs": {"kind": "vgg11", "prefix": "encoder."}}, "panels": {"mine": {"one": panel}}}
    with pytest.raises(UserError, match="backbone 'theirs': `prefix` is of the names in a file of weights"):
        trained(study(said), "mine_one")


SCREEN = {"kind": "pattern", "path": "x", "pattern": "{plate}/{well}.tif", "platemap": "m.csv"}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"channels": {"DNA": 0, "ER": 0}}, r"screens.lab.channels: two of them are 0; name each image once"),
        ({"channels": {"DNA": 0}, "intensity": {"low": 99, "high": 1}}, "screens.lab.intensity: `low` is not below"),
    ],
)
def test_a_screen_that_cannot_be_meant_is_refused(more, says):
    with pytest.raises(UserError, match=says):
        study({"screens": {"lab": {**SCREEN, **more}}})
