from __future__ import annotations

import math

import pandas as pd
import pytest
from tests.panels.conftest import NONE, as_records, declared, grid, printed, record, run

from phenoviews import values
from phenoviews.errors import UserError
from phenoviews.panels.records import changes, chosen, class_names, of_panel, of_run, read, titles, why_none
from phenoviews.study.metrics import AXES


@pytest.fixture
def files(tmp_path):
    """The measures of one run: clusters, a probe by class, LPIPS without weights."""
    accuracy = [{"metric": "accuracy", "value": v, "class": c, "split": "test"} for c, v in (("cat", 80), ("dog", 60))]
    measures = {
        "clusters": values.table([{"metric": "ami", "value": 0.5, "k": 10.0}]),
        "probe": values.table([{"metric": "top1", "value": 70, "split": "test"}, *accuracy]),
        "lpips": values.missing(["lpips"], "no weights"),
    }
    for name, table in measures.items():
        values.write(tmp_path / f"{name}.parquet", table)
    return {name: tmp_path / f"{name}.parquet" for name in measures}


def test_records_are_the_values_of_a_run_with_its_dimensions_and_their_file(files):
    found = read((run("t+hue=0.25", 5), file) for file in files.values())
    assert len(found) == 5
    assert set(found["source"]) == {str(file) for file in files.values()}
    assert found[list(run())].drop_duplicates().to_dict("records") == [run("t+hue=0.25", 5)]
    assert set(found["swept"]) == {"hue"}
    assert set(found["at"]) == {0.25}
    table = found.set_index(["metric", "class"])
    assert table.loc[("ami", ""), ["value", "k", "split"]].tolist() == [0.5, 10, ""]
    assert table.loc[("accuracy", "dog"), ["value", "split"]].tolist() == [60, "test"]
    assert math.isnan(table.loc[("accuracy", "dog"), "k"])
    assert math.isnan(table.loc[("lpips", ""), "value"])
    assert table.loc[("lpips", ""), "reason"] == "no weights"


@pytest.mark.parametrize(
    ("names", "number"),
    [
        ({}, ("", NONE)),
        ({"method": "moco+temperature=0.1"}, ("temperature", 0.1)),
        ({"method": "moco+head=linear+batch_size=64"}, ("batch_size", 64)),
        ({"transform": "cifar+random_grayscale=off"}, ("", NONE)),
        ({"transform": "cifar+random_grayscale=off+hue=0"}, ("hue", 0)),
        ({"transform": "cifar+hue=0.1", "method": "moco+temperature=0.1"}, ("", NONE)),
        ({"transform": "cifar+scale=[0.2,1.0]"}, ("", NONE)),
        ({"transform": "cifar+scale=[0.2,0.2]"}, ("scale", 0.2)),
    ],
)
def test_one_number_among_the_overrides_is_a_dimension(files, names, number):
    found = read([(run(**names), files["clusters"])])
    assert found["swept"].item() == number[0]
    assert found["at"].item() == pytest.approx(number[1], nan_ok=True)


def test_a_panel_has_all_metrics_of_its_files_and_the_changes_that_it_shows(files, tmp_path):
    other = tmp_path / "other.parquet"
    values.write(other, values.missing(["ami"], "no ImageNet weights"))
    each = [run("t"), run("t+hue=off")]
    found = of_panel(declared(each, "ami_change", base="transform"), [[files["clusters"], other]])
    assert list(found["metric"]) == ["ami", "ami", "ami_change", "ami_change"]
    assert list(found["reason"]) == [
        "",
        "no ImageNet weights",
        "the changes are counted from here",
        "no ImageNet weights",
    ]
    found = of_panel(declared(each[:1], "ami", "top1"), [[files["clusters"]], [files["probe"]]])
    assert list(found["metric"]) == ["ami", "top1", "accuracy", "accuracy"]
    with pytest.raises(UserError, match=r"no metric 'f1' in .*clusters\.parquet; delete"):
        of_panel(declared(each[:1], "f1"), [[files["clusters"]]])
    files["clusters"].write_text("[1]")
    with pytest.raises(UserError, match=r"clusters\.parquet: no table of values"):
        of_panel(declared(each[:1], "ami"), [[files["clusters"]]])


def test_a_panel_may_choose_values_of_any_dimension(files):
    each, measures = [run("one")], [[files["clusters"]], [files["probe"]]]
    found = of_panel(declared(each, "accuracy", "top1", "ami", where={"class": ["dog"]}), measures)
    # What has no class is not asked for it.
    assert found[["metric", "class"]].to_numpy().tolist() == [["ami", ""], ["top1", ""], ["accuracy", "dog"]]
    with pytest.raises(UserError, match=r"panel p_t: where\.class: nothing has 'dgo'; did you mean dog\?"):
        of_panel(declared(each, "accuracy", where={"class": ["cat", "dgo"]}), measures)
    scale = {"stand_ins": {"mnist": "digits"}}
    assert len(of_panel(declared(each, "ami", where={"dataset": ["mnist"]}, scale=scale), measures)) == 4


def test_numbers_are_chosen_as_numbers_and_what_could_not_be_measured_stays():
    doses = [record("one", 5, "ami_treated", at / 10, concentration=at) for at in (0.3, 1.0, 3.0)]
    failed = record("one", 6, "ami_treated", NONE, "collapsed")
    found = chosen(as_records([*doses, failed]), {"concentration": [1, "3"]}, "p")
    assert found["value"].dropna().tolist() == [0.1, 0.3]
    assert found["reason"].tolist() == ["", "", "collapsed"]
    with pytest.raises(UserError, match=r"nothing has '0\.5'; .*0\.3"):
        chosen(as_records(doses), {"concentration": [0.5]}, "p")
    with pytest.raises(UserError, match="nothing has 'high'"):
        chosen(as_records(doses), {"concentration": ["high"]}, "p")
    # Nothing can be known of a dimension that no measure came to have.
    assert len(chosen(as_records([failed]), {"concentration": [0.5]}, "p")) == 1


def test_changes_are_to_the_run_of_the_same_seed_without_overrides():
    of = {("t", 5): 0.5, ("t+a=1", 5): 0.6, ("t", 6): 0.1, ("t+a=1+b=off", 6): 0.4, ("t+a=1", 7): 0.9}
    lines = [record(t, seed, "ami", value) for (t, seed), value in of.items()]
    lines += [record("t", 8, "ami", math.nan, "no"), record("t+a=1", 8, "ami", 1)]
    found = changes(as_records(lines), "transform").set_index(["transform", "seed"])
    assert set(found["metric"]) == {"ami_change"}
    assert found["value"].dropna().to_dict() == pytest.approx({("t+a=1", 5): 0.1, ("t+a=1+b=off", 6): 0.3})
    assert found.loc[("t+a=1", 7), "reason"] == "t of the same seed has no ami"
    assert found.loc[("t+a=1", 8), "reason"] == "t of the same seed has no ami"
    assert found.loc[("t", 5), "reason"] == "the changes are counted from here"
    assert found.loc[("t+a=1", 5), "reason"] == ""


def test_changes_are_made_within_every_other_dimension():
    lines = [
        record(t, 5, "accuracy", value, **{"class": name, "correct": 1, "of": 2})
        for t, found in {"t": {"cat": 50, "dog": 70}, "t+a=1": {"cat": 60, "dog": 40}}.items()
        for name, value in found.items()
    ]
    found = changes(as_records(lines), "transform").set_index(["transform", "class"])
    assert found["value"].dropna().to_dict() == {("t+a=1", "cat"): 10, ("t+a=1", "dog"): -30}
    assert found[["correct", "of"]].isna().all(axis=None)


def test_why_a_run_has_no_value():
    found = as_records([record("one", 5, "ami", 0.5), record("two", 5, "ami", NONE, "collapsed")])
    assert of_run(found, run("one"))["value"].tolist() == [0.5]
    assert why_none(of_run(found, run("two"))) == "collapsed"
    assert why_none(found) == ""


def test_published_values_of_one_panel():
    table = printed("no_free_lunch_table7").set_index(["method", "backbone"])["value"]
    expected = {
        ("byol", "vgg11"): 61.3,
        ("byol", "resnet18"): 62.5,
        ("byol", "convnext_tiny"): 51.6,
        ("moco", "vgg11"): 62.1,
        ("moco", "resnet18"): 63.8,
        ("moco", "convnext_tiny"): 58.7,
    }
    assert table.to_dict() == expected
    one = printed("no_free_lunch_table1")
    assert len(one) == 20
    assert set(one["n_seeds"]) == {5}
    assert len(printed("no_free_lunch_table2")) == 60
    assert printed("no_free_lunch_figure1").empty


def test_published_numbers_are_those_of_the_transcribed_tables(root, shared_data):
    for number in range(1, 8):
        source = shared_data.parent / "papers" / "published" / f"no-free-lunch.table{number}.csv"
        if not source.is_file():
            pytest.skip(f"no transcribed tables at {source.parent}")
        ours = printed(f"no_free_lunch_table{number}")
        assert sorted(ours["value"]) == sorted(pd.read_csv(source)["value"])
        assert not ours.duplicated([*AXES, "metric", "swept", "regime", "property", "at_least"]).any()


def test_titles_tell_what_differs():
    panel = {
        "runs": {"dataset": ["d"], "transform": ["t"], "method": ["moco", "byol"], "backbone": ["vgg11"]},
        "each": grid(["d"], ["t"], ["moco", "byol"], seeds=[5]),
        "labels": {"moco": "MoCo v2+", "byol": "BYOL", "vgg11": "VGG11", "d": "d", "t": "t"},
    }
    assert titles(panel) == ["MoCo v2+", "BYOL"]


def test_class_names_in_the_order_of_labels(tmp_path):
    pd.DataFrame({"label": [2, 0, 1, 0], "class": ["c", "a", "b", "a"]}).to_parquet(tmp_path / "index.parquet")
    assert class_names(tmp_path / "index.parquet") == ["a", "b", "c"]


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
        theirs = pd.read_csv(source, dtype=str, keep_default_na=False)
        theirs = theirs[theirs["value"] != "NA"]
        ours = printed(f"single_cell_table{number}")
        assert len(ours) == len(theirs)
        lines = ours.set_index(["transform", "method", "backbone", "postprocessing", "metric"])
        assert lines.index.is_unique
        for line in theirs.to_dict("records"):
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
