"""What is published and claimed of a panel, each for its own panel only; the classes of a data set."""

from __future__ import annotations

import pytest

from phenoviews.errors import UserError
from phenoviews.study.document import ROOT
from phenoviews.study.panel import Panel
from phenoviews.study.resources import claims, classes, located, published

TABLE = Panel("mine", "table1", {})


@pytest.fixture
def folder(tmp_path):
    for name in ("published", "claims"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_values_are_those_of_the_panel_as_texts(folder):
    text = 'paper,panel,metric,value,note\nmine,table1,ami,0.50,"so, so"\nmine,table10,ami,0.6,\nmine,table1,top1,,\n'
    (folder / "published" / "mine.csv").write_text(text)
    assert published(TABLE, folder) == [
        {"paper": "mine", "panel": "table1", "metric": "ami", "value": "0.50", "note": "so, so"},
        {"paper": "mine", "panel": "table1", "metric": "top1", "value": "", "note": ""},
    ]


def test_claims_are_those_of_the_panel(folder):
    text = "mine_table1:\n  - {id: c1, says: It is so., holds: [ami > 0]}\nmine_table10:\n  - {id: c2}\n"
    (folder / "claims" / "mine.yaml").write_text(text)
    assert claims(TABLE, folder) == [{"id": "c1", "says": "It is so.", "holds": ["ami > 0"]}]


def test_a_paper_need_have_neither(folder):
    assert published(TABLE, folder) == []
    assert claims(TABLE, folder) == []
    (folder / "claims" / "mine.yaml").write_text("# none yet\n")
    assert claims(TABLE, folder) == []


def test_a_broken_file_of_claims_is_named_in_one_line(folder):
    (folder / "claims" / "mine.yaml").write_text("mine_table1: [\n- {id: c1\n")
    with pytest.raises(UserError, match=r"mine\.yaml: not YAML") as caught:
        claims(TABLE, folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("paper", "item"), [("no_free_lunch", "table2"), ("single_cell", "table1")])
def test_the_papers_tables_have_both(paper, item):
    panel = Panel(paper, item, {})
    assert {row["paper"] for row in published(panel)} == {paper}
    assert all(claim["id"] for claim in claims(panel))


def test_classes_are_words_and_comments_are_none(tmp_path):
    file = tmp_path / "classes.txt"
    file.write_text("# of somebody\nb c # and\n\n  a\n")
    assert classes(str(file)) == ["b", "c", "a"]


def test_imagenet100_has_100_classes(root):
    listed = classes(str(root / "resources" / "classes" / "imagenet100.txt"))
    assert len(listed) == 100
    assert all(name[0] == "n" and len(name) == 9 and name[1:].isdigit() for name in listed)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a b a c b", "names a, b twice"),
        ("a # b", "names 1 classes; at least two"),
        ("", "names 0 classes"),
        (None, "cannot be read .*; correct the key `classes`"),
    ],
)
def test_classes_that_are_none(tmp_path, text, reason):
    file = tmp_path / "classes.txt"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=f"classes.txt: {reason}"):
        classes(str(file))


def test_shipped_files_are_found_from_any_folder_and_the_users_own_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = "resources/classes/imagenet100.txt"
    assert located(file) == ROOT / file
    assert len(classes(file)) == 100
    assert str(located("resources/none.txt")) == "resources/none.txt"
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text("a b")
    assert classes(file) == ["a", "b"]
