"""The study: what config.yaml means, and what it refuses."""

from __future__ import annotations

import copy
import itertools
import subprocess
import sys

import pytest

from phenoviews.errors import UserError
from phenoviews.study import Run, Study
from phenoviews.study.document import merge, shipped
from phenoviews.study.plan import HELD_MB
from phenoviews.study.resolved import Dataset


@pytest.fixture(scope="module")
def config():
    return shipped()


@pytest.fixture(scope="module")
def paper(config):
    return Study({**config, "scale": "paper"})


@pytest.fixture(scope="module")
def demo(config):
    return Study(config)


def run(study, *names, seed=5):
    """A run as its path names it."""
    return study.on_disk(study.spelled(Run(*names, seed)))


def trainings(study):
    return {each for panel in study.panels.values() for each in study.runs(panel) if study.is_trained(each)}


def changed(config, *path_and_value):
    *path, last, value = path_and_value
    config = copy.deepcopy(config)
    place = config
    for key in path:
        place = place[key]
    place[last] = value
    return config


# --------------------------------------------------------------------------------------------------------------- sweeps
def swept_panel(config, sweeps=None, **grid):
    """The places of a panel of one run that is swept; `sweeps`: beside the shipped ones."""
    config = {**config, "sweeps": {**config["sweeps"], **(sweeps or {})}}
    runs = {"dataset": "cifar10", "transform": "cifar", "method": "simclr", "backbone": "resnet18", **grid}
    metrics = {"metrics": ["top1"], "rows": ["swept", "at"], "columns": ["metric"]}
    panel = {"title": "Swept", "runs": runs, **metrics}
    study = Study({**config, "scale": "paper", "panels": {**config["panels"], "mine": {"swept": panel}}})
    return study, study.places(study.panels["mine_swept"])


@pytest.mark.parametrize(
    ("sweep", "count", "first", "last"),
    [
        ("hue", 10, "cifar+hue=0.0", "cifar+hue=0.5"),
        ("jitter", 20, "cifar+color_jitter.p=0.0", "cifar+color_jitter.p=1.0"),
        ("hue_alone", 20, "cifar+hue_p=0.0", "cifar"),
        ("crop", 8, "cifar+scale.0=0.2", "cifar+scale.0=1.0"),
        ("crop_fixed", 8, "cifar+scale=[0.2,0.2]", "cifar+scale=[1.0,1.0]"),
        ("flip", 20, "cifar+random_horizontal_flip.p=0.0", "cifar+random_horizontal_flip.p=1.0"),
    ],
)
def test_the_papers_sweeps(config, sweep, count, first, last):
    """D.1: 10 values of hue, 20 of the two probabilities, 8 of the crop, evenly and with both ends."""
    study, places = swept_panel(config, sweep=sweep, seeds=1)
    assert len(places) == count
    assert (places[0].run.transform, places[-1].run.transform) == (first, last)
    (leaf,) = {place.swept for place in places}
    assert leaf == study.config["sweeps"][sweep]["leaf"]
    gaps = [b.at - a.at for a, b in itertools.pairwise(places)]
    assert gaps == pytest.approx([gaps[0]] * len(gaps), abs=2e-4)


def test_sweeps_that_meet_share_the_run_and_each_has_its_place(config):
    two = {
        "two": {"values": [0.1, 0.3], "leaf": "hue"},
        "others": {"values": [0.5, 1], "leaf": "random_horizontal_flip.p"},
    }
    study, places = swept_panel(config, two, sweep=["two", "others"], seeds=1)
    assert [(place.run.transform, place.swept, place.at) for place in places] == [
        ("cifar", "hue", 0.1),
        ("cifar+hue=0.3", "hue", 0.3),
        ("cifar", "random_horizontal_flip.p", 0.5),
        ("cifar+random_horizontal_flip.p=1.0", "random_horizontal_flip.p", 1),
    ]
    each = study.declaration(study.panels["mine_swept"])["each"]
    assert [(run["swept"], run["at"]) for run in each] == [(place.swept, place.at) for place in places]
    assert len({study.on_disk(place.run) for place in places}) == 3


def test_a_sweep_may_be_of_a_method(config):
    sweeps = {"warmth": {"leaf": "temperature", "of": "method", "values": [0.1, 0.2, 1]}}
    _, places = swept_panel(config, sweeps, sweep="warmth", seeds=2)
    assert [place.run.method for place in places[::2]] == ["simclr+temperature=0.1", "simclr", "simclr+temperature=1.0"]
    assert [place.run.seed for place in places[:2]] == [5, 6]


@pytest.mark.parametrize(
    ("sweep", "says"),
    [
        ({"leaf": "huee", "values": [0, 0.1]}, "nothing is called `huee`; did you mean hue"),
        ({"leaf": "hue", "values": [0, 0.7]}, r"cifar\+hue=0.7.*hue: 0.7 is greater than the maximum of 0.5"),
        ({"leaf": "hue", "values": [0.1]}, "sweeps.one.values: 1 of them; it needs at least 2"),
        ({"leaf": "hue", "from": 0, "to": 0.5}, "sweeps.one: needs either `values`, or `from`, `to` and `steps`"),
        ({"leaf": "hue", "from": 0, "to": 0.5, "steps": 3, "values": [0, 1]}, "sweeps.one: needs either `values`"),
        ({"leaf": "hue", "from": 0, "to": 0.5, "steps": 1}, "sweeps.one.steps: 1 is less than the minimum of 2"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(config, sweep, says):
    with pytest.raises(UserError, match=says) as caught:
        swept_panel(config, {"one": sweep}, sweep="one")
    assert "\n" not in str(caught.value)


def test_an_unknown_sweep_is_refused(config):
    with pytest.raises(UserError, match="unknown sweep 'huee'; did you mean hue"):
        swept_panel(config, sweep="huee")


# ------------------------------------------------------------------------------------------------------- the paper grid
def test_paper_scale_trains_what_the_paper_trained(paper):
    """The counts of the paper: Tables 1 and 7 share MoCo v2+ on VGG11 with the second set (25 + 30 - 5); of the
    ablation's ten rows two are Table 2's; Figure 2 needs two trainings of its own."""
    trained = {
        name: {run for run in paper.runs(panel) if paper.is_trained(run)} for name, panel in paper.panels.items()
    }
    assert len(trained["no_free_lunch_table1"]) == 25
    assert len(trained["no_free_lunch_table7"]) == 30
    assert len(trained["no_free_lunch_table1"] | trained["no_free_lunch_table7"]) == 50
    assert len(trained["no_free_lunch_table2"]) == 270
    assert len(trained["no_free_lunch_ablation"] - trained["no_free_lunch_table2"]) == 120
    assert len(trained["no_free_lunch_figure2"] - trained["no_free_lunch_table2"]) == 2
    assert trained["no_free_lunch_figure10"] <= trained["no_free_lunch_table2"]
    assert not trained["no_free_lunch_figure6"] | trained["no_free_lunch_figure7"]
    assert {run.seed for run in trainings(paper)} == {5, 6, 7, 8, 9}
    encoders = [run for run in paper.runs(paper.panels["no_free_lunch_table2"]) if not paper.is_trained(run)]
    # Two from ImageNet, two untrained, and intensity alone.
    assert len(encoders) == 5 * 3 * 5


def test_frozen_encoders_see_what_they_were_made_for(paper):
    vgg16 = run(paper, "cells_taxol", "plain", "imagenet", "vgg16")
    resolved = paper.resolve(vgg16)
    assert resolved.dataset.size == 224
    assert resolved.dataset.mean == [0.485, 0.456, 0.406]
    assert (resolved.backbone.init, resolved.backbone.batch_norm) == ("imagenet", False)
    assert resolved.training is None
    assert paper.torchvision_name(vgg16) == "vgg16"


def test_a_weights_file_of_the_users_is_not_replaced_by_imagenets(config):
    study = Study(changed({**config, "scale": "paper"}, "backbones", "vgg16", "init", "weights/mine.pt"))
    vgg16 = run(study, "cells_taxol", "plain", "imagenet", "vgg16")
    assert study.resolve(vgg16).backbone.init == "weights/mine.pt"


def test_a_method_may_change_how_its_backbone_starts(paper):
    """SimSiam's residual branches start at zero; for the others nothing changes, and nothing is recorded."""
    starts = {
        method: paper.resolve(run(paper, "cifar10", "cifar", method, "resnet18")).to_dict()
        for method in ("byol", "simsiam", "simsiam+zero_init_residual=off")
    }
    assert starts["simsiam"]["backbone"] == {**starts["byol"]["backbone"], "zero_init_residual": True}
    assert starts["simsiam+zero_init_residual=off"]["backbone"] == starts["byol"]["backbone"]
    assert "zero_init_residual" not in starts["byol"]["backbone"]
    assert "backbone" not in starts["simsiam"]["method"]


def test_small_images_have_the_small_stem(paper):
    stems = {
        dataset: paper.resolve(run(paper, dataset, transform, "moco", "resnet18")).backbone.stem
        for dataset, transform in (("mnist", "mnist_first"), ("cells_taxol", "cell_first"))
    }
    assert stems == {"mnist": "small", "cells_taxol": "standard"}


def test_cells_are_trained_as_in_section_d4(paper):
    dual = run(paper, "cells_nocodazole", "dual", "moco", "vgg13")
    moco = paper.resolve(dual)
    training = moco.training
    assert (training.epochs, training.batch_size, training.optimizer) == (400, 128, "adam")
    assert (training.lr, training.weight_decay, training.schedule) == (1e-3, 1e-4, "constant")
    parameters = moco.method.parameters
    assert (parameters["queue"], parameters["temperature"], parameters["projector"]["out"]) == (1024, 0.07, 128)
    left, centre = moco.transform.sets
    assert (left.weight, centre.weight) == (0.4, 1.0)
    names = [[operation for step in each.views[0] for operation in step] for each in (left, centre)]
    flips = ["random_horizontal_flip", "random_vertical_flip", "normalize"]
    assert names[0] == ["random_rotation", "random_affine", "random_resized_crop", "color_jitter", *flips]
    assert names[1] == ["random_rotation", "center_crop", "color_jitter", *flips]
    assert paper.load(dual).steps == 400 * (2450 // 128)


def test_figures_need_no_training_of_their_own(paper):
    tables = {
        run for name in ("no_free_lunch_table1", "no_free_lunch_table7") for run in paper.runs(paper.panels[name])
    }
    for name in ("no_free_lunch_figure1", "no_free_lunch_figure9"):
        assert set(paper.runs(paper.panels[name])) <= tables


def test_mnist_is_trained_as_in_section_d2(paper):
    moco = paper.resolve(Run("mnist", "mnist_first", "moco", "vgg11", 5))
    training = moco.training
    assert (training.epochs, training.batch_size, training.optimizer) == (250, 32, "adam")
    assert (training.lr, training.weight_decay) == (1e-3, 1e-4)
    parameters = moco.method.parameters
    assert (parameters["queue"], parameters["temperature"], parameters["projector"]["out"]) == (1024, 0.07, 128)
    assert moco.backbone.width == 1.0
    byol = paper.resolve(Run("mnist", "mnist_second", "byol", "resnet18", 5))
    assert (byol.training.lr, byol.training.weight_decay) == (0.01, 1e-5)
    assert byol.method.parameters["projector"]["out"] == 256
    assert paper.load(Run("mnist", "mnist_first", "moco", "vgg11", 5)).steps == 468_750


# What the papers say of each family of datasets, and of single methods on it [P D.1, D.2, D.4; paper B, section 4].
TRAINED = {
    "cifar": {"optimizer": "sgd", "lr": 0.3, "weight_decay": 1e-4, "batch_size": 512, "epochs": 1000,
              "schedule": "cosine", "warmup_epochs": 10, "warmup_lr": 3e-5, "min_lr": 0},
    "imagenet100": {"optimizer": "sgd", "lr": 0.3, "weight_decay": 1e-4, "batch_size": 128, "epochs": 400,
                    "schedule": "cosine", "warmup_epochs": 10, "warmup_lr": 3e-5, "min_lr": 0},
    "mnist": {"optimizer": "adam", "lr": 1e-3, "weight_decay": 1e-4, "batch_size": 32, "epochs": 250,
              "schedule": "constant", "warmup_epochs": 0, "warmup_lr": 0, "min_lr": 0},
    "cells": {"optimizer": "adam", "lr": 1e-3, "weight_decay": 1e-4, "batch_size": 128, "epochs": 400,
              "schedule": "constant", "warmup_epochs": 0, "warmup_lr": 0, "min_lr": 0},
    "treatments": {"optimizer": "adam", "lr": 3e-4, "weight_decay": 1e-5, "batch_size": 256, "epochs": 150,
                   "schedule": "repo", "warmup_epochs": 0, "warmup_lr": 0, "min_lr": 0},
}  # fmt: skip
OTHERWISE = {
    ("simclr", "cifar"): {"lr": 0.4, "weight_decay": 1e-5},
    ("byol", "cifar"): {"lr": 1.0, "weight_decay": 1e-5},
    ("vicreg", "cifar"): {"batch_size": 256},
    ("simsiam", "cifar"): {"lr": 0.5, "weight_decay": 1e-5},
    ("nnclr", "cifar"): {"lr": 0.4, "weight_decay": 1e-5},
    ("nnbyol", "cifar"): {"lr": 1.0, "weight_decay": 1e-5},
    ("ressl", "cifar"): {"lr": 0.05},
    ("swav", "cifar"): {"lr": 0.6, "weight_decay": 1e-6, "min_lr": 6e-4},
    ("dino", "cifar"): {"batch_size": 256},
    ("deepcluster", "cifar"): {"lr": 0.6, "weight_decay": 1e-6, "min_lr": 6e-4, "warmup_epochs": 11, "warmup_lr": 0.0},
    ("simclr", "imagenet100"): {"lr": 0.4, "weight_decay": 1e-5},
    ("byol", "imagenet100"): {"lr": 0.45, "weight_decay": 1e-5},
    ("byol", "mnist"): {"lr": 0.01, "weight_decay": 1e-5},
    ("byol", "cells"): {"lr": 0.01, "weight_decay": 1e-5},
}
ON = {
    "cifar": "cifar10",
    "imagenet100": "imagenet100",
    "mnist": "mnist",
    "cells": "cells_nocodazole",
    "treatments": "treatments",
}


def test_every_method_is_trained_as_the_recipe_says_unless_the_recipe_says_otherwise_of_it(paper):
    """One family's settings do not leak into another's; `pytest -s` prints the table."""
    methods = [name for name, entry in paper.config["methods"].items() if entry["kind"] != "frozen"]
    assert set(ON) == set(paper.config["recipes"]) - {"planted"}  # which is ours
    for recipe, dataset in ON.items():
        for method in methods:
            training = paper.resolve(run(paper, dataset, "plain", method, "resnet18")).training
            resolved = {key: getattr(training, key) for key in TRAINED[recipe]}
            print(f"{recipe:10} {method:10}", *(f"{key}={value}" for key, value in resolved.items()))
            assert resolved == TRAINED[recipe] | OTHERWISE.get((method, recipe), {})


MLP = {"head": "mlp", "batch_norm": True}
PLAIN = {"head": "mlp", "batch_norm": False}
# [P D.1], and the fork's and solo-learn's values for what the paper leaves out: specification, section 3.1.
HYPER_PARAMETERS = {
    "simclr": {"temperature": 0.2, "projector": {**PLAIN, "hidden": [2048], "out": 256}},
    "moco": {"temperature": 0.2, "queue": 32768, "ema": [0.99, 0.999], "queue_per_set": False,
             "projector": {**PLAIN, "hidden": [2048], "out": 256}},
    "byol": {"ema": [0.99, 1.0], "projector": {**MLP, "hidden": [4096], "out": 256},
             "predictor": {"hidden": [4096], "batch_norm": True}},
    "vicreg": {"invariance": 25, "variance": 25, "covariance": 1,
               "projector": {**MLP, "hidden": [2048, 2048], "out": 2048}},
    "barlow": {"redundancy": 0.0051, "scale": 0.1, "projector": {**MLP, "hidden": [2048, 2048], "out": 2048}},
    "simsiam": {"projector": {**MLP, "hidden": [2048, 2048], "out": 2048},
                "predictor": {"hidden": [512], "batch_norm": True}},
    "nnclr": {"temperature": 0.2, "queue": 65536, "projector": {**MLP, "hidden": [2048, 2048], "out": 256},
              "predictor": {"hidden": [4096], "batch_norm": True}},
    "nnbyol": {"queue": 65536, "ema": [0.99, 1.0], "projector": {**MLP, "hidden": [4096], "out": 256},
               "predictor": {"hidden": [4096], "batch_norm": True}},
    "ressl": {"temperature": 0.1, "teacher_temperature": 0.04, "queue": 65536, "ema": [0.99, 1.0],
              "projector": {**PLAIN, "hidden": [4096], "out": 256}},
    "swav": {"temperature": 0.1, "prototypes": 3000, "frozen_epochs": 2, "queue": 3840, "queue_from_epoch": 50,
             "epsilon": 0.05, "iterations": 3, "projector": {**MLP, "hidden": [2048], "out": 128}},
    "dino": {"temperature": 0.1, "teacher_temperature": [0.04, 0.07], "teacher_warmup_epochs": 50,
             "prototypes": 4096, "frozen_epochs": 1, "centre_momentum": 0.9, "ema": [0.9995, 1.0],
             "projector": {**PLAIN, "hidden": [2048, 2048], "out": 256}},
    "deepcluster": {"temperature": 0.1, "prototypes": 3000, "clusterings": 3, "iterations": 10,
                    "projector": {**MLP, "hidden": [2048], "out": 128}},
    "vibcreg": {"invariance": 25, "variance": 25, "covariance": 200, "groups": 64, "iterations": 5,
                "projector": {**MLP, "hidden": [2048, 2048], "out": 2048}},
}  # fmt: skip


def test_every_method_has_the_hyper_parameters_of_section_d1(paper):
    found = {
        name: dict(paper.resolve(run(paper, "cifar10", "cifar", name, "resnet18")).method.parameters)
        for name, entry in paper.config["methods"].items()
        if entry["kind"] != "frozen"
    }
    assert found == HYPER_PARAMETERS


@pytest.mark.parametrize("dataset", ["cifar10", "mnist", "imagenet100", "treatments"])
@pytest.mark.parametrize("backbone", ["vgg11", "resnet18", "resnet18+width=0.5"])
def test_untrained_is_what_a_training_starts_from(paper, dataset, backbone):
    """The same network, and the same pixels."""
    start, trained = (
        paper.resolve(run(paper, dataset, "plain", method, backbone)) for method in ("untrained", "simclr")
    )
    assert (start.dataset, start.backbone, start.seed) == (trained.dataset, trained.backbone, trained.seed)


def test_lars_clips_for_all_methods_but_vibcreg(config):
    """solo-learn's settings, where `optimizer: lars` asks for them."""
    lars = Study(changed({**config, "scale": "paper"}, "recipes", "cifar", "training", "optimizer", "lars"))
    clips = {
        name: lars.resolve(run(lars, "cifar10", "cifar", name, "resnet18")).training.lars_clip
        for name, entry in lars.config["methods"].items()
        if entry["kind"] != "frozen"
    }
    assert [name for name, clip in clips.items() if not clip] == ["vibcreg"]


def test_a_method_of_ones_own_is_trained_as_the_recipe_says(config):
    own = {"kind": "simclr", "temperature": 0.5, "projector": {"out": 64}}
    study = Study(changed({**config, "scale": "paper"}, "methods", "mine", own))
    training = study.resolve(Run("cifar10", "cifar", "mine", "resnet18", 5)).training
    assert {key: getattr(training, key) for key in TRAINED["cifar"]} == TRAINED["cifar"]


def test_demo_changes_only_what_its_patch_says(config, demo, paper):
    patched = merge({key: value for key, value in config.items() if key != "scale"}, config["scales"]["demo"])
    for section in ("transforms", "measures", "panels"):
        for name, entry in patched[section].items():
            assert merge(entry, demo.config[section][name]) == demo.config[section][name]
    assert demo.config["transforms"] == paper.config["transforms"]
    cells = {f"simulated_{compound}" for compound in ("nocodazole", "cytochalasin_b", "taxol")}
    treatments = {"simulated_treatments", "simulated_treatments_15"}
    assert {run.dataset for run in trainings(demo)} == {"digits", "photographs", *cells, *treatments}
    for name, panel in demo.panels.items():
        assert "not comparable" in demo.note(panel)
        assert paper.note(paper.panels[name]) == ""


def test_settings_that_are_not_the_papers_are_named_in_every_panel(config):
    """A table made with one epoch at paper scale must not read as the paper's."""

    def notes(study):
        assert all(study.declaration(panel)["scale"]["note"] == study.note(panel) for panel in study.panels.values())
        return {study.note(panel) for panel in study.panels.values()}

    quick = changed({**config, "scale": "paper"}, "recipes", "mnist", "training", "epochs", 1)
    said = {"Settings that are not the paper's: recipes.mnist.training.epochs: 1."}
    assert notes(Study(quick, shipped=config)) == said
    assert notes(Study({**config, "scale": "paper"}, shipped=config)) == {""}
    # The same, said under the scale.
    under_scale = changed({**config, "scale": "paper"}, "scales", "paper", {"seeds": [5]})
    assert notes(Study(under_scale, shipped=config)) == {"Settings that are not the paper's: seeds: [5]."}
    assert notes(Study(config, shipped=config)) == notes(Study(config))
    fewer = changed({**config, "scale": "paper"}, "datasets", "cells_taxol", "cells", 100)
    assert notes(Study(fewer, shipped=config)) == {
        "Settings that are not the paper's: datasets.cells_taxol.cells: 100."
    }
    # Another mirror, or a dataset of the user's own, changes no number of the paper's.
    own = changed({**config, "scale": "paper"}, "datasets", "mnist", "mirrors", ["file:///data/"])
    assert notes(Study(own, shipped=config)) == {""}


def test_paper_b_is_trained_as_in_its_section_4(paper):
    final = "simclr+epochs=600+temperature=0.5"
    resolved = paper.resolve(run(paper, "treatments", "single_cell+random_grayscale=off", final, "resnet50_imagenet"))
    training = resolved.training
    assert (training.epochs, training.batch_size, training.schedule) == (600, 256, "repo")
    assert (training.optimizer, training.lr, training.weight_decay) == ("adam", 3e-4, 1e-5)
    assert resolved.method.parameters["temperature"] == 0.5
    assert resolved.method.parameters["projector"] == {
        "head": "mlp",
        "hidden": ["encoder"],
        "out": 256,
        "batch_norm": False,
    }
    assert (resolved.backbone.init, resolved.backbone.stem) == ("imagenet", "standard")
    assert resolved.dataset == Dataset(name="treatments", size=96, mean="own", std="own", evaluated="all")
    operations = [operation for step in resolved.transform.sets[0].views[0] for operation in step]
    geometry = ["random_resized_crop", "random_horizontal_flip", "random_rotate_90"]
    assert operations == [*geometry, "color_jitter", "gaussian_blur", "normalize"]


def test_one_key_raises_the_seeds_of_all_panels_of_paper_b(config):
    """One run per configuration is the paper's; the panel that is over seeds has them all in any case."""

    def seeds(count):
        study = Study({**config, "scale": "paper", "panel_seeds": {"single_cell": count}})
        panels = [panel for panel in study.panels.values() if panel.paper == "single_cell"]
        return {panel.item: {run.seed for run in study.runs(panel)} for panel in panels}

    items = list(seeds(1))
    assert seeds(3) == {**{item: {5, 6, 7} for item in items}, "structure": {5, 6, 7, 8, 9}}
    assert seeds(config["panel_seeds"]["single_cell"]) == seeds(1)
    assert seeds(1) == {**{item: {5} for item in items}, "structure": {5, 6, 7, 8, 9}}


@pytest.mark.parametrize(
    ("dataset", "method", "says"),
    [
        ("treatments+std=[0.1,0.1,0.1]", "simclr", "both `own`, or both numbers"),
        ("treatments", "simclr+keep=best_ami", "needs a test split"),
    ],
)
def test_runs_on_treatments_that_cannot_be(paper, dataset, method, says):
    with pytest.raises(UserError, match=says):
        paper.resolve(Run(dataset, "single_cell", method, "resnet18", 5))


def test_a_whole_name_may_have_a_stand_in(config):
    """At demo scale the final run is not trained for 600 epochs; it is named as the paper's all the same."""
    study = Study({**config, "scale": "demo"})
    panel = study.panels["single_cell_table2"]
    assert {run.method for run in study.runs(panel)} == {"simclr+temperature=0.5", "simclr"}
    labels = study.declaration(panel)["labels"]
    assert labels["simclr+temperature=0.5"] == "SimCLR, unsupervised"
    assert labels["simclr"] == "SimCLR, unsupervised, τ = 0.1"


def test_changes_are_named_in_one_order(root):
    """Another order in another process would be another parameter, and every panel would be drawn again."""
    script = (
        "from phenoviews.study import Study; from phenoviews.study.document import shipped; shipped = shipped();"
        "backbones = {'vgg11': {'width': 2}, 'vgg13': {'width': 2}};"
        "patch = {'seeds': [1], 'backbones': backbones, 'stand_ins': {'mnist': 'cifar10'}};"
        "config = {**shipped, 'scales': {**shipped['scales'], 'demo': patch}};"
        "study = Study(config, shipped); print(study.changes)"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=root,
            env={"PYTHONPATH": "workflow/scripts", "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in "0123"
    }
    assert len(said) == 1


# -------------------------------------------------------------------------------------------------------------- draws
def test_a_draw_that_follows_the_seed_is_a_dataset_on_disk_and_none_in_a_panel(paper):
    """Table 2 averages over seeds of which each has its own cells and split, pretrained encoders included."""
    panel = paper.panels["no_free_lunch_table2"]
    shown, on_disk = paper.runs(panel), {each: paper.on_disk(each) for each in paper.runs(panel)}
    assert {each.dataset for each in shown} == {"cells_nocodazole", "cells_cytochalasin_b", "cells_taxol"}
    assert all(there.dataset == f"{each.dataset}+split_seed={each.seed}" for each, there in on_disk.items())
    assert {each["dataset"] for each in paper.declaration(panel)["each"]} == {each.dataset for each in shown}
    assert paper.declaration(panel)["labels"]["cells_taxol"] == "Taxol"
    assert paper.on_disk(on_disk[shown[0]]) == on_disk[shown[0]]
    drawn = [paper.cells(f"cells_taxol+split_seed={seed}") for seed in (5, 6)]
    assert [dataset["split_seed"] for dataset in drawn] == [5, 6]
    assert {key for key in drawn[0] if drawn[0][key] != drawn[1][key]} == {"name", "split_seed"}


def test_where_nothing_is_drawn_by_seed_the_name_stays(paper, config):
    """Every cell is measured, every field trained on, MNIST's split is official; and a seed that is fixed stays."""
    for dataset in ("cells_nocodazole_doses", "treatments", "mnist", "cells_taxol+split_seed=3"):
        assert run(paper, dataset, "plain", "moco", "vgg13", seed=6).dataset == dataset
    fixed = Study(changed({**config, "scale": "paper"}, "datasets", "cells_taxol", "split_seed", 0))
    assert run(fixed, "cells_taxol", "plain", "moco", "vgg13").dataset == "cells_taxol"


def test_a_run_or_dataset_without_its_draw_is_refused(paper):
    with pytest.raises(UserError, match=r"one spelling is 'cells_taxol\+split_seed=5/plain/moco/vgg13/seed5'"):
        paper.resolve(Run("cells_taxol", "plain", "moco", "vgg13", 5))
    with pytest.raises(UserError, match="'treatments_15' is drawn by the seed of each run; ask for"):
        paper.cells("treatments_15")


def test_a_dataset_is_told_its_classes_and_not_where_they_are_listed(paper):
    told = paper.data("imagenet100")
    assert len(told["classes"]) == 100
    assert told["side"] == 256
    with pytest.raises(UserError, match=r"elsewhere\.txt: cannot be read"):
        paper.data("imagenet100+classes=elsewhere.txt")


# ----------------------------------------------------------------------------------------------------------- measures
def test_a_probes_settings_are_the_recipes_and_others_are_the_studys(paper):
    cifar = Run("cifar10", "cifar", "moco", "resnet18", 5)
    probe = paper.probe_settings(cifar)
    assert (probe["lr"], probe["milestones"]) == (0.1, [60, 80])
    assert {operation for step in probe["transform"] for operation in step} == {
        "random_resized_crop",
        "random_horizontal_flip",
        "normalize",
    }
    assert paper.measure_settings("clusters") == paper.config["measures"]["clusters"]
    assert paper.measure_settings("rankme") == {}


def test_the_control_is_what_the_screen_calls_it(config):
    own = {**config["screens"]["simulated"], "control": "vehicle"}
    study = Study(changed({**config, "scale": "paper"}, "screens", "simulated", own))
    assert study.control("simulated_treatments") == "vehicle"
    assert study.control("cells_taxol+split_seed=5") == "DMSO"


# -------------------------------------------------------------------------------------------------------------- names
def test_override_reaches_the_leaf(paper):
    pipeline = paper.sets("cifar+hue=0.25+color_jitter.p=0.5+scale.0=0.2")[0]["views"][0]
    assert pipeline[1]["color_jitter"]["hue"] == 0.25
    assert pipeline[1]["color_jitter"]["p"] == 0.5
    assert pipeline[0]["random_resized_crop"]["scale"] == [0.2, 1.0]
    assert paper.config["transforms"]["cifar"][1]["color_jitter"]["hue"] == 0.1


def test_override_takes_an_operation_out(paper):
    full, without = (paper.sets(name)[0]["views"][0] for name in ("mnist_first", "mnist_first+pad=off"))
    assert without == [step for step in full if "pad" not in step]


def test_override_of_training_and_method(paper):
    names = ("cifar10", "cifar", "simclr+temperature=5e-2+batch_size=64", "resnet50+init=imagenet+stem=standard")
    spelled = run(paper, *names)
    assert spelled.method == "simclr+batch_size=64+temperature=0.05"
    resolved = paper.resolve(spelled)
    assert (resolved.method.parameters["temperature"], resolved.training.batch_size) == (0.05, 64)
    assert resolved.backbone.init == "imagenet"


@pytest.mark.parametrize(
    ("name", "spelling", "projector"),
    [
        ("simclr+head=linear", "simclr+head=linear", {"head": "linear", "hidden": [2048]}),
        ("simclr+head=mlp", "simclr", {"head": "mlp"}),
        ("simclr+hidden=[encoder]", "simclr+hidden=[encoder]", {"head": "mlp", "hidden": ["encoder"]}),
        ("simclr+head=identity+batch_size=128", "simclr+batch_size=128+head=identity", {"head": "identity"}),
    ],
)
def test_override_of_a_methods_head(paper, name, spelling, projector):
    run = paper.spelled(Run("cifar10", "cifar", name, "resnet18", 5))
    assert run.method == spelling
    found = paper.resolve(run).method.parameters["projector"]
    assert {key: found[key] for key in projector} == projector


def test_override_of_the_schedule(paper):
    run = paper.spelled(Run("cifar10", "cifar", "simclr+schedule=repo+warmup_epochs=0", "resnet18", 5))
    training = paper.resolve(run).training
    assert (training.schedule, training.warmup_epochs) == ("repo", 0)


@pytest.mark.parametrize("same", ["cifar+hue=0.1", "cifar+color_jitter.p=0.8", "cifar+hue=1e-1"])
def test_a_name_has_one_spelling(paper, same):
    """An override that changes nothing goes, so that sweeps share the point where they meet."""
    assert paper.spelled(Run("cifar10", same, "simclr", "resnet18", 5)).transform == "cifar"
    with pytest.raises(UserError, match="one spelling is"):
        paper.resolve(Run("cifar10", same, "simclr", "resnet18", 5))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cifar+huee=1", "did you mean hue"),
        ("cifar+p=1", "may be any of color_jitter.p, random_grayscale.p, random_horizontal_flip.p"),
        ("cifar+hue=2", "greater than the maximum"),
        ("cifr+hue=0.2", "did you mean cifar"),
        ("cifar+hue", "no override"),
        ("cifar+hue=0.1+hue=0.2", "set twice"),
    ],
)
def test_a_bad_name_is_refused(paper, name, says):
    with pytest.raises(UserError, match=says):
        paper.sets(name)


def test_sum_of_transforms(config):
    """The weighted sum of two losses: each set keeps its own transform and weight."""
    terms = [
        {"weight": 0.4, "transform": "mnist_first"},
        {"weight": 1.0, "transform": "mnist_second+random_erasing=off"},
    ]
    study = Study(changed(config, "transforms", "dual", {"sum": terms}))
    sets = study.sets("dual")
    assert [one["weight"] for one in sets] == [0.4, 1.0]
    assert sets[0]["views"] == study.sets("mnist_first")[0]["views"]
    assert sets[1]["views"] == study.sets("mnist_second+random_erasing=off")[0]["views"]


def test_each_view_may_have_its_own_pipeline(config):
    study = Study(
        changed(
            config,
            "transforms",
            "mixed",
            {"first": [{"random_invert": {}}, {"normalize": {}}], "second": [{"normalize": {}}]},
        )
    )
    first, second = study.sets("mixed")[0]["views"]
    assert first == [{"random_invert": {"p": 0.5}}, {"normalize": {}}]
    assert second == [{"normalize": {}}]


def views(study, *names, dataset="cifar10"):
    """The operations of both views that a run is trained with, by name."""
    (one,) = study.resolve(run(study, dataset, *names, "resnet18")).transform.sets
    return [{name: settings for step in pipeline for name, settings in step.items()} for pipeline in one.views]


@pytest.mark.parametrize("method", ["vicreg", "vibcreg"])
def test_a_method_may_change_a_transform(paper, method):
    """The smallest crop of VICReg and VIbCReg on CIFAR [A-8]: nothing else changes, not the name either."""
    theirs, others = views(paper, "cifar", method), views(paper, "cifar", "simclr")
    assert theirs[0].pop("random_resized_crop") == {
        "scale": [0.2, 1.0],
        "ratio": [0.75, 4 / 3],
        "interpolation": "bicubic",
    }
    assert others[0].pop("random_resized_crop")["scale"] == [0.08, 1.0]
    assert theirs == [others[0], {**others[0], "random_resized_crop": theirs[1]["random_resized_crop"]}]
    assert run(paper, "cifar10", "cifar", method, "resnet18").transform == "cifar"
    assert paper.sets("cifar")[0]["views"][0][0]["random_resized_crop"]["scale"] == [0.08, 1.0]


def test_a_method_may_change_the_transform_of_one_view(paper):
    """ReSSL's teacher sees its view without colour jitter [A-8]."""
    first, second = views(paper, "cifar", "ressl")
    assert first == views(paper, "cifar", "simclr")[0]
    assert second == {name: settings for name, settings in first.items() if name != "color_jitter"}


def test_other_recipes_and_transforms_are_as_they_were(paper):
    for method in ("vicreg", "vibcreg", "ressl"):
        for transform in ("crop_flip", "plain", "single_cell"):
            assert views(paper, transform, method) == views(paper, transform, "simclr")
        for dataset in ("mnist", "cells_taxol", "treatments"):
            assert views(paper, "cifar", method, dataset=dataset) == views(paper, "cifar", "simclr", dataset=dataset)
        probe = paper.resolve(run(paper, "cifar10", "cifar", method, "resnet18")).probe.transform
        assert probe[0]["random_resized_crop"]["scale"] == [0.08, 1.0]


@pytest.mark.parametrize(
    ("method", "name", "spelling", "scale"),
    [
        ("vicreg", "cifar+scale.0=0.08", "cifar+scale.0=0.08", [0.08, 1.0]),
        ("vicreg", "cifar+scale.0=0.2", "cifar", [0.2, 1.0]),
        ("vicreg", "cifar+scale.1=0.9", "cifar+scale.1=0.9", [0.2, 0.9]),
        ("vicreg+covariance=2.0", "cifar+scale.0=0.2", "cifar", [0.2, 1.0]),
        ("simclr", "cifar+scale.0=0.08", "cifar", [0.08, 1.0]),
        ("simclr", "cifar+scale.0=0.2", "cifar+scale.0=0.2", [0.2, 1.0]),
        ("ressl", "cifar+scale.0=0.2", "cifar+scale.0=0.2", [0.2, 1.0]),
    ],
)
def test_what_a_name_says_counts_for_more_than_a_methods_change(paper, method, name, spelling, scale):
    """A value that is the transform's own and not the method's stays in the name; the method's own goes."""
    assert run(paper, "cifar10", name, method, "resnet18").transform == spelling
    assert [view["random_resized_crop"]["scale"] for view in views(paper, name, method)] == [scale, scale]


def test_an_override_reaches_the_views_that_have_its_operation(paper):
    """As Table 4 asks it of ReSSL: whatever its probability, the teacher's view has no jitter."""
    first, second = views(paper, "cifar+color_jitter.p=0.3+hue=0.5+random_horizontal_flip.p=0.9", "ressl")
    assert (first["color_jitter"]["p"], first["color_jitter"]["hue"]) == (0.3, 0.5)
    assert "color_jitter" not in second
    assert first["random_horizontal_flip"] == second["random_horizontal_flip"] == {"p": 0.9}
    first, second = views(paper, "cifar+color_jitter=off+random_grayscale=off", "ressl")
    assert first == second
    assert {"color_jitter", "random_grayscale"}.isdisjoint(first)


def test_an_override_of_a_transform_with_a_pipeline_per_view(config):
    """The leaf that both have; with the view's name before it that of one."""
    flip, crop = {"random_horizontal_flip": {"p": 0.5}}, {"random_resized_crop": {"scale": [0.5, 1.0]}}
    mixed = {
        "first": [flip, crop, {"normalize": {}}],
        "second": [crop, {"random_vertical_flip": {"p": 0.5}}, {"normalize": {}}],
    }
    study = Study(changed(config, "transforms", "mixed", mixed))

    def scales(name):
        return [
            step["random_resized_crop"]["scale"][0]
            for view in study.sets(name)[0]["views"]
            for step in view
            if "random_resized_crop" in step
        ]

    assert scales("mixed+scale.0=0.3") == [0.3, 0.3]
    assert scales("mixed+second.random_resized_crop.scale.0=0.3") == [0.5, 0.3]
    assert scales("mixed+random_resized_crop=off") == []
    with pytest.raises(UserError, match=r"may be any of first.random_horizontal_flip.p, second.random_vertical_flip.p"):
        study.sets("mixed+p=0.3")


def test_a_methods_change_reaches_into_a_sum(config):
    """By the names of the transforms that are summed."""
    terms = [{"weight": 0.4, "transform": "cifar+hue=0.3"}, {"weight": 1.0, "transform": "crop_flip"}]
    study = Study({**changed(config, "transforms", "both", {"sum": terms}), "scale": "paper"})
    cifar, crop_flip = study.resolve(run(study, "cifar10", "both", "vicreg", "resnet18")).transform.sets
    assert cifar.views[0][0]["random_resized_crop"]["scale"] == [0.2, 1.0]
    assert cifar.views[0][1]["color_jitter"]["hue"] == 0.3
    assert crop_flip.views[0][0]["random_resized_crop"]["scale"] == [0.08, 1.0]


# ----------------------------------------------------------------------------------------------------------- refusals
REFUSED = {
    "unknown operation": (
        ("transforms", "mnist_first", [{"padd": {}}, {"normalize": {}}]),
        "unknown operation 'padd'; did you mean pad",
    ),
    "no normalize": (("transforms", "mnist_first", [{"random_invert": {}}]), "mnist_first.*normalize"),
    "negative epochs": (("recipes", "mnist", "training", "epochs", -1), "recipes.mnist.training.epochs: -1"),
    "misspelt key": (
        ("recipes", "mnist", "training", "epoch", 3),
        "unknown key 'epoch'; did you mean epochs",
    ),
    "misspelt top key": (("seedz", [5]), "unknown key 'seedz'; did you mean seeds"),
    "unknown kind": (("methods", "moco", "kind", "mocco"), "unknown value 'mocco'; did you mean moco"),
    "key of another method": (("methods", "simclr", "queue", 5), "methods.simclr: unknown key 'queue'"),
    "recipe of no method": (
        ("recipes", "mnist", "methods", "mocco", {}),
        "unknown method 'mocco'; did you mean moco",
    ),
    "misspelt in a recipe's method": (
        ("recipes", "mnist", "methods", "moco", "queu", 3),
        "recipes.mnist.methods.moco: unknown key 'queu'; did you mean queue",
    ),
    "training of a method whatever the recipe": (
        ("methods", "moco", "training", {"lr": 0.1}),
        "methods.moco: unknown key 'training'",
    ),
    "recipe without a learning rate": (
        ("recipes", "mnist", "training", {"epochs": 1, "batch_size": 8, "optimizer": "adam"}),
        "recipes.mnist.training: `lr` is missing; add it",
    ),
    "misspelt in how a recipe trains a method": (
        ("recipes", "mnist", "methods", "moco", "training", {"lrr": 0.1}),
        "recipes.mnist.methods.moco.training: unknown key 'lrr'; did you mean lr",
    ),
    "a change in no transform": (
        ("recipes", "cifar", "methods", "vicreg", "transforms", {"cifr": {"random_resized_crop": {"scale": [0.2, 1]}}}),
        "unknown transform 'cifr'; did you mean cifar",
    ),
    "a change of an operation that is not there": (
        ("recipes", "cifar", "methods", "vicreg", "transforms", {"cifar": {"random_crop": {"fraction": [0.2, 1]}}}),
        "recipes.cifar.methods.vicreg.transforms.cifar: the transform has no 'random_crop'; did you mean",
    ),
    "a change of a parameter that is not there": (
        (
            "recipes",
            "cifar",
            "methods",
            "vicreg",
            "transforms",
            {"cifar": {"random_resized_crop": {"scales": [0.2, 1]}}},
        ),
        r"vicreg.transforms.cifar.0..random_resized_crop: unknown key 'scales'; did you mean scale",
    ),
    "a change in a view": (
        ("recipes", "cifar", "methods", "ressl", "transforms", {"cifar": {"second": {"color_jiter": False}}}),
        "ressl.transforms.cifar.second: the transform has no 'color_jiter'; did you mean color_jitter",
    ),
    "a change in a sum": (
        ("recipes", "cells", "methods", "vicreg", {"transforms": {"dual": {"random_rotation": False}}}),
        "vicreg.transforms.dual: it is a sum; change the transforms that it sums",
    ),
    "a change for an encoder that is not trained": (
        ("recipes", "cifar", "methods", "imagenet", {"transforms": {"cifar": {"color_jitter": False}}}),
        "recipes.cifar.methods.imagenet: unknown key 'transforms'",
    ),
    "a method's change of what no backbone has": (
        ("methods", "simsiam", "backbone", {"zero_init": True}),
        "methods.simsiam.backbone: unknown key 'zero_init'; did you mean zero_init_residual",
    ),
    "training of an encoder that is not trained": (
        ("recipes", "mnist", "methods", "imagenet", {"training": {"lr": 0.1}}),
        "recipes.mnist.methods.imagenet: unknown key 'training'",
    ),
    "panel of no method": (
        ("panels", "no_free_lunch", "table1", "runs", "method", "mocco"),
        "table1.*did you mean moco",
    ),
    "panel of no transform": (
        ("panels", "no_free_lunch", "table1", "runs", "transform", "mnist_frst"),
        "did you mean mnist_first",
    ),
    "panel without rows": (
        (
            "panels",
            "no_free_lunch",
            "extra",
            {
                "title": "t",
                "runs": {"dataset": "mnist", "transform": "plain", "method": "moco", "backbone": "vgg11"},
                "metrics": ["top1"],
                "columns": ["method"],
            },
        ),
        "`rows` is missing",
    ),
    "more seeds than there are": (
        ("panel_seeds", {"single_cell": 3}),
        "single_cell.*`panel_seeds.single_cell` asks for 3, and `seeds` has 2 at scale demo",
    ),
    "seeds of no paper": (("panel_seeds", {"single_cel": 1}), "panel_seeds: .*did you mean single_cell"),
    "unknown scale": (("scale", "papr"), "did you mean paper"),
    "bad key inside a scale": (("scales", "paper", {"seedz": [1]}), "unknown key 'seedz'.*scales.paper"),
    "unknown head": (
        ("methods", "simclr", "projector", "head", "liner"),
        "methods.simclr.projector.head: unknown value 'liner'; did you mean linear",
    ),
    "hidden size that is no size": (
        ("methods", "simclr", "projector", "hidden", ["backbone"]),
        "methods.simclr.projector.hidden.0.: 'backbone' does not match '.encoder.'",
    ),
    "unknown schedule": (("recipes", "cifar", "training", "schedule", "repos"), "did you mean repo"),
    "quarter turns by degrees": (
        ("transforms", "mnist_first", [{"random_rotate_90": {"degrees": 90}}, {"normalize": {}}]),
        "random_rotate_90: unknown key 'degrees'; there are: p",
    ),
    "a measure of a test split on treatments": (
        ("panels", "single_cell", "table5", "metrics", ["top1"]),
        "single_cell.table5: `top1` is measured on a labelled test split; 'simulated_treatments_15' is of kind treat",
    ),
    "profiles of a data set without treatments": (
        ("panels", "single_cell", "figure2", "runs", "dataset", "mnist"),
        "figure2: `nsc` is measured on treatments; 'digits' is of kind digits, which has none",
    ),
    "doses of a data set without any": (
        ("panels", "no_free_lunch", "figure6", "runs", 0, "dataset", "mnist"),
        "figure6: `ami_treated` is measured on cells of one compound; 'digits' is of kind digits",
    ),
    "scores on the way of what is not trained": (
        ("panels", "single_cell", "epochs", "runs", 1, "method", "untrained"),
        "single_cell.epochs: `nsc_by_epoch` is measured on the way of a training; 'untrained' is not trained here",
    ),
    "a plot of other data": (
        ("panels", "no_free_lunch", "figure1", "runs", "dataset", "treatments"),
        "figure1: `ami` is measured on a labelled test split; 'simulated_treatments'",
    ),
    "unknown metric": (("panels", "no_free_lunch", "table7", "metrics", ["top11"]), "value 'top11'; did you mean top1"),
    "unknown dimension": (
        ("panels", "no_free_lunch", "table7", "columns", ["clas"]),
        "columns.0.: unknown value 'clas'; did you mean class",
    ),
    "unknown dimension to choose from": (
        ("panels", "no_free_lunch", "table7", "where", {"clas": ["3"]}),
        "table7.where: unknown value 'clas'; did you mean class",
    ),
    "a dimension of other metrics": (
        ("panels", "no_free_lunch", "table7", "rows", ["class", "method"]),
        "table7.rows: none of its metrics has the dimension 'class'",
    ),
    "a mean over a dimension of other metrics": (
        ("panels", "no_free_lunch", "table7", "average", ["concentration"]),
        "table7.average: none of its metrics has the dimension 'concentration'",
    ),
    "changes of nothing": (
        ("panels", "no_free_lunch", "table2", "metrics", ["ami_change"]),
        "table2: `base` is missing; add it",
    ),
    "clusters without their number": (
        ("panels", "no_free_lunch", "table7", "metrics", ["ami"]),
        "table7: `clusters` is missing; add it",
    ),
    "half of the data's own statistics": (("datasets", "mnist", "std", "own"), "both `own`, or both numbers"),
    "unknown recipe": (("datasets", "mnist", "recipe", "mnst"), "did you mean mnist"),
    "probability above one": (
        ("transforms", "mnist_first", [{"random_invert": {"p": 1.5}}, {"normalize": {}}]),
        "greater than the maximum",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_in_one_line(config, case):
    change, says = REFUSED[case]
    with pytest.raises(UserError, match=says) as caught:
        Study(changed(config, *change))
    assert "\n" not in str(caught.value)


# --------------------------------------------------------------------------------------------------------------- load
def test_time_and_memory_grow_with_the_run(paper):
    small, large = (
        paper.load(paper.spelled(Run("cifar10", "cifar", "simclr", backbone, 5)))
        for backbone in ("resnet18", "resnet50")
    )
    assert small.minutes < large.minutes
    longer = paper.load(Run("cifar10", "cifar", "simclr+epochs=2000", "resnet18", 5))
    assert longer.steps == 2 * small.steps


def test_memory_is_asked_for_what_is_held_and_not_for_what_is_streamed(config):
    """Of two splits at most what the pool holds of each, however large the data are."""
    from phenoviews.data import pool

    assert pytest.approx(pool.HOST / 1e6) == HELD_MB

    def memory(images):
        study = Study(changed({**config, "scale": "paper"}, "datasets", "cifar10", "images", images))
        return study.load(study.spelled(Run("cifar10", "cifar", "simclr", "resnet18", 5))).mem_mb

    small, double, large, huge = (memory(images) for images in (50_000, 100_000, 10_000_000, 100_000_000))
    assert double - small == pytest.approx(3 * 50_000 * 3 * 32**2 / 1e6, abs=1)
    assert large == huge == pytest.approx(6000 + 2 * HELD_MB, abs=1)


def test_the_study_needs_no_torch(root):
    """Every job of a cluster parses the Snakefile again."""
    probe = "import sys; import phenoviews.study; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], cwd=root / "workflow/scripts", check=False).returncode == 0
