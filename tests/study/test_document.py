"""The document: what is shipped, what is laid over it, what a user's changes."""

from __future__ import annotations

import copy

import yaml

from phenoviews.study.document import ROOT, difference, merge, shipped, users


def test_what_is_shipped_is_the_study_and_the_panels_of_each_paper(root):
    files = [root / "config.yaml", *(root / "config" / "panels").glob("*.yaml")]
    assert len(files) > 2
    for file in files:
        assert difference(shipped(), yaml.safe_load(file.read_text())) == {}
    assert shipped()["panels"].keys() == {file.stem for file in files[1:]}


EXPLICIT = {"seeds": [5], "datasets": {"mine": {"kind": "digits"}}}


def test_what_is_explicit_is_the_users_also_where_it_says_what_is_shipped():
    below = {"seeds": [5], "scale": "demo", "datasets": {"digits": {"size": 32}}, "panels": {"paper": {}}, "scales": {}}
    document = merge(below, EXPLICIT)
    assert users(document, below, EXPLICIT) == ({**document, "scales": {}}, EXPLICIT)
    assert users(EXPLICIT, below, EXPLICIT) == (document, EXPLICIT)


def test_of_a_copy_the_users_is_what_was_changed_in_it():
    """As in a folder of the user's, or as a workflow that takes this one as a module has it; a key that was taken out
    stays out."""
    below = {
        "seeds": [5],
        "scale": "demo",
        "datasets": {"digits": {"size": 32, "fraction": 0.3}},
        "panels": {"paper": {}},
    }
    copied = {"seeds": [5], "scale": "demo", "datasets": {"digits": {"size": 28}}}
    document, said = users(copied, below, {})
    assert document == {**copied, "panels": below["panels"], "scales": {}}
    assert said == {"datasets": {"digits": {"size": 28}}}


def test_mappings_are_merged_key_by_key_and_everything_else_replaced():
    below = {"a": {"b": [1, 2], "c": 3}, "d": {"e": 4}, "f": 5}
    above = {"a": {"b": [6]}, "d": 7, "f": {"g": 8}, "h": 9}
    before = copy.deepcopy((below, above))
    merged = merge(below, above)
    assert merged == {"a": {"b": [6], "c": 3}, "d": 7, "f": {"g": 8}, "h": 9}
    merged["a"]["b"].append(10)
    merged["f"]["g"] = 11
    assert (below, above) == before


def test_config_yaml_alone_is_the_shipped_document():
    """As it is where Snakemake is called in the checkout: with what the scales make of panels."""
    document, said = users(yaml.safe_load((ROOT / "config.yaml").read_text()), shipped(), {})
    assert (document, said) == (shipped(), {})
