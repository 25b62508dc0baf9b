"""The document: what is shipped, what is laid over it, what a user's changes."""

from __future__ import annotations

import copy
import re

import yaml

from phenoviews.study.document import merge, shipped


def test_snakemake_loads_what_is_shipped(root):
    """The Snakefile names the files; a file of config/panels/ that it does not name would be in no plan."""
    files = re.findall(r'^configfile: "(.+)"$', (root / "Snakefile").read_text(), flags=re.MULTILINE)
    document = {}
    for file in files:
        document = merge(document, yaml.safe_load((root / file).read_text()))
    assert len(files) > 1
    assert document == shipped()


def test_mappings_are_merged_key_by_key_and_everything_else_replaced():
    below = {"a": {"b": [1, 2], "c": 3}, "d": {"e": 4}, "f": 5}
    above = {"a": {"b": [6]}, "d": 7, "f": {"g": 8}, "h": 9}
    before = copy.deepcopy((below, above))
    merged = merge(below, above)
    assert merged == {"a": {"b": [6], "c": 3}, "d": 7, "f": {"g": 8}, "h": 9}
    merged["a"]["b"].append(10)
    merged["f"]["g"] = 11
    assert (below, above) == before
