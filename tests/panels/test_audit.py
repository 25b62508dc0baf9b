"""What an audit says, of made-up scores whose truth is known."""

from __future__ import annotations

import re
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import ttest_rel

from phenoviews.data.embeddings import save
from phenoviews.errors import UserError
from phenoviews.panels import audit
from phenoviews.panels.audit import BETTER, CANNOT, SAME, WORSE, Judged, Scores, recommended
from phenoviews.panels.audit_files import agreed
from phenoviews.panels.audit_files import scores as of_files
from phenoviews.study.metrics import COUNTABLE, counted
from phenoviews.values import table, write

ENTRY = [
    {"random_rotation": {"degrees": 30}},
    {"color_jitter": {"brightness": 0.4, "contrast": 0.0, "saturation": 0.0, "hue": 0.2, "p": 0.8}},
    {"random_horizontal_flip": {"p": 0.5}},
    {"normalize": {}},
]
PARTS = [
    {"name": "random_rotation", "operation": "random_rotation", "strength": 30,
     "levels": {0.0: "random_rotation=off", 0.5: "degrees=15.0"}},
    {"name": "color_jitter", "operation": "color_jitter", "strength": 1, "levels": {0.0: "color_jitter=off"}},
    {"name": "color_jitter.brightness", "operation": "color_jitter", "strength": 0.4,
     "levels": {0.0: "brightness=0.0"}},
    {"name": "color_jitter.hue", "operation": "color_jitter", "strength": 0.2, "levels": {0.0: "hue=0.0"}},
    {"name": "random_horizontal_flip", "operation": "random_horizontal_flip", "strength": 0.5,
     "levels": {0.0: "random_horizontal_flip=off"}},
]  # fmt: skip
SETTINGS = ["mine", *dict.fromkeys(f"mine+{override}" for part in PARTS for override in part["levels"].values())]
CLASSES = ("cat", "dog", "retina")
DESIGN = {
    "parts": PARTS, "settings": SETTINGS, "pairs": [], "alone": {}, "told": 2, "hours": 1.4, "declared": {"keep": []},
}  # fmt: skip
PANEL = {
    "title": "Mine", "name": "lab_audit", "start": "mine", "entry": ENTRY, "design": DESIGN,
    "scale": {"note": ""}, "margin": 2.0, "evaluated": "test",
}  # fmt: skip


def scores(rng, effects=(), seeds: int = 5, sd: float = 1.0) -> Scores:
    """Of noise, with {setting: (all, cat, dog, retina)} added."""
    y = 70 + rng.normal(0, sd, (seeds, len(SETTINGS), 4)) + rng.normal(0, 3, (seeds, 1, 1))
    for setting, change in dict(effects).items():
        y[:, SETTINGS.index(setting)] += change
    return Scores(y, tuple(SETTINGS), tuple(range(seeds)), CLASSES, "points", "accuracy")


def said(found: Scores, margin: float = 2.0):
    judged = Judged(found, margin)
    return judged, recommended(judged, DESIGN, "mine", ENTRY)


def test_what_hurts_is_dropped_and_what_helps_is_kept_with_reasons():
    effects = {"mine+hue=0.0": (6, 0, 0, 18), "mine+random_horizontal_flip=off": (-6, -9, -9, 0)}
    judged, found = said(scores(np.random.default_rng(0), effects))
    assert found.overrides == ("hue=0.0",)
    assert re.fullmatch(r"dropped: without it all \+[567]\.\d ± \d\.\d points; gain: 'retina' \+1[789]\.\d ± \d\.\d",
                        found.reasons["color_jitter.hue"])  # fmt: skip
    assert found.reasons["random_horizontal_flip"].startswith("kept: without it all -")
    assert (
        "lose: 'dog' -" in found.reasons["random_horizontal_flip"]
        or "'cat' -" in found.reasons["random_horizontal_flip"]
    )
    verdicts = dict(zip(SETTINGS, judged.verdicts, strict=True))
    assert verdicts["mine+hue=0.0"] == BETTER
    assert verdicts["mine+random_horizontal_flip=off"] == WORSE


def test_an_operation_goes_whole_where_that_is_better_than_one_of_its_strengths():
    effects = {"mine+hue=0.0": (6, 6, 6, 6), "mine+color_jitter=off": (12, 12, 12, 12)}
    _, found = said(scores(np.random.default_rng(1), effects))
    assert found.overrides == ("color_jitter=off",)


def test_what_trades_classes_is_no_winner():
    judged, found = said(scores(np.random.default_rng(2), {"mine+hue=0.0": (3, 15, 12, -18)}))
    assert found.overrides == ()
    assert found.trades == ("mine+hue=0.0",)
    assert "kept, and a choice" in found.reasons["color_jitter.hue"]
    pairs, floor, p = judged.opposition(np.random.default_rng(0))
    assert pairs == 2
    assert floor < 1
    assert p < 0.05


def test_small_differences_are_none_and_large_noise_is_not_told():
    judged, found = said(scores(np.random.default_rng(3), sd=0.2))
    assert set(judged.verdicts[1:]) == {SAME}
    assert "it makes no difference" in found.reasons["random_rotation"]
    judged, found = said(scores(np.random.default_rng(3), sd=8))
    assert set(judged.verdicts[1:]) == {CANNOT}
    assert "cannot tell" in found.reasons["random_rotation"]
    seeds, hours = audit.budget_that_tells(judged, DESIGN)
    assert seeds > 50
    assert hours == pytest.approx(seeds * (1.4 + 2 * 1.4 / len(SETTINGS)))


def test_a_set_against_itself_shows_nothing():
    """A/A: the same set, with other seeds under every name; by level, and 18 of 200 at most."""
    rng = np.random.default_rng(4)
    recommendations = shown = 0
    for _ in range(200):
        judged, found = said(scores(rng))
        recommendations += bool(found.overrides)
        shown += BETTER in judged.verdicts or WORSE in judged.verdicts or bool(judged.ways.any())
    assert recommendations <= 18
    assert shown <= 18


def test_shuffled_labels_recommend_nothing():
    """Embeddings of runs that do tell their classes, with labels that are shuffled anew: nothing is recommended in at
    least 182 of 200 shuffles, and what is said is that it cannot be told."""
    rng = np.random.default_rng(5)
    n, seeds = 240, 4
    truth = np.repeat(np.arange(3), n // 3)
    runs = [{"transform": name, "method": "simclr", "seed": seed} for name in SETTINGS for seed in range(seeds)]
    # By its setting a run has its classes further apart or nearer, so that real labels have effects.
    apart = dict(zip(SETTINGS, np.linspace(0.5, 3, len(SETTINGS)), strict=True))
    centres = rng.normal(size=(3, 8))
    shared = rng.normal(size=(n, 8))
    near = []
    for run in runs:
        found = apart[run["transform"]] * centres[truth] + shared + 0.7 * rng.normal(size=(n, 8))
        unit = found / np.linalg.norm(found, axis=1, keepdims=True)
        similar = unit @ unit.T
        np.fill_diagonal(similar, -2)
        near.append(np.argsort(-similar, axis=1)[:, :9])

    def of(labels: np.ndarray) -> tuple[Judged, audit.Recommendation]:
        predicted = [np.eye(3)[labels[rows]].sum(axis=1).argmax(axis=1) for rows in near]
        rows = [
            {"predictions": one, "labels": labels, "classes": list(CLASSES), "superclasses": None} for one in predicted
        ]
        return said(audit.scores_of_labels(runs, rows, "choosing"))

    assert of(truth)[1].overrides, "with the true labels something is to be found"
    false, told = 0, []
    for _ in range(200):
        judged, found = of(rng.permutation(truth))
        false += bool(found.overrides)
        told.append(judged.verdicts.count(CANNOT))
    assert false <= 18
    assert np.mean(told) > 0.9 * (len(SETTINGS) - 1)


def test_the_halves_share_no_image_and_have_as_many_of_each_class():
    labels = np.repeat([0, 1, 2], [10, 7, 2])
    half = audit.halves(labels)
    assert [half[labels == label].sum() for label in range(3)] == [5, 4, 1]
    runs = [{"transform": "mine", "method": "simclr", "seed": 1}]
    predictions = np.where(half, labels, 9)
    one = [{"predictions": predictions, "labels": labels, "classes": list("abc"), "superclasses": None}]
    assert audit.scores_of_labels(runs, one, "choosing").y[0, 0, 0] == 100
    assert audit.scores_of_labels(runs, one, "telling").y[0, 0, 0] == 0
    assert audit.scores_of_labels(runs, one, "all").y[0, 0, 0] == pytest.approx(100 * half.mean())


def test_superclasses_count_their_classes_alike_and_a_training_that_failed_is_missing():
    labels = np.repeat([0, 1, 2], 8)
    names = {"labels": labels, "classes": ["a", "b", "c"], "superclasses": ["x", "x", "y"]}
    runs = [{"transform": "mine", "method": "simclr", "seed": seed} for seed in (1, 2)]
    rows = [{**names, "predictions": np.where(labels == 1, 0, labels)}, {**names, "predictions": np.empty(0, int)}]
    found = audit.scores_of_labels(runs, rows, "choosing")
    assert found.classes == ("x", "y")
    np.testing.assert_allclose(found.y[0, 0], [200 / 3, 50, 100])
    assert np.isnan(found.y[1]).all()


def test_the_yaml_is_a_transform_with_a_reason_for_every_part():
    _, found = said(scores(np.random.default_rng(0), {"mine+hue=0.0": (6, 6, 6, 6)}))
    text = audit.recommended_yaml(found, "mine", ENTRY, "better")
    (pipeline,) = yaml.safe_load(text)["transforms"].values()
    assert [*pipeline[1]["color_jitter"].items()][3] == ("hue", 0.0)
    assert pipeline[0] == ENTRY[0]
    for part in PARTS:
        assert f"# {part['name']}: " in text
    kept = {**DESIGN, "declared": {"keep": ["random_rotation"]}, "parts": PARTS[1:]}
    found = recommended(Judged(scores(np.random.default_rng(0)), 2.0), kept, "mine", ENTRY)
    text = audit.recommended_yaml(found, "mine", ENTRY, "better")
    assert "    # random_rotation: kept, as `keep` says: every setting has it\n    - random_rotation" in text


def test_the_report_says_what_and_for_whom_and_what_would_tell():
    judged, found = said(scores(np.random.default_rng(6), {"mine+hue=0.0": (9, 0, 0, 27)}, sd=3))
    text = audit.report(
        judged,
        found,
        PANEL,
        None,
        None,
        [audit.Told("mine", {"class": 20.0, "plate": 61.5}, ["plate"])],
        {"the network before any training": 41.2},
    )
    assert "**Recommended: `mine+hue=0.0` in place of `mine`.**" in text
    assert re.search(r"about \d+ seeds of each, [\d.e+]+ GPU hours in all, would tell differences of 2 points", text)
    assert "* the network before any training: 41.2" in text
    assert "## What it should not tell\n\n* `mine` tells the plate better than the class." in text
    assert "| setting | class | plate |" in text
    assert "| mine | 20.0 | 61.5 |" in text


def test_what_is_counted_on_cells_of_the_trainings_too_is_not_called_held_out():
    judged, found = said(scores(np.random.default_rng(6), {"mine+hue=0.0": (9, 0, 0, 27)}, sd=3))
    text = audit.report(judged, found, {**PANEL, "evaluated": "all"}, None, None, [], {})
    assert "Counted by accuracy, on all cells, those that are trained with among them; " in text
    assert "held-out" not in text


def test_a_nuisance_that_is_told_better_than_the_class_is_named():
    rows = [
        {
            "metric": "told",
            "transform": setting,
            "method": "simclr+epochs=5",
            "seed": seed,
            "nuisance": name,
            "value": value + seed,
        }
        for setting, plate in (("mine", 60), ("other", 5))
        for seed in range(4)
        for name, value in (("class", 20 + seed), ("plate", plate))
    ]
    untrained = [{**row, "transform": "plain", "method": "untrained"} for row in rows if row["transform"] == "other"]
    found = audit.told_nuisances(pd.DataFrame([*rows, *untrained]))
    assert [(one.setting, one.better) for one in found] == [("mine", ["plate"]), ("other", []), ("untrained", [])]
    assert found[0].percent == {"class": 23.0, "plate": 61.5}
    assert audit.said_of_nuisances(found) == ["`mine` tells the plate better than the class."]


def test_an_operation_alone_is_judged_against_none():
    rng = np.random.default_rng(7)
    names = ["mine", "mine+none", "mine+rotation", "mine+hue"]
    y = 70 + rng.normal(0, 1, (5, 4, 4))
    y[:, 3] += [-5, 0, 0, -15]
    found = Scores(y, tuple(names), tuple(range(5)), CLASSES, "points", "accuracy")
    alone = {"": "mine+none", "random_rotation": "mine+rotation", "color_jitter": "mine+hue"}
    design = {"alone": alone, "declared": {}}
    judged = audit.alone(found, design, 2.0)
    assert judged.scores.settings == ("none", "random_rotation", "color_jitter")
    np.testing.assert_array_equal(judged.ways[2], [0, 0, -1])
    assert not judged.ways[1].any()
    # Nearly every operation costs a little: alone it is told of what makes a difference, in place of the set of any.
    y[:, 3, 1] -= 4
    assert audit.alone(found, design, 2.0).ways[2].tolist() == [-1, 0, -1]
    assert audit.alone(found, design, 5.0).ways[2].tolist() == [0, 0, -1]
    assert audit.of_the_set(found, {**design, "apart": names[1:3]}, 5.0).ways[1].tolist() == [-1, 0, -1]
    assert audit.alone(found, {"alone": {}}, 2.0) is None
    whole = audit.of_the_set(found, {**design, "apart": names[1:3]}, 2.0)
    assert whole.scores.settings == ("mine", "mine+hue")


def test_what_is_drawn_are_the_changes():
    from phenoviews.panels.figures.audit import draw_audit

    judged, _ = said(scores(np.random.default_rng(8), {"mine+hue=0.0": (6, 0, 0, 18)}))
    table = audit.tidy(judged, None, [], DESIGN, "mine", ENTRY)
    assert len(table) == len(SETTINGS) * 4
    assert (table.loc[table["setting"] == "mine", "verdict"] == "").all()
    figure = draw_audit(table, "mine", "points", 2.0, "Demo scale")
    left, right = figure.axes[:2]
    assert [label.get_text() for label in left.get_yticklabels()][-1] == "hue=0.0"
    drawn = np.concatenate([line.get_xdata() for line in left.get_lines() if line.get_marker() == "o"])
    np.testing.assert_allclose(sorted(drawn), sorted(judged.changes[1:, 0]))
    image = right.get_images()[1].get_array()
    assert np.isfinite(np.ma.filled(image, np.nan)).sum() == (judged.ways != 0).sum()
    assert figure.get_suptitle() == "Demo scale"


METRICS = {name: asdict(counted(name)) for name in COUNTABLE}
RUNS = [
    {"dataset": "d", "transform": setting, "method": "simclr", "backbone": "b", "seed": seed}
    for setting in ("mine", "mine+hue=0.0")
    for seed in (1, 2, 3)
]


def of_measures(**metrics) -> pd.DataFrame:
    """Records of `RUNS`: {metric: its value of each}."""
    return pd.DataFrame(
        {**run, "metric": metric, "value": value, "postprocessing": "", "split": ""}
        for metric, values in metrics.items()
        for run, value in zip(RUNS, values, strict=True)
    )


def test_the_first_objective_that_could_be_measured_is_judged_so_that_more_is_better():
    none = [float("nan")] * 6
    records = of_measures(
        map_moas=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], map_moas_other_batch=none, uniformity=[-1, -2, -3, -1, -2, -4]
    )
    found = audit.scores_of_values(RUNS, records, ("map_moas_other_batch", "map_moas"), METRICS)
    assert found.metric == "map_moas"
    np.testing.assert_allclose(found.y[:, :, 0], [[10, 40], [20, 50], [30, 60]])
    spread = audit.scores_of_values(RUNS, records, ("uniformity",), METRICS)
    np.testing.assert_allclose(spread.y[:, :, 0], [[100, 100], [200, 200], [300, 400]])
    assert "its sign turned" in spread.objective
    with pytest.raises(UserError, match="map_moas_other_batch could not be measured of any run"):
        audit.scores_of_values(RUNS, records, ("map_moas_other_batch",), METRICS)


def test_classes_may_be_judged_by_another_measure_than_the_probe():
    labels = np.repeat([0, 1], 20)
    one = {"labels": labels, "classes": ["a", "b"], "superclasses": None}
    of_classes = audit.scores_of_labels(RUNS, [{**one, "predictions": labels}] * 6, "choosing")
    by_knn = audit.scores_of_values(RUNS, of_measures(knn=[50, 60, 70, 40, 50, 60]), ("knn",), METRICS)
    found = audit.by_value(of_classes, by_knn)
    np.testing.assert_allclose(found.y[:, :, 0], [[50, 40], [60, 50], [70, 60]])
    assert (found.y[:, :, 1:] == 100).all()
    assert (found.metric, found.classes) == ("knn", ("a", "b"))


def test_what_was_measured_besides_is_told_with_intervals_of_its_own_and_judged_by_nothing():
    rng = np.random.default_rng(9)
    values = 20 + rng.normal(size=6)
    records = of_measures(rankme=values, nscb=[1, *[float("nan")] * 5])
    (told,) = audit.beside(RUNS, records, ["rankme", "nscb"], METRICS, ("mine", "mine+hue=0.0"))
    changes, reaches = audit.one_by_one(told)
    by_hand = ttest_rel(values[3:], values[:3]).confidence_interval(0.95)
    assert changes[1] == pytest.approx((by_hand.low + by_hand.high) / 2)
    # Of a single difference what is usual is estimated from its logarithm, whose mean is lower by Euler's constant.
    assert reaches[1] == pytest.approx((by_hand.high - by_hand.low) / 2 * np.exp(np.euler_gamma / 2))
    scored = audit.only(scores(rng), "mine", "mine+hue=0.0")
    table = audit.tidy(Judged(scored, 2.0), None, [told], DESIGN, "mine", ENTRY)
    rows = table[table["metric"] == "rankme"]
    np.testing.assert_allclose(rows["mean"], [values[:3].mean(), values[3:].mean()])
    assert (rows["verdict"] == "").all()
    text = audit.report(Judged(scored, 2.0), said(scores(rng))[1], PANEL, None, None, [], {}, [told])
    assert f"| mine+hue=0.0 | {changes[1]:+.1f} ± {reaches[1]:.1f} |" in text


def test_seeds_agree_on_the_same_images_and_of_others_nothing_is_said(tmp_path):
    rng = np.random.default_rng(10)
    shared, files = rng.normal(size=(50, 4)), []
    for number, run in enumerate(RUNS):
        files.append(str(tmp_path / f"{number}.npy"))
        save(files[-1], (shared + (0.1 if run["transform"] == "mine" else 2) * rng.normal(size=(50, 4))).astype("f4"))
    found = agreed(RUNS, files, ["index.parquet"] * 6)
    by_setting = found.groupby("transform")["value"].mean()
    assert by_setting["mine"] > 0.9 > 0.5 > by_setting["mine+hue=0.0"]
    drawn = agreed(RUNS, files, [f"seed{run['seed']}.parquet" for run in RUNS])
    assert drawn["value"].isna().all()
    save(files[0], "the encoder's output is not a number")
    assert agreed(RUNS, files, ["index.parquet"] * 6)["value"].isna().tolist() == [True] * 3 + [False] * 3


def test_an_objective_without_dimensions_is_found_among_metrics_that_have_some(tmp_path):
    """From files, as the rule has them: uniformity and the agreement of seeds, of which the latter has others."""
    rng, files = np.random.default_rng(11), {"uniformity": [], "embeddings": []}
    for number in range(len(RUNS)):
        save(tmp_path / f"{number}.npy", rng.normal(size=(30, 4)).astype("f4"))
        write(tmp_path / f"{number}.parquet", table([{"metric": "uniformity", "value": -1.0 - number}]))
        files["embeddings"].append(str(tmp_path / f"{number}.npy"))
        files["uniformity"].append(str(tmp_path / f"{number}.parquet"))
    files["index"] = ["index.parquet"] * len(RUNS)
    panel = {"judged": ["uniformity"], "of_classes": False, "metrics": METRICS}
    found = of_files(panel, RUNS, files, "choosing")
    np.testing.assert_allclose(found.y[:, :, 0], [[100, 400], [200, 500], [300, 600]])
    agreeing = of_files({**panel, "judged": ["agreement"]}, RUNS, files, "choosing")
    assert np.isfinite(agreeing.y).all()
