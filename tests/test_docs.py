"""The documents say what the study has: docs/ambiguities.md every switch, the README whole studies."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from tests.documents import PAGES, examples

from phenoviews.study import Study
from phenoviews.study.document import merge, shipped
from phenoviews.study.schema import schema

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "ambiguities.md"
CITATION = re.compile(r"\b[AB]-[1-9]\d*\b")
IN_USE, IN_EFFECT, NOT_USED = STATUSES = ("in use", "in effect", "not used yet")
ABSENT = object()  # a value that the page does not say, or a setting that is not set


class Entry(NamedTuple):
    number: str
    title: str
    status: str
    fields: dict[str, str]


def entries() -> list[Entry]:
    parts = re.split(r"^### ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return [entry(part.split("\n## ")[0]) for part in parts]


def entry(part: str) -> Entry:
    number, title, *bullets = (" ".join(words.split()) for words in re.split(r"\n(?=\*\*|- )", part))
    title, status = re.fullmatch(r"\*\*(.+)\*\* \((.+)\)", title).groups()
    return Entry(number, title, status, dict(re.fullmatch(r"- (\w+): (.+)", bullet).groups() for bullet in bullets))


class Key(NamedTuple):
    """A setting, the value that the page says it is shipped with (if it says one), and other values of it."""

    path: str
    value: Any
    others: list[Any]


def keys(entry: Entry) -> list[Key]:
    """The settings among what an entry has in code under Switch."""
    found: list[Key] = []
    for span in code(entry, "Switch"):
        path, colon, value = span.partition(": ")
        if path.split(".")[0] in schema()["properties"]:
            found.append(Key(path, yaml.safe_load(value) if colon else ABSENT, []))
        elif "/" not in span:
            found[-1].others.append(yaml.safe_load(span))
    return found


def code(entry: Entry, field: str) -> list[str]:
    return re.findall(r"`([^`]+)`", entry.fields.get(field, ""))


def steps(config: Any, path: str) -> list[tuple[Any, Any]]:
    """[(container, key), …] along a dotted path; a pipeline's operation goes by its name."""
    found, place = [], config
    for word in path.split("."):
        if isinstance(place, list) and not word.isdigit():
            place = next(step for step in place if word in step)
        key = int(word) if isinstance(place, list) else word
        found.append((place, key))
        place = place[key] if isinstance(place, list) else place.get(key, ABSENT)
    return found


def lookup(config: Any, path: str) -> Any:
    place, key = steps(config, path)[-1]
    return place[key] if isinstance(place, list) else place.get(key, ABSENT)


ENTRIES = entries()


def each(entries: list[Entry]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("entry", entries, ids=[entry.number for entry in entries])


@pytest.fixture(scope="module")
def study() -> Study:
    return Study({**shipped(), "scale": "paper"})


def cited() -> dict[str, list[str]]:
    """Number → the files of the study that cite it."""
    found: dict[str, list[str]] = {}
    folders = [ROOT / name for name in ("config", "workflow", "resources")]
    files = [ROOT / "config.yaml", *(file for folder in folders for file in folder.rglob("*") if file.is_file())]
    for file in files:
        if "__pycache__" not in file.parts:
            for number in dict.fromkeys(CITATION.findall(file.read_text(errors="replace"))):
                found.setdefault(number, []).append(str(file.relative_to(ROOT)))
    return found


def test_what_is_cited_is_in_use_and_nothing_else():
    citations, status = cited(), {entry.number: entry.status for entry in ENTRIES}
    assert {number: files for number, files in citations.items() if status.get(number) != IN_USE} == {}
    assert [number for number in status if status[number] == IN_USE and number not in citations] == []


def test_every_number_has_one_entry_in_its_order_and_a_line_in_the_contents():
    numbers = [entry.number for entry in ENTRIES]
    last = {paper: max(int(number[2:]) for number in numbers if number[0] == paper) for paper in "AB"}
    assert numbers == [f"{paper}-{n}" for paper in "AB" for n in range(1, last[paper] + 1)]
    lines = re.findall(r"^\| \[(.+)\]\(#(.+)\) \| (.+) \| (.+) \|$", PAGE.read_text(), flags=re.MULTILINE)
    assert lines == [(entry.number, entry.number.lower(), entry.title, entry.status) for entry in ENTRIES]


@each(ENTRIES)
def test_an_entry_tells_what_is_open_what_was_chosen_why_and_what_switches_it(entry):
    assert [field for field in entry.fields if field != "Name"] == ["Open", "Chosen", "Why", "Switch"]
    assert entry.status in STATUSES
    switch = entry.fields["Switch"]
    if "none yet" in switch:
        assert entry.status == NOT_USED
    else:
        assert keys(entry) or "FIXED" in switch
    assert set(CITATION.findall(" ".join(entry.fields.values()))) <= {known.number for known in ENTRIES}


@each([entry for entry in ENTRIES if code(entry, "Switch")])
def test_the_settings_that_an_entry_names_are_there_with_the_values_that_it_says(entry, study):
    for key in keys(entry):
        shipped = lookup(study.config, key.path)
        assert shipped is not ABSENT or key.others, f"{key.path} is no setting"
        assert key.value is ABSENT or shipped == key.value, f"{key.path} is shipped as {shipped}"
    for file in (span for span in code(entry, "Switch") if "/" in span):
        assert (ROOT / file).exists()


@each([entry for entry in ENTRIES if any(key.others for key in keys(entry))])
def test_the_study_takes_the_other_values_that_an_entry_offers(entry, study):
    for key in keys(entry):
        for value in key.others:
            changed = copy.deepcopy(study.config)
            place, last = steps(changed, key.path)[-1]
            place[last] = value
            assert lookup(Study(changed).config, key.path) == value


@each([entry for entry in ENTRIES if "Name" in entry.fields])
def test_the_study_knows_the_names_that_an_entry_offers(entry, study):
    for name in code(entry, "Name"):
        base = name.split("+")[0]
        (section,) = (known for known in ("transforms", "backbones") if base in study.config[known])
        assert study.entry(section, name) != study.entry(section, base)


@pytest.mark.parametrize("page", sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")}), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("name", examples())
@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_a_configuration_in_the_documents_is_a_study_with_panels_of_its_own(name: str, scale: str):
    own = yaml.safe_load(examples()[name])
    study = Study({**merge(shipped(), own), "scale": scale}, shipped())
    panels = [f"{paper}_{item}" for paper, items in own["panels"].items() for item in items]
    for panel in panels:
        runs = study.runs(study.panels[panel])
        assert runs
        assert [study.resolve(study.on_disk(run)).seed for run in runs] == [run.seed for run in runs]


def test_every_key_of_an_audit_is_in_its_table_with_its_default():
    of = schema()["$defs"]["audit"]
    keys = {
        **of["properties"],
        **{f"search.{key}": one for key, one in of["properties"]["search"]["properties"].items()},
    }
    text = (ROOT / "docs/audit.md").read_text().partition("<!-- keys -->")[2].partition("<!-- /keys -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.strip().splitlines()[2:]]
    assert sorted(row[0].strip("`") for row in rows) == sorted(keys)
    for name, default, says in rows:
        declared = keys[name.strip("`")].get("default", ABSENT)
        assert says
        if declared is not ABSENT:
            assert yaml.safe_load(default.strip("`")) == declared, name
    assert {"start", *of["required"]} == set(re.findall(r"`(\w+)`", required_keys()))


def required_keys() -> str:
    (line,) = re.findall(r"^Required are .+$", (ROOT / "docs/audit.md").read_text(), flags=re.MULTILINE)
    return line


def test_every_study_in_the_documents_has_a_name():
    """The others are parts of an entry, and are tested where such entries are."""
    assert sorted(examples()) == [
        "audit",
        "cells",
        "given",
        "hue",
        "lab",
        "lengths",
        "mine",
        "mnist",
        "photos",
        "planted",
        "search",
        "sets",
        "sweep",
        "taxol",
        "treatments",
        "vit",
        "weeks",
        "wells",
    ]
    blocks = [block for page in PAGES for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)]
    assert [block for block in blocks if "panels:" in block and not re.match(r"# \w+\.yaml", block)] == []


def test_the_readme_is_short_and_has_two_pictures():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 120
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert len(pictures) == 2
    assert all((ROOT / picture).is_file() for picture in pictures)


def test_the_documentation_is_built_without_a_warning(tmp_path):
    """Its links and anchors lead somewhere, and every page is in the contents."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert "gather" in (tmp_path / "api.html").read_text()
    assert "A method" in (tmp_path / "contributing.html").read_text()
