from __future__ import annotations

import json
import math

import pandas as pd
import pytest
from tests.panels.conftest import record

from phenoviews.errors import UserError
from phenoviews.panels.records import COLUMNS, changes, class_names, of_panel, published, read, titles


@pytest.fixture
def run(tmp_path):
    (tmp_path / "clusters.json").write_text(json.dumps({"k": 10, "ami": 0.5, "silhouette": 0.25}))
    (tmp_path / "probe.json").write_text(json.dumps({"top1": 97, "per_class": {}}))
    (tmp_path / "lpips.json").write_text(json.dumps({"lpips": None, "reason": "no weights"}))
    files = [tmp_path / f"{kind}.json" for kind in ("clusters", "probe", "lpips")]
    return {"dataset": "d", "transform": "t", "method": "m", "backbone": "b", "seed": 5, "files": files}


def test_each_metric_is_found_with_its_file(run):
    table = read([run], ["ami", "top1", "lpips"]).set_index("metric")
    assert table.loc["ami", "value"] == 0.5
    assert table.loc["top1", "value"] == 97
    assert math.isnan(table.loc["lpips", "value"])
    assert table.loc["lpips", "reason"] == "no weights"
    assert table.loc["ami", "source"].endswith("clusters.json")
    assert table.loc["top1", "source"].endswith("probe.json")
    assert list(table.loc["ami", ["dataset", "transform", "method", "backbone", "seed"]]) == ["d", "t", "m", "b", 5]


def test_what_cannot_be_read_names_the_file(run):
    with pytest.raises(UserError, match=r"no measure 'f1' in .*clusters\.json"):
        read([run], ["f1"])
    with pytest.raises(UserError, match=r"probe\.json: 'per_class' is not a number"):
        read([run], ["per_class"])
    run["files"][0].write_text('{"ami": 0.5')
    with pytest.raises(UserError, match=r"clusters\.json: not JSON"):
        read([run], ["ami"])
    run["files"][0].write_text("[1]")
    with pytest.raises(UserError, match=r"clusters\.json: not a JSON object"):
        read([run], ["ami"])


def test_changes_are_to_the_run_of_the_same_seed_without_overrides():
    values = {("t", 5): 0.5, ("t+a=1", 5): 0.6, ("t", 6): 0.1, ("t+a=1+b=off", 6): 0.4, ("t+a=1", 7): 0.9}
    lines = [record(t, seed, "ami", value) for (t, seed), value in values.items()]
    lines += [record("t", 8, "ami", math.nan, "no"), record("t+a=1", 8, "ami", 1)]
    found = changes(pd.DataFrame(lines, columns=COLUMNS), "transform").set_index(["transform", "seed"])
    assert set(found["metric"]) == {"ami_change"}
    assert found["value"].dropna().to_dict() == pytest.approx({("t+a=1", 5): 0.1, ("t+a=1+b=off", 6): 0.3})
    assert found.loc[("t+a=1", 7), "reason"] == "t of the same seed has no ami"
    assert found.loc[("t+a=1", 8), "reason"] == "t of the same seed has no ami"
    assert found.loc[("t", 5), "reason"] == "the changes are counted from here"
    assert pd.isna(found.loc[("t+a=1", 5), "reason"])


def test_a_panel_has_the_metrics_that_it_declares(run, tmp_path):
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"k": 10, "ami": None, "reason": "no ImageNet weights"}))
    names = {key: run[key] for key in ("dataset", "transform", "method", "backbone", "seed")}
    panel = {
        "each": [names, {**names, "transform": "t+hue=off"}],
        "metrics": [{"name": "ami_change"}],
        "base": "transform",
    }
    found = of_panel(panel, [[tmp_path / "clusters.json", other]])
    assert list(found["metric"]) == ["ami_change"] * 2
    assert found["value"].isna().all()
    assert list(found["reason"]) == ["the changes are counted from here", "no ImageNet weights"]
    panel["metrics"] = [{"name": "ami"}, {"name": "top1"}]
    found = of_panel({**panel, "each": panel["each"][:1]}, [[tmp_path / "clusters.json"], [tmp_path / "probe.json"]])
    assert dict(zip(found["metric"], found["value"], strict=True)) == {"ami": 0.5, "top1": 97}


def test_published_values_of_one_panel(root):
    file = root / "resources" / "published" / "no_free_lunch.csv"
    table = published(file, "no_free_lunch_table7").set_index(["method", "backbone"])["value"]
    expected = {
        ("byol", "vgg11"): 61.3,
        ("byol", "resnet18"): 62.5,
        ("byol", "convnext_tiny"): 51.6,
        ("moco", "vgg11"): 62.1,
        ("moco", "resnet18"): 63.8,
        ("moco", "convnext_tiny"): 58.7,
    }
    assert table.to_dict() == expected
    one = published(file, "no_free_lunch_table1")
    assert len(one) == 20
    assert set(one["n_seeds"]) == {5}
    assert len(published(file, "no_free_lunch_table2")) == 60
    assert published(file, "no_free_lunch_figure1").empty


def test_published_numbers_are_those_of_the_transcribed_tables(root, shared_data):
    for number in range(1, 8):
        source = shared_data.parent / "papers" / "published" / f"no-free-lunch.table{number}.csv"
        if not source.is_file():
            pytest.skip(f"no transcribed tables at {source.parent}")
        ours = published(root / "resources" / "published" / "no_free_lunch.csv", f"no_free_lunch_table{number}")
        assert sorted(ours["value"]) == sorted(pd.read_csv(source)["value"])
        assert not ours.duplicated(["dataset", "transform", "method", "backbone", "metric"]).any()


def test_titles_tell_what_differs():
    panel = {
        "runs": {"dataset": ["d"], "transform": ["t"], "method": ["moco", "byol"], "backbone": ["vgg11"]},
        "each": [
            {"dataset": "d", "transform": "t", "method": m, "backbone": "vgg11", "seed": 5} for m in ("moco", "byol")
        ],
        "labels": {"moco": "MoCo v2+", "byol": "BYOL", "vgg11": "VGG11", "d": "d", "t": "t"},
    }
    assert titles(panel) == ["MoCo v2+", "BYOL"]


def test_class_names_in_the_order_of_labels(tmp_path):
    pd.DataFrame({"label": [2, 0, 1, 0], "class": ["c", "a", "b", "a"]}).to_parquet(tmp_path / "index.parquet")
    assert class_names(tmp_path / "index.parquet") == ["a", "b", "c"]


# ---------------------------------------------------------------------------------------------------- post-processings
SCORES = {
    "none": {"nsc": 90.3, "nscb": None, "counts": {"nsc": [93, 103]}, "intervals": {"nsc": [84.5, 95.1], "nscb": None}},
    "tvn": {"nsc": 92.2, "nscb": 87.0, "counts": {"nsc": [95, 103], "nscb": [80, 92]}, "intervals": {}},
}
SCORES["none"]["reasons"] = {"nscb": "one batch only"}


def profiled(tmp_path, scores, metrics=("nsc", "nscb"), postprocessings=("none", "tvn")) -> pd.DataFrame:
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    other = {"tvn": {"map_moas": 0.5}} if scores["postprocessings"] else {}
    (tmp_path / "structure.json").write_text(json.dumps({**scores, "postprocessings": other}))
    names = dict(zip(("dataset", "transform", "method", "backbone"), "dtmb", strict=True))
    panel = {"each": [{**names, "seed": 5}], "metrics": [{"name": name} for name in metrics]}
    files = [[tmp_path / "scores.json"], [tmp_path / "structure.json"]]
    return of_panel({**panel, "postprocessings": list(postprocessings)}, files).set_index(["postprocessing", "metric"])


def test_scores_have_their_post_processing_counts_and_intervals(tmp_path):
    found = profiled(tmp_path, {"postprocessings": SCORES})
    assert list(found.index) == [("none", "nsc"), ("none", "nscb"), ("tvn", "nsc"), ("tvn", "nscb")]
    assert found.loc[("none", "nsc"), ["value", "correct", "of", "low", "high"]].tolist() == [90.3, 93, 103, 84.5, 95.1]
    missing = found.loc[("none", "nscb")]
    assert missing["reason"] == "one batch only"
    assert missing[["value", "correct", "of", "low", "high"]].isna().all()
    counted = found.loc[("tvn", "nscb")]
    assert (counted["correct"], counted["of"]) == (80, 92)
    assert math.isnan(counted["low"])


def test_without_an_encoder_every_post_processing_has_its_reason(tmp_path):
    found = profiled(tmp_path, {"reason": "no ImageNet weights", "postprocessings": {}})
    assert set(found["reason"]) == {"no ImageNet weights"}
    assert len(found) == 4
    with pytest.raises(UserError, match=r"no measure 'nsc' under 'whitening' in .*scores\.json, .*structure\.json"):
        profiled(tmp_path, {"postprocessings": SCORES}, ["nsc"], ["whitening"])


def test_published_scores_are_those_of_the_transcribed_tables(root, shared_data):
    """Value by value under the names of the study, with k of n."""
    removed = {"Crop": "random_resized_crop", "Flip": "random_horizontal_flip", "Rotation": "random_rotate_90"}
    removed |= dict.fromkeys(["Jitter", "Color-Jitter"], "color_jitter") | {"Blur": "gaussian_blur"}
    removed |= dict.fromkeys(["Grey", "Grey-Distortion"], "random_grayscale")
    heads = {"Identity": "simclr+batch_size=128+head=identity", "Linear": "simclr+batch_size=128+head=linear"}
    methods = {"64": "simclr+batch_size=64", "128": "simclr+batch_size=128", **heads}
    methods |= {level: f"simclr+temperature={float(level)}" for level in ("1", "0.5", "0.05")}
    methods |= {"256": "simclr", "0.1": "simclr", "Non-linear (2-layer MLP)": "simclr+batch_size=128"}
    for number in range(1, 8):
        source = shared_data.parent / "papers" / "published" / f"contrastive-single-cell.table{number}.csv"
        if not source.is_file():
            pytest.skip(f"no transcribed tables at {source.parent}")
        printed = pd.read_csv(source, dtype=str, keep_default_na=False)
        printed = printed[printed["value"] != "NA"]
        ours = published(root / "resources" / "published" / "single_cell.csv", f"single_cell_table{number}")
        assert len(ours) == len(printed)
        lines = ours.set_index(["transform", "method", "backbone", "postprocessing", "metric"])
        assert lines.index.is_unique
        for line in printed.to_dict("records"):
            level = line.get("level")
            names = ["single_cell+random_grayscale=off", "simclr", "resnet50_imagenet"]
            if line.get("factor") == "augmentation_removed":
                names[0] = f"single_cell+{removed[level]}=off" if level in removed else "single_cell"
            elif line.get("factor") == "encoder":
                names[1:] = ["simclr+batch_size=128", f"{level.lower()}_imagenet"]
            elif level:
                names[1] = methods[level]
                names[2] = "resnet18_imagenet" if line["factor"] == "projection_head" else names[2]
            elif line["source"] == "own":
                names[1] = "simclr+epochs=600+temperature=0.5"
            else:
                names = ["", f"{line['method'].removesuffix(' *')}, {line['group']}", ""]
            postprocessing = line["postprocessing"].lower().removesuffix(" by the cited work")
            found = lines.loc[(*names, postprocessing, line["metric"].lower())]
            assert found["value"] == float(line["value"])
            for column, of in (("correct", "k_correct"), ("of", "n_total")):
                assert found[column] == float(line[of]) if line[of] else math.isnan(found[column])
            assert found["dataset"] == ("" if not names[0] else "treatments" if number == 2 else "treatments_15")
            assert ("Table 5" in found["note"]) == line["source"].startswith("inferred")
