"""What a panel declares, and what it makes of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from phenoviews.errors import UserError
from phenoviews.panels.figures import FIGURES
from phenoviews.study import Study, merge
from phenoviews.study.document import shipped
from phenoviews.study.metrics import DIMENSIONS, METRICS, RUN, SWEPT
from phenoviews.study.panel import OF_PLOT, PLOTS, Panel
from phenoviews.study.schema import schema


@pytest.fixture(scope="module")
def study() -> Study:
    return Study(shipped())


def test_the_schema_knows_the_metrics_and_dimensions_of_the_one_list():
    defined = schema()["$defs"]
    assert defined["metric"]["enum"] == list(METRICS)
    assert defined["dimension"]["enum"] == list(DIMENSIONS)
    assert defined["key"]["enum"] == ["metric", *DIMENSIONS]


def test_every_plot_has_its_figure():
    assert set(PLOTS) == set(FIGURES) == set(schema()["$defs"]["table_or_figure"]["properties"]["plot"]["enum"])


@pytest.mark.parametrize(
    ("key", "value", "plot"),
    [
        ("images", 5, "nearest"),
        ("channels", {"DNA": "blue"}, "nearest"),
        ("highlight", ["3"], "curves"),
        ("randomised", "vgg11", "doses"),
    ],
)
def test_what_another_kind_of_panel_reads_is_refused(key, value, plot):
    runs = {"dataset": "mnist", "transform": "mnist_first", "method": "moco", "backbone": "vgg11"}
    table = {"title": "T", "runs": runs, "metrics": ["top1"], "rows": ["method"], "columns": ["metric"]}
    for panel in (table, {"title": "T", "runs": runs, "plot": "tsne", "clusters": 10}):
        config = merge(shipped(), {"panels": {"mine": {"one": {**panel, key: value}}}})
        with pytest.raises(UserError, match=rf"config: panels\.mine\.one: `{key}` is of a figure with `plot: {plot}`"):
            Study(config)


def test_every_kind_of_figure_is_in_the_documents_with_its_keys():
    text = (Path(__file__).parents[2] / "docs/study.md").read_text()
    lines = text.partition("<!-- plots -->")[2].partition("<!-- /plots -->")[0].strip().splitlines()[2:]
    rows = [[re.findall(r"`(\w+)`", cell) for cell in line.strip("|").split("|")] for line in lines]
    told = {plot: (set(needs), set(own)) for (plot,), _, needs, own in rows}
    assert told == {
        plot: (
            {*of.needs, *(["clusters"] if Panel("p", "f", {"plot": plot}).measures_of_clusters else [])},
            {key for key, one in OF_PLOT.items() if one == plot} - {*of.needs},
        )
        for plot, of in PLOTS.items()
    }


@pytest.mark.parametrize(
    ("panel", "says"),
    [
        ({"plot": "nearest"}, "`images`, `columns`, `clusters` are missing; add them$"),
        ({"plot": "tsne", "metrics": ["ami"], "clusters": 10}, "`rows`, `columns` are missing; add them$"),
        ({"metrics": ["ami"], "rows": ["method"], "columns": ["metric"]}, "`clusters` is missing; add it$"),
    ],
)
def test_all_keys_that_are_missing_are_named_at_once(panel, says):
    runs = {"dataset": "mnist", "transform": "mnist_first", "method": "moco", "backbone": "vgg11"}
    with pytest.raises(UserError, match=rf"config: panels\.mine\.one: {says}"):
        Study(merge(shipped(), {"panels": {"mine": {"one": {"title": "T", "runs": runs, **panel}}}}))


@pytest.mark.parametrize("resize", ["refuse", "pad"])
def test_a_side_that_nothing_is_brought_to_is_refused(resize):
    entry = {"kind": "folder", "path": "x", "size": 32, "recipe": "cifar", "side": 64, "resize": resize}
    with pytest.raises(
        UserError, match=r"config: datasets\.mine\.side: is of `resize: shorter_side` and `resize: crop`"
    ):
        Study(merge(shipped(), {"datasets": {"mine": entry}}))
    Study(merge(shipped(), {"datasets": {"mine": {**entry, "resize": "crop"}}}))


def test_a_table_reads_the_measures_of_its_metrics_and_a_figure_those_that_it_draws():
    declared = {"metrics": ["ami", "top1", "silhouette"]}
    assert Panel("p", "t", declared).measures == ["clusters", "probe"]
    assert Panel("p", "f", {"plot": "tsne"}).measures == ["clusters"]
    figure = Panel("p", "f", {"plot": "treatments", "metrics": ["nsc", "map_moas"]})
    assert figure.metrics == ["nsc", "map_moas", "nscb"]
    assert figure.measures == ["scores", "structure"]
    assert (Panel("p", "f", {"plot": "tsne"}).has_numbers, figure.has_numbers) == (False, True)


def test_what_a_panel_is_told_of_metrics_is_of_those_that_it_shows(study):
    """Then another metric, or another word for one, draws only the panels anew that show it."""
    panel = study.panels["no_free_lunch_table7"]
    described = panel.described({})
    assert [metric["name"] for metric in described["metrics"]] == ["top1"]
    assert described["metrics"][0]["label"] == METRICS["top1"].label
    assert list(described["dimensions"]) == [*RUN, *SWEPT, "regime", "split"]
    declaration = study.declaration(panel)
    assert {key: declaration[key] for key in described} == described
    assert (declaration["where"], declaration["average"]) == ({}, [])
    json.dumps(declaration)
