"""An audit's design: which parts a set has, how each is made weaker by name, what the budget pays for."""

from __future__ import annotations

import copy
from types import MappingProxyType

import numpy as np
import pytest

from phenoviews.errors import UserError
from phenoviews.study import Study, asked, listing, merge, paths
from phenoviews.study.audits import parts
from phenoviews.study.document import shipped

AUDIT = {"dataset": "photographs", "start": "cifar", "method": "simclr", "backbone": "resnet18", "budget_gpu_hours": 6}


@pytest.fixture(scope="module")
def document():
    return shipped()


def study(document, audit=None, **more) -> Study:
    said = {"scale": "demo", "panels": {"mine": {"audit": {**AUDIT, **(audit or {})}}}, **more}
    return Study(merge(document, said), copy.deepcopy(document), said)


def design(found: Study):
    from phenoviews.study import plan

    return plan.design(found, found.panels["mine_audit"])


def test_parts_and_the_names_that_make_them_weaker(document):
    found = {part.name: part.levels for part in parts("cifar", document["transforms"]["cifar"])}
    assert found == {
        "random_resized_crop": {0.0: "random_resized_crop=off", 0.5: "scale.0=0.54", 2.0: "scale.0=0.05"},
        "color_jitter": {0.0: "color_jitter=off"},
        "color_jitter.brightness": {0.0: "brightness=0.0", 0.5: "brightness=0.2", 2.0: "brightness=0.8"},
        "color_jitter.contrast": {0.0: "contrast=0.0", 0.5: "contrast=0.2", 2.0: "contrast=0.8"},
        "color_jitter.saturation": {0.0: "saturation=0.0", 0.5: "saturation=0.1", 2.0: "saturation=0.4"},
        "color_jitter.hue": {0.0: "hue=0.0", 0.5: "hue=0.05", 2.0: "hue=0.2"},
        "random_grayscale": {0.0: "random_grayscale=off", 0.5: "random_grayscale.p=0.1"},
        "random_horizontal_flip": {0.0: "random_horizontal_flip=off", 0.5: "random_horizontal_flip.p=0.25"},
    }


def test_every_part_of_every_shipped_list_can_be_asked_for(document):
    """By names that the study resolves, so that each of them is a run."""
    found = study(document)
    for name, entry in document["transforms"].items():
        if isinstance(entry, list) and name != "plain":
            for part in parts(name, found.config["transforms"][name]):
                for override in part.levels.values():
                    assert found.sets(f"{name}+{override}") != found.sets(name), (name, override)


def test_runs_are_shared_by_name_with_a_sweep(document):
    sweep = {
        "title": "Hue", "metrics": ["top1"], "rows": ["at"], "columns": ["metric"],
        "runs": {"dataset": "photographs", "transform": "cifar", "method": "simclr", "backbone": "resnet18",
                 "sweep": "by_hand", "seeds": "all"},
    }  # fmt: skip
    said = {"sweeps": {"by_hand": {"leaf": "hue", "values": [0, 0.05, 0.1, 0.2]}}}
    found = study(document, {"budget_gpu_hours": 40}, **said)
    found = Study(
        merge(found.config, {"panels": {"mine": {"table": sweep}}}), document, {"scale": "demo", "panels": {"mine": {}}}
    )
    runs = {name: set(found.runs(found.panels[f"mine_{name}"])) for name in ("audit", "table")}
    assert len(runs["table"]) == 8
    assert runs["table"] <= runs["audit"]


def test_the_budget_buys_parts_first_then_strengths_and_pairs_then_seeds(document):
    least = design(study(document, {"budget_gpu_hours": 0.4}))
    more = design(study(document, {"budget_gpu_hours": 40}))
    assert least.settings[0] == more.settings[0] == "cifar"
    assert len(least.settings) == 1 + 8  # each part left out
    # Each of four operations alone and none, half of each part, crop and jitter together, twice of each.
    assert len(more.settings) == 1 + 8 + 5 + 7 + 1 + 5
    assert more.alone["random_grayscale"] == "cifar+color_jitter=off+random_horizontal_flip=off+random_resized_crop=off"
    assert least.alone == {}
    assert set(more.apart) == set(more.alone.values())
    assert more.pairs == (
        ("cifar+random_resized_crop=off", "cifar+color_jitter=off", "cifar+color_jitter=off+random_resized_crop=off"),
    )
    assert 3 <= len(least.seeds) < 10 == len(more.seeds)
    assert not set(more.seeds) & set(more.new_seeds)
    assert more.seeds[:2] == (5, 6)


def test_what_is_tried_first_is_bought_first(document):
    found = design(study(document, {"tries": ["alone"], "budget_gpu_hours": 0.6}))
    assert found.settings[1:] == tuple(found.alone.values())
    assert set(found.apart) == set(found.alone.values())
    assert found.pairs == ()
    # What is not bought, and is not trained again since nothing can be recommended, pays for seeds.
    assert len(found.seeds) > len(design(study(document, {"budget_gpu_hours": 0.6})).seeds)
    both = design(study(document, {"tries": ["twice", "alone"], "budget_gpu_hours": 40}))
    assert both.settings[1] == "cifar+scale.0=0.05"
    assert len(both.settings) == 1 + 5 + 5
    # A pair is compared with either of its parts left out.
    pairs = design(study(document, {"tries": ["pairs"], "budget_gpu_hours": 40}))
    assert pairs.settings == ("cifar", *pairs.pairs[0])
    ordered = design(study(document, {"tries": ["pairs", "out"], "budget_gpu_hours": 40}))
    assert len(ordered.settings) == len(set(ordered.settings)) == 1 + 8 + 1


def test_new_seeds_are_paid_for_where_what_is_bought_may_be_recommended(document):
    asked = {"tries": ["alone", "half"]}
    alone, half = (design(study(document, {**asked, "budget_gpu_hours": hours})) for hours in (0.4, 40))
    assert (alone.told, half.told) == (0, 2)
    assert set(alone.settings) == {"cifar", *alone.alone.values()} < set(half.settings)
    # Of two operations each is alone where the other is left out.
    start = "cifar+color_jitter=off+random_grayscale=off"
    assert design(study(document, {"tries": ["alone"], "start": start, "budget_gpu_hours": 40})).told == 2


def test_looks_are_rounds_of_seeds_and_the_last_is_what_the_budget_must_pay(document):
    found = study(document, {"looks": [2, 3, 6], "budget_gpu_hours": 40})
    its = design(found)
    assert [len(seeds) for seeds in its.rounds] == [2, 1, 3]
    assert sum(its.rounds, ()) == its.seeds
    assert len(its.new_seeds) == 6
    assert not set(its.seeds) & set(its.new_seeds)
    panel = found.panels["mine_audit"]
    assert found.rounds(panel) == 3
    # The plan is of all that can be: every setting with every seed.
    rounds = [run for number in range(3) for run in found.in_round(panel, number)]
    assert set(rounds) == set(found.runs(panel))
    left = ["cifar", "cifar+hue=0.0"]
    later = [run for run in found.in_round(panel, 1, left) if run.method == "simclr"]
    assert [(run.transform, run.seed) for run in later] == [(name, its.seeds[2]) for name in left]
    assert found.in_round(panel, 2, []) == []
    # More seeds to pay for buy fewer settings.
    few, many = (
        design(study(document, {"looks": looks, "budget_gpu_hours": 0.6, "epochs": 10})) for looks in ([2, 3], [2, 6])
    )
    assert len(few.settings) > len(many.settings)


def test_without_looks_all_is_one_round_of_the_same_runs(document):
    found = study(document, {"budget_gpu_hours": 40})
    panel = found.panels["mine_audit"]
    assert found.rounds(panel) == 1
    assert found.in_round(panel, 0) == found.runs(panel)


def test_weights_on_the_way_are_kept_under_names_of_their_own(document):
    found = study(document, {"epochs": 20, "shortest": 0.125})
    panel = found.panels["mine_audit"]
    trained = [run for run in found.runs(panel) if run.method != "untrained"]
    assert {run.method for run in trained} == {"simclr+epochs=20+snapshot_epochs=2"}
    files = paths.audit_on_the_way(found.of(panel), panel, found.runs(panel))["on_the_way"]
    assert len(files) == len(trained)
    assert all(file.endswith("/measures/probe_by_epoch.parquet") for file in files)
    told = found.audited(panel)["lengths"]
    assert told["at"] == [2, 4, 8, 16]
    assert (told["epochs"], told["shorter_trainings"]) == (20, False)
    without = study(document, {"epochs": 20})
    assert "lengths" not in without.audited(without.panels["mine_audit"])
    assert paths.audit_on_the_way(without.of(panel), without.panels["mine_audit"], trained) == {}


def test_what_is_kept_is_in_every_setting(document):
    entry = document["transforms"]["cifar"]
    operations = ["random_resized_crop", "color_jitter", "random_grayscale"]
    assert {part.operation for part in parts("cifar", entry, operations)} == {"random_horizontal_flip"}
    found = design(study(document, {"budget_gpu_hours": 40, "keep": ["random_resized_crop"]}))
    assert found.alone[""] == "cifar+color_jitter=off+random_grayscale=off+random_horizontal_flip=off"
    assert not any("random_resized_crop" in name or "scale.0" in name for name in found.settings)


SEARCH = {"rounds": 4, "settings": 6}


def test_a_search_has_its_share_of_the_budget_and_the_plan_of_it_is_the_most(document):
    found = study(document, {"search": {**SEARCH, "seeds": 2, "candidates": 3}, "budget_gpu_hours": 40})
    panel, its = found.panels["mine_audit"], design(found)
    assert found.rounds_of_search(panel) == 4
    assert its.search.trainings == 4 * 6 * 2
    assert its.search.seeds == its.seeds[:2]
    named = ["cifar+hue=0.025", "cifar+brightness=0.1+hue=0.2"]
    tried = found.searched(panel, named)
    assert [(run.transform, run.seed) for run in tried] == [(name, seed) for name in named for seed in its.seeds[:2]]
    assert {run.method for run in tried} == {"simclr"}
    assert found.searched(panel, []) == []
    # What is searched, and with new seeds the set itself, what is recommended and the candidates.
    assert found.to_come(panel) == ([], 4 * 6 * 2 + len(its.new_seeds) * (2 + 3))
    without = study(document, {"budget_gpu_hours": 40})
    assert without.to_come(without.panels["mine_audit"]) == ([], 10 * 2)
    assert without.rounds_of_search(without.panels["mine_audit"]) == 0
    # What it may cost is no longer there for parts and seeds.
    each = its.hours / len(its.settings)
    few, all_ = (design(study(document, {**of, "budget_gpu_hours": 1.0})) for of in ({"search": SEARCH}, {}))
    assert (len(few.settings), len(few.seeds)) < (len(all_.settings), len(all_.seeds))
    most = (len(few.seeds) * (len(few.settings) + 2 + 2) + few.search.trainings) * few.hours / len(few.settings)
    assert 1.0 - each <= most + each * len(few.settings)
    assert most <= 1.0


def test_a_search_is_planned_by_what_its_rounds_named_once_they_have(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = study(document, {"search": SEARCH, "budget_gpu_hours": 40})
    panel = found.panels["mine_audit"]
    file = tmp_path / paths.panel_file(found.of(panel), panel, "search1.json")
    file.parent.mkdir(parents=True)
    file.write_text('["cifar+hue=0.025"]')
    runs, more = found.to_come(panel)
    assert [run.transform for run in runs] == ["cifar+hue=0.025"]
    assert more == 3 * 6 + 10 * (2 + 2)
    file.write_text('["cifar+sigma=3"]')  # of an audit of another set
    assert found.to_come(panel) == ([], 4 * 6 + 10 * (2 + 2))


def test_the_space_of_a_search_is_each_part_from_none_to_the_most_that_an_audit_tries(document):
    found = design(study(document, {"search": {**SEARCH, "step": 0.5}, "budget_gpu_hours": 40})).search
    assert found.space == {
        "random_resized_crop": ("random_resized_crop=off", "scale.0=0.54", "", "scale.0=0.05"),
        "color_jitter": ("color_jitter=off", ""),
        "color_jitter.brightness": ("brightness=0.0", "brightness=0.2", "", "brightness=0.6", "brightness=0.8"),
        "color_jitter.contrast": ("contrast=0.0", "contrast=0.2", "", "contrast=0.6", "contrast=0.8"),
        "color_jitter.saturation": ("saturation=0.0", "saturation=0.1", "", "saturation=0.3", "saturation=0.4"),
        "color_jitter.hue": ("hue=0.0", "hue=0.05", "", "hue=0.15", "hue=0.2"),
        "random_grayscale": ("random_grayscale=off", "random_grayscale.p=0.1", ""),
        "random_horizontal_flip": ("random_horizontal_flip=off", "random_horizontal_flip.p=0.25", ""),
    }
    kept = design(study(document, {"search": SEARCH, "keep": ["color_jitter"], "budget_gpu_hours": 40})).search
    assert not any("color_jitter" in name for name in kept.space)


def test_every_level_of_a_search_can_be_asked_for(document):
    for start in ("mnist_first", "planted"):
        found = study(document, {"search": SEARCH, "start": start, "budget_gpu_hours": 4000})
        for levels in design(found).search.space.values():
            for override in filter(None, levels):
                assert found.sets(f"{start}+{override}") != found.sets(start)


def test_levels_that_no_transform_may_have_are_not_tried(document):
    """Half of a narrow range would end below where it begins."""
    narrow = [{"gaussian_blur": {"sigma": [1.0, 1.2]}}, {"random_horizontal_flip": {"p": 0.5}}, {"normalize": {}}]
    audit = {"start": "narrow", "budget_gpu_hours": 400, "search": SEARCH}
    found = design(study(document, audit, transforms={"narrow": narrow}))
    assert "narrow+gaussian_blur=off" in found.settings
    assert not any("sigma.1=0.6" in name for name in found.settings)
    assert found.search.space["gaussian_blur"] == (
        "gaussian_blur=off", "", "sigma.1=1.5", "sigma.1=1.8", "sigma.1=2.1", "sigma.1=2.4",
    )  # fmt: skip


def test_an_audit_is_of_the_untrained_network_too(document):
    found = study(document)
    methods = {run.method for run in found.runs(found.panels["mine_audit"])}
    assert methods == {"simclr", "untrained"}


@pytest.mark.parametrize(
    ("objective", "measures", "judged"),
    [
        ("labels", ["probe"], ("top1",)),
        ("knn", ["probe", "knn"], ("knn",)),
        (["top1", "rankme", "agreement"], ["probe", "rankme"], ("top1",)),
        ("none", ["rankme"], ("rankme",)),
        ("agreement", [], ("agreement",)),
        (["alignment", "uniformity"], ["alignment", "uniformity"], ("alignment",)),
    ],
)
def test_the_objective_decides_what_is_measured_and_its_first_is_judged(document, objective, measures, judged):
    found = study(document, {"objective": objective})
    panel = found.panels["mine_audit"]
    assert panel.measures == measures
    assert panel.judged == judged
    files = paths.audit_files(found.of(panel), panel, found.runs(panel))
    assert ("predictions" in files) == ("probe" in measures)
    assert len(files["embeddings"]) == len(found.runs(panel))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"start": "plain"}, r"panels.mine.audit: start: 'plain' has no random operation.*take another set"),
        ({"start": "dual"}, r"start: 'dual' is a sum of sets"),
        ({"start": "cifra"}, r"panels.mine.audit: unknown transform 'cifra'; did you mean cifar"),
        ({"budget_gpu_hours": 0.01}, r"panels.mine.audit: budget_gpu_hours: 0.01 is too little.*takes 0\.\d+"),
        (
            {"objective": "lables"},
            r"audit.objective: unknown objective 'lables'; did you mean labels\?",
        ),
        (
            {"objective": "treatments"},
            r"audit.objective: 'treatments' needs treatments.*can be: labels, none, top1, knn, .*",
        ),
        ({"objective": "ami"}, r"panels.mine.audit: `clusters` is missing; add it, for objective: ami"),
        ({"objective": ["top1", "nscb"]}, r"audit.objective: 'nscb' needs treatments"),
        ({"datasets": "x"}, r"panels.mine.audit: unknown key 'datasets'; did you mean dataset"),
        ({"keep": ["colour_jitter"]}, r"panels.mine.audit: keep: 'cifar' has no operation.*did you mean color_jitter"),
        ({"tries": ["whole"]}, r"panels.mine.audit.tries\[0\]: unknown value 'whole'; there are: alone"),
        (
            {"tries": ["alone"], "search": SEARCH},
            r"search: is of changes of the set, and of `tries` only the first, 'alone', is sure.*put 'out' before it",
        ),
        # The budget may not pay for the others, and that would be known once all is trained.
        (
            {"tries": ["alone", "half"], "shortest": 0.25},
            r"shortest: is of changes of the set, and of `tries` only the first, 'alone', is sure.*put 'out' before it",
        ),
        ({"tries": []}, r"panels.mine.audit.tries: "),
        ({"tries": ["pairs"], "start": "any_channels"}, r"tries: 'any_channels' has nothing of 'pairs'; put another"),
        ({"tries": ["alone"], "budget_gpu_hours": 0.01}, r"'cifar' and 5 others that `tries` begins with, 3 times"),
        ({"dataset": "nothing"}, r"panels.mine.audit: unknown dataset 'nothing'"),
        ({"looks": [4]}, r"panels.mine.audit: looks: \[4\] is one look, which is the end; name those before it too"),
        ({"looks": [2, 4, 4]}, r"panels.mine.audit: looks: \[2, 4, 4\] must rise"),
        ({"looks": [6, 4]}, r"panels.mine.audit: looks: \[6, 4\] must rise"),
        ({"looks": [1, 4]}, r"panels.mine.audit: looks: after 1 seed nothing can be told from noise.*after 2 at least"),
        (
            {"looks": [2, 400]},
            r"budget_gpu_hours: 6 is too little.*400 times, as `looks` ends with.*end `looks` earlier",
        ),
        ({"looks": [2, 4.5]}, r"panels.mine.audit.looks\[1\]: 4.5 is not a whole number"),
        ({"looks": []}, r"panels.mine.audit.looks: "),
        ({"looks": [2, 4], "objective": "agreement"}, r"looks: the agreement between seeds is one number of all seeds"),
        ({"spending": "pocock"}, r"panels.mine.audit: spending: there are no `looks` to spend the error over"),
        ({"looks": [2, 4], "spending": "pokock"}, r"panels.mine.audit.spending: .*pocock"),
        ({"shortest": 0.05, "epochs": 10}, r"panels.mine.audit: shortest: 0.05 of 10 epochs is less than one"),
        ({"shortest": 0.7}, r"panels.mine.audit.shortest: 0.7"),
        ({"search": {"rounds": 4}}, r"panels.mine.audit.search: .*settings"),
        ({"search": {**SEARCH, "sampler": "tpee"}}, r"panels.mine.audit.search.sampler: .*tpe"),
        ({"search": {**SEARCH, "round": 3}}, r"panels.mine.audit.search: unknown key 'round'; did you mean rounds"),
        ({"search": {**SEARCH, "rounds": 0}}, r"panels.mine.audit.search.rounds: 0"),
        ({"search": {**SEARCH, "step": 0.7}}, r"panels.mine.audit.search.step: 0.7"),
        (
            {"search": SEARCH, "budget_gpu_hours": 0.3},
            r"budget_gpu_hours: 0.3 is too little.*, 0.26 of it the search .*search fewer `rounds` or `settings`",
        ),
        (
            {"search": {**SEARCH, "seeds": 4}, "looks": [2, 4], "budget_gpu_hours": 40},
            r"search.seeds: 4, but its first look is after 2 of the set itself.*lower `seeds`$",
        ),
        ({"search": {**SEARCH, "seeds": 11}, "budget_gpu_hours": 40}, r"search.seeds: 11, but the budget pays for 10"),
        ({"search": SEARCH, "objective": "agreement"}, r"search: the agreement between seeds is one number of all"),
        (
            {"shortest": 0.25, "objective": "agreement"},
            r"shortest: 'agreement' is not measured on the way.*: labels, treatments, none, top1, knn, map_replicates,",
        ),
    ],
)
def test_what_cannot_be_is_one_line(document, changed, message):
    with pytest.raises(UserError, match=message):
        study(document, changed)


def test_an_audit_is_told_by_its_budget_where_its_start_is_misspelt(document):
    audit = {"strat" if key == "start" else key: value for key, value in AUDIT.items()}
    said = {"scale": "demo", "panels": {"mine": {"audit": audit}}}
    with pytest.raises(UserError, match=r"panels.mine.audit: unknown key 'strat'; did you mean start"):
        Study(merge(document, said), copy.deepcopy(document), said)
    del said["panels"]["mine"]["audit"]["strat"]
    with pytest.raises(UserError, match=r"panels.mine.audit: `start` is missing; add it"):
        Study(merge(document, said), copy.deepcopy(document), said)


def folder(tmp_path, **classes: int) -> dict:
    """Where images of these classes are said to lie; nobody looks into them to plan."""
    for name, count in classes.items():
        (tmp_path / name).mkdir(parents=True)
        for number in range(count):
            (tmp_path / name / f"{number}.png").touch()
    return {"mine": {"kind": "folder", "path": str(tmp_path), "size": 32, "recipe": "cifar"}}


def test_one_class_is_one_line_before_anything_is_trained(document, tmp_path):
    datasets = folder(tmp_path / "single", cat=500)
    with pytest.raises(UserError, match=r"panels.mine.audit: dataset: 'mine' has 1 class folder.*two at least"):
        study(document, {"dataset": "mine"}, datasets=datasets)
    datasets = folder(tmp_path / "split" / "train", cat=500, dog=500)
    datasets["mine"]["path"] = str(tmp_path / "split")
    assert design(study(document, {"dataset": "mine"}, datasets=datasets)).settings[0] == "cifar"


def test_ten_images_are_one_line_before_anything_is_trained(document, tmp_path):
    datasets = folder(tmp_path, cat=5, dog=5)
    with pytest.raises(UserError, match=r"panels.mine.audit: dataset: 'mine' has about 8 images.*needs 80.*add images"):
        study(document, {"dataset": "mine"}, datasets=datasets)


def test_every_shipped_dataset_can_be_audited_or_its_line_says_how(document):
    """One that each seed draws anew has no images that all of an audit's trainings hold out."""
    anew = {name for name, entry in document["datasets"].items() if entry.get("split_seed") == "run"}
    assert anew
    for name, entry in document["datasets"].items():
        audit = {"dataset": name, "start": "any_channels", "budget_gpu_hours": 1e6}
        if name in anew:
            with pytest.raises(UserError, match=r"dataset: '\w+' is drawn by .*ask for '\w+\+split_seed=0'") as told:
                study(document, audit)
            audit["dataset"] = str(told.value).split("ask for '")[1].split("'")[0]
        if entry["kind"] == "cells" and entry.get("test_fraction") == 1:  # every dose: nothing is trained on it
            continue
        assert design(study(document, audit)).settings[0] == "any_channels", name


def test_what_an_audit_buys_does_not_change_once_its_images_are_made(document, tmp_path, monkeypatch):
    """Nor for its jobs, which do not see the user's folder, nor once that is gone."""
    monkeypatch.chdir(tmp_path)
    for split, count in (("train", 300), ("test", 900)):
        for name in "ab":
            (tmp_path / "photos" / split / name).mkdir(parents=True)
            for number in range(count):
                (tmp_path / "photos" / split / name / f"{number}.png").touch()
    mine = {"kind": "folder", "path": "photos", "size": 32, "recipe": "cifar", "mean": "own", "std": "own"}

    def audit(counts=MappingProxyType({})) -> Study:
        listing._walked.cache_clear()
        panel = {**AUDIT, "dataset": "mine", "budget_gpu_hours": 1}
        said = {"datasets": {"mine": mine}, "panels": {"mine": {"audit": panel}}, "scale": "paper"}
        return Study(merge(document, said), copy.deepcopy(document), said, counts)

    first = design(audit())
    asked.count(audit(), ["mine", "digits"])
    (tmp_path / "results/data/mine").mkdir(parents=True)
    np.save(tmp_path / "results/data/mine/images.npy", np.zeros((2400, 2, 2, 3), np.uint8))
    assert design(audit()) == first
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    for called in (False, True):
        noted = asked.counts({"mine": mine}, called)
        assert noted == {"mine": 600}
        assert design(audit(noted)) == first
    assert design(audit()) != first
    # Where the folder is there, it is what counts.
    (tmp_path / "elsewhere").rename(tmp_path / "photos")
    assert asked.counts({"mine": mine}, called=True) == {}


def test_an_audit_of_cells_says_how_many_there_will_be(document):
    mine = {"kind": "treatments", "screen": "simulated", "plates": ["Week1_00001"], "recipe": "treatments"}
    own = {"dataset": "mine", "start": "any_channels"}
    with pytest.raises(UserError, match=r"nothing says how many cells 'mine' will have.*`images`"):
        study(document, own, datasets={"mine": mine})
    assert design(study(document, own, datasets={"mine": {**mine, "images": 5000}})).settings
