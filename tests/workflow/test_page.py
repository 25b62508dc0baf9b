"""The page of a study of one's own, from the command to the browser's file: what makes it again, and what it says."""

from __future__ import annotations

import pandas as pd
import pytest
import yaml
from tests.workflow.conftest import Project

PAGE = "results/own/report/index.html"
DIGITS = {"dataset": "digits", "transform": "mnist_first", "backbone": "vgg11"}
OWN = {
    "seeds": [5],
    "resources": {"threads": 1},
    "backbones": {"vgg11": {"width": 0.125}},
    "recipes": {"mnist": {"training": {"epochs": 1, "batch_size": 256}, "methods": {"moco": {"queue": 256}}}},
    "panels": {
        "mine": {
            "table1": {
                "title": "Digits",
                "runs": [{**DIGITS, "method": "moco"}, {**DIGITS, "transform": "plain", "method": "untrained"}],
                "metrics": ["ami"],
                "clusters": 10,
                "rows": ["transform", "method"],
                "columns": ["metric"],
            }
        }
    },
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A project whose page has been made, and what the command said."""
    project = Project(tmp_path_factory.mktemp("project"))
    (project.folder / "mine.yaml").write_text(yaml.safe_dump(OWN))
    finished = project.snakemake("--configfile", "mine.yaml", "--", "report_own")
    assert finished.returncode == 0, finished.stdout
    return project, finished.stdout


def test_the_command_ends_by_naming_the_page(done):
    """Which it made, or found made."""
    project, said = done
    again = project.snakemake("--configfile", "mine.yaml", "--", "report_own").stdout
    assert "Nothing to be done" in again
    for call in (said, again):
        assert call.strip().splitlines()[-1].endswith(f"on one page: {PAGE}")
    assert (project.folder / PAGE).exists()
    finished = project.snakemake("--configfile", "mine.yaml", "--", "mine_table1")
    assert PAGE not in finished.stdout  # which it did not make


def test_the_page_has_the_numbers_of_the_panel_and_the_views_of_the_training(done):
    folder = (done[0].folder / PAGE).parent
    text = (folder / "panels/mine_table1.html").read_text()
    table = pd.read_csv(done[0].folder / "results/own/panels/mine/table1.csv")
    for value in table["mean"]:
        assert f">{value:.2f} (1)</button>" in text
    assert "published" not in text
    group = (folder / "data/runs/0.js").read_text()
    assert '"state":"finished"' in group
    assert '"label":"Second view"' in group
    assert len(list((folder / "views/0").glob("*.png"))) == 3


def test_what_is_edited_makes_that_and_the_page_again(done):
    project, _ = done
    ask = ["--configfile", "mine.yaml", "--", "report_own"]
    assert project.planned(*ask) == {}
    style = project.folder / "workflow/scripts/phenoviews/report/static/page.css"
    text = style.read_text()
    style.write_text(text.replace("#ffffff", "#fffffe"))
    assert project.planned(*ask) == {"report_own": 1}
    style.write_text(text)
    titled = {**OWN, "panels": {"mine": {"table1": {**OWN["panels"]["mine"]["table1"], "title": "Two encoders"}}}}
    (project.folder / "mine.yaml").write_text(yaml.safe_dump(titled))
    assert project.planned(*ask) == {"mine_table1": 1, "report_own": 1}
    (project.folder / "mine.yaml").write_text(yaml.safe_dump(OWN))
    assert project.planned(*ask) == {}
