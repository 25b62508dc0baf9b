"""The page says what the panels' own files say."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests.panels.conftest import declared, grid
from tests.report import made_up
from tests.report.conftest import built
from tests.report.made_up import AUDITED

from phenoviews.cells import quality
from phenoviews.errors import UserError
from phenoviews.report import runs, screens
from phenoviews.report.found import Found, failed_in, read
from phenoviews.report.panels import called


class Tables(HTMLParser):
    """The cells of every table, by its id or number: rows of (classes, text without footnote marks)."""

    def __init__(self, text: str):
        super().__init__()
        self.tables: dict[str, list[list[tuple[str, str]]]] = {}
        self.rows: list[list[tuple[str, str]]] = []
        self.cell, self.mark = False, False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "table":
            self.rows = self.tables.setdefault(given.get("id") or str(len(self.tables)), [])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append((given.get("class") or "", ""))
            self.cell = True
        elif tag == "sup":
            self.mark = True

    def handle_endtag(self, tag):
        self.cell = self.cell and tag not in ("td", "th")
        self.mark = self.mark and tag != "sup"

    def handle_data(self, data):
        if self.cell and not self.mark:
            kind, text = self.rows[-1][-1]
            self.rows[-1][-1] = kind, text + data


def script(file: Path):
    """The data that a script gives."""
    return json.loads(re.fullmatch(r"phenoviews\.give\(\"[^\"]+\",(.*)\);\n", file.read_text(), re.DOTALL)[1])


def test_every_number_is_the_one_in_the_panels_own_files(page, told):
    files = told["panels"][0]["files"]
    shown = Tables((page / "panels/p_table1.html").read_text()).tables["numbers"][2:]
    lines = [
        line.strip("|").split(" | ") for line in Path(files["md"]).read_text().splitlines() if line.startswith("|")
    ]
    plain = [[re.sub(r"<sup>.*?</sup>", "", cell).replace("\\", "").strip() for cell in line] for line in lines]
    table = pd.read_csv(files["csv"])
    assert len(shown) == len(table) == 2
    for row, of, (_, line) in zip(shown, plain[2:4], table.iterrows(), strict=True):
        texts = [" ".join(text.split()) for _, text in row]
        assert texts[:3] == of[:3]  # the transform, ours, the published one
        assert texts[3] == f"{line['difference']:+.2f}"
        assert [kind.split()[-1] for kind, _ in row[1:]] == ["ours", "published", "difference"]


def test_behind_a_number_are_the_runs_of_its_sources_with_their_values(page, told):
    data = script(page / "data/panels/p_table1.js")
    table = pd.read_csv(told["panels"][0]["files"]["csv"])
    for line, (_, row) in zip(data["lines"], table.iterrows(), strict=True):
        valued = {str(data["runs"][place]["seed"]): data["runs"][place] for place in line["runs"]}
        assert list(line["values"]) == row["seeds"].split()
        assert line["mean"] == pytest.approx(sum(line["values"].values()) / row["n"])
        for seed, source in zip(row["seeds"].split(), row["sources"].split(), strict=True):
            assert f"/runs/{valued[seed]['name']}/measures/" in source
            assert valued[seed]["seconds"] == 15
            assert valued[seed]["commit"] == "0123456789ab"


def test_the_sheet_has_every_verdict_of_the_panels(page, told):
    sheet = pd.read_csv(page / "verdicts.csv")
    claims = pd.read_csv(told["panels"][0]["files"]["claims"]).drop_duplicates("claim")
    assert sheet[["paper", "panel", "claim", "verdict"]].to_numpy().tolist() == [
        ["p", "table1", claim, verdict] for claim, verdict in claims[["claim", "verdict"]].to_numpy()
    ]
    assert (sheet["note"] == made_up.NOTE).all()
    shown = Tables((page / "index.html").read_text()).tables["claims"][1]
    assert [text for _, text in shown][:3] == ["P.T1.c1", "table1", claims["verdict"][0]]
    markdown = (Path(told["results"]) / "verdicts.md").read_text()
    assert f"| P.T1.c1 | {claims['verdict'][0]} |" in markdown


def test_a_study_without_claims_begins_with_its_panels(tmp_path):
    told = made_up.study(tmp_path / "results" / "own")
    for panel in told["panels"]:
        file = Path(panel["files"]["json"])
        file.write_text(json.dumps({**json.loads(file.read_text()), "verdicts": []}))
    folder = built(told)
    first = (folder / "index.html").read_text()
    assert all(f'<a href="panels/{panel["name"]}.html">' in first for panel in told["panels"])
    assert "Claims by verdict" not in first
    assert (Path(told["results"]) / "verdicts.md").read_text() == "No panel at demo scale makes a claim.\n"


def test_what_stands_in_names_is_text(page):
    text = (page / "panels/p_table1.html").read_text()
    assert "First &lt;b&gt;set&lt;/b&gt;" in text
    assert "What &lt;is&gt; kept" in text
    assert "<em>caption</em>" in text  # of reStructuredText


def test_a_run_that_collapsed_is_marked_where_it_did(page):
    listed = script(page / "data/runs.js")
    place = {column: at for at, column in enumerate(listed["columns"])}
    failed = [row for row in listed["rows"] if row[place["failed"]]]
    assert [(row[place["transform"]], row[place["seed"]], row[place["epochs"]]) for row in failed] == [("two", 7, 4)]
    group = script(page / f"data/runs/{failed[0][place['group']]}.js")
    assert group["runs"]["7"]["failed_in"] == 3
    assert group["runs"]["5"]["failed_in"] is None
    assert group["runs"]["5"]["history"]["loss"] == [5, 2.5, 1.66667, 1.25, 1, 0.833333]
    assert "ami" not in group["runs"]["5"]["history"]
    assert [view["label"] for view in group["views"]] == ["As they are"]
    assert (page / group["views"][0]["file"]).exists()
    assert failed_in("finished") is None


def test_every_link_leads_somewhere(page):
    for file in page.rglob("*.html"):
        for target in re.findall(r"(?:href|src)=\"([^\"#]+)(?:#[^\"]*)?\"", file.read_text()):
            assert target.startswith("data:") or (file.parent / target).exists(), f"{file}: {target}"
            assert "//" not in target  # nothing from a network


def test_a_page_that_cannot_be_made_leaves_the_one_that_was_there(tmp_path):
    told = made_up.study(tmp_path / "results" / "demo")
    folder = built(told)
    before = (folder / "index.html").read_text()
    Path(told["panels"][1]["files"]["png"]).unlink()
    with pytest.raises(UserError, match=r"figure1\.png: is not there"):
        built(told)
    assert (folder / "index.html").read_text() == before
    (Path(told["results"]) / "runs/digits/one/moco/vgg11/seed5/run.yaml").write_text("outcome: finished\n")
    with pytest.raises(UserError, match=r"seed5/run\.yaml: is no run\.yaml of a run"):
        built(told)


def test_a_study_that_is_not_done_says_how_many_runs_there_are(tmp_path):
    told = made_up.study(tmp_path / "results" / "demo")
    (Path(told["results"]) / "runs/digits/one/moco/vgg11/seed5/run.yaml").unlink()
    text = " ".join((built(told) / "panels/p_table1.html").read_text().split())
    assert "5 of 6 runs, 1 collapsed" in text


def test_runs_of_a_line():
    """A sweep's line is of all the values that are swept; a plain one of the very names."""
    each = [
        {**run, "swept": "hue", "at": at} for at in (0.1, 0.2) for run in grid(transform=[f"one+hue={at}"], seeds=[5])
    ]
    lines = [
        {"dataset": "digits", "transform": "one", "method": "moco", "backbone": "vgg11", "metric": "opposed"},
        {"dataset": "digits", "transform": "one+hue=0.2", "method": "moco", "metric": "ami"},
        {"dataset": "digits", "transform": "one", "method": "moco", "metric": "ami"},
    ]
    panel = {"document": {**declared(each, "ami", "opposed"), "lines": lines}}
    found = Found({}, {"p": panel}, {}, [])
    names = [f"digits/one+hue={at}/moco/vgg11/seed5" for at in (0.1, 0.2)]
    assert found.of_lines(panel) == [names, names[1:], []]


def test_settings_are_compared_leaf_by_leaf():
    sets = [{"weight": 1.0, "views": [[{"random_rotation": {"degrees": 90}}, {"normalize": {}}], [{"normalize": {}}]]}]
    assert runs.settings({"transform": {"sets": sets}, "lr": 0.1, "none": None}) == {
        "transform.sets.1.weight": "1.0",
        "transform.sets.1.views.1": "random_rotation degrees=90 → normalize",
        "transform.sets.1.views.2": "normalize",
        "lr": "0.1",
        "none": "null",
    }


def test_a_plate_as_a_map_of_its_wells(told):
    table = quality.read(told["screens"]["screen"]["plates"][0]["qc"])
    wells = screens.by_well(table)
    assert wells["count"].to_dict() == {"A01": 13, "A02": 23, "B01": 33, "H12": 42}  # of H12 the field that can be read
    assert wells["flagged"].to_dict() == {"A01": 0, "A02": 1, "B01": 0, "H12": 1}
    shown = screens.plate_map(table, "count")
    assert [len(shown["rows"]), len(shown["columns"])] == [8, 12]
    cells = {(letter, at): cell["text"] for letter, row in shown["rows"] for at, cell in enumerate(row, 1) if cell}
    assert cells == {("A", 1): "13", ("A", 2): "23", ("B", 1): "33", ("H", 12): "42"}
    assert [shown["rows"][0][1][0]["shade"], shown["rows"][7][1][11]["shade"]] == [0, 9]


@pytest.mark.parametrize(
    ("last", "size"), [("I01", (16, 24)), ("A13", (16, 24)), ("Q01", (32, 48)), ("AF48", (32, 48))]
)
def test_a_map_is_as_large_as_its_plate(told, last, size):
    table = quality.read(told["screens"]["screen"]["plates"][0]["qc"])
    shown = screens.plate_map(table.replace({"Metadata_Well": {"H12": last}}), "focus")
    assert (len(shown["rows"]), len(shown["columns"])) == size
    named = screens.plate_map(table.replace({"Metadata_Well": {"H12": "corner"}}), "focus")
    assert named["columns"] == ["A01", "A02", "B01", "corner"]


@pytest.mark.parametrize(
    ("item", "words"), [("table1", "Table 1"), ("figure10", "Figure 10"), ("random_start", "Random start")]
)
def test_what_a_panel_is_called(item, words):
    assert called(item) == words


def test_what_is_read_of_runs(told):
    found = read(told)
    assert len(found.runs) == 6
    assert {run.group for run in found.runs.values()} == {"digits/one/moco/vgg11", "digits/two/moco/vgg11"}
    assert found.panels_of["digits/one/moco/vgg11"] == ["p_table1", "p_figure1"]
    assert found.label("method", "moco+temperature=0.1") == "MoCo v2+, temperature = 0.1"


def test_an_audit_is_what_its_own_files_say(audited):
    folder = audited.parent / "panels/p"
    text = (audited / "panels/p_audit.html").read_text()
    table = pd.read_csv(folder / "audit.csv", keep_default_na=False)
    said = Tables(text).tables
    effects = {row[0][1]: [text for _, text in row[1:]] for row in said["0"][1:]}
    assert [*effects] == ["the set itself", "without color_jitter.hue", *[*effects][2:]]
    of = table[(table["metric"] == "") & (table["outcome"] == "all")].set_index("setting")
    hue = of.loc["mine+hue=0.0"]
    reach = (float(hue["high"]) - float(hue["low"])) / 2
    assert effects["without color_jitter.hue"][:2] == [f"{hue['mean']:.1f}", f"{hue['change']:+.1f} ± {reach:.1f}"]
    assert effects["without color_jitter.hue"][3] == "better"
    heat = {row[0][1]: row[1:] for row in said["1"][1:]}
    assert [cell for _, cell in said["1"][0]] == ["Change", "cat", "dog", "<retina>"]
    of_classes = table[(table["metric"] == "") & table["outcome"].isin(["cat", "dog", "<retina>"])]
    for line, setting in (("without color_jitter.hue", "mine+hue=0.0"), ("without random_rotation", AUDITED[1])):
        lines = of_classes[of_classes["setting"] == setting]
        assert [cell for _, cell in heat[line]] == [f"{change:+z.1f}" for change in lines["change"]]
        shown = {"": "noise", "gains": "gain", "loses": "loss"}
        for (kind, _), verdict in zip(heat[line], lines["verdict"], strict=True):
            assert shown[verdict] in kind
    assert f">{html.escape((folder / 'audit.yaml').read_text())}</pre>" in text.replace("&#39;", "&#x27;")
    assert "It took 16 trainings and 0.067 hours of training, on cpu (AVX2, 1 threads)." in text


def test_an_audit_that_looked_early_tells_its_looks_and_what_shorter_trainings_would_say(tmp_path):
    told = made_up.audited(tmp_path / "results" / "demo", early=True)
    folder = tmp_path / "results/demo/panels/p"
    page = built(told)
    text = (page / "panels/p_audit.html").read_text()
    assert (
        "looked at after 3 and 4 seeds, as fixed beforehand, and of the error of 5 % it spent 4.14 and 0.86 %" in text
    )
    assert "15 of 16 trainings were made" in text
    rows = [[cell for _, cell in row] for of in Tables(text).tables.values() for row in of]
    assert ["3", "4.14 %", "1"] in rows
    assert ["4", "0.86 %", "0"] in rows
    (brightness, *_) = [row for row in rows if row[0] == "without color_jitter.brightness"]
    assert brightness[-1] == "worse after 3 seeds"
    table = pd.read_csv(folder / "audit.csv", keep_default_na=False).set_index(["setting", "metric", "outcome"])
    assert table.loc[("mine+brightness=0.0", "", "all"), ["look", "trainings"]].tolist() == [3, 3]
    assert table.loc[("mine+hue=0.0", "", "all"), "look"] == 4
    assert ["without color_jitter.hue", "+20.0"] in [row[:2] for row in rows]  # 70 - 50 after two epochs
    assert "whose steps depend on its length (cosine rate)" in text
    lengths = pd.read_csv(folder / "audit.lengths.csv")
    assert lengths["epochs"].tolist() == [2, 6]
    assert (page / "files/p/audit.lengths.csv").exists()


def test_an_audit_that_searched_tells_round_by_round_what_it_tried_and_what_new_seeds_say(tmp_path):
    told = made_up.audited(tmp_path / "results" / "demo", searching=True)
    folder = tmp_path / "results/demo/panels/p"
    page = built(told)
    text = (page / "panels/p_audit.html").read_text()
    table = pd.read_csv(folder / "audit.search.csv", keep_default_na=False)
    assert table["setting"].tolist() == made_up.SEARCHED
    assert table["failed"].tolist() == ["", "collapsed in epoch 3, spread 0.0001"]
    assert table["candidate"].tolist() == [True, False]
    assert table["verdict"].tolist() == ["better", ""]
    found = float(table["change"].iloc[0])
    (rows,) = [of for of in Tables(text).tables.values() if of[0][0][1] == "Round"]
    assert [[cell for _, cell in row][:5] for row in rows[1:]] == [
        ["1", "1", "0", f"{found:+.1f}", f"{found:+.1f}"], ["2", "1", "1", "", f"{found:+.1f}"],
    ]  # fmt: skip
    assert "The search recommends mine+degrees=15.0+hue=0.0 in place of mine." in text
    assert f"{made_up.SEARCHED[1]} failed: collapsed in epoch 3" in text
    # Its set stands beside that of the parts, with what it was judged at.
    pasted = yaml.safe_load((folder / "audit.yaml").read_text())["transforms"]
    assert [*pasted] == ["p_recommended", "p_found"]
    assert pasted["p_found"][1] == {"random_rotation": {"degrees": 15.0}}
    assert "3 seeds that the search has not seen" in (folder / "audit.yaml").read_text().replace("\n  # ", " ")
    assert (page / "files/p/audit.search.csv").exists()
    # The trainings of the search, and those with new seeds, are among its runs.
    assert "It took 27 trainings" in text


def test_operations_alone_are_told_where_no_change_of_the_set_was_tried(tmp_path):
    told = made_up.audited(tmp_path / "results" / "demo", by_itself=True)
    folder = built(told)
    text = (folder / "panels/p_audit.html").read_text()
    assert "no change of the set was tried, as tries says, so nothing is recommended" in text
    assert "Against the set itself" not in text
    assert "Opposed pairs" not in text
    ((effects, classes),) = [re.findall(r"Against none of them.*?</table>|Each operation alone.*?</table>", text, re.S)]
    table = pd.read_csv(told["panels"][0]["files"]["csv"], keep_default_na=False)
    alone = table[table["against"] == "none"].set_index(["setting", "outcome"])
    jitter = alone.loc[("color_jitter", "all")]
    assert f"{jitter['mean']:.1f}<" in effects
    assert f">{jitter['verdict']}<" in effects
    assert f">{alone.loc[('color_jitter', '<retina>'), 'change'].item():+.1f}<" in classes
    assert alone.loc[("color_jitter", "<retina>"), "verdict"] == "gains"
    assert "no change of 'mine' was tried" in Path(told["panels"][0]["files"]["yaml"]).read_text()
    report = Path(told["panels"][0]["files"]["md"]).read_text()
    assert "Of 2 changes it cannot tell 1" in report
    assert "on all held-out images;" in report


def test_every_strength_of_an_audit_has_its_picture_trained_or_not(audited):
    text = (audited / "panels/p_audit.html").read_text()
    levels = [json.loads(html.unescape(of)) for of in re.findall(r"data-levels='([^']+)'", text)]
    assert [[level["times"] for level in of] for of in levels] == [[0, 0.5, 1], [0, 1], [0, 1]]
    pictures = {level["transform"]: (audited / level["file"]).read_bytes() for of in levels for level in of}
    assert len(set(pictures.values())) == 5
    assert "mine+degrees=15.0" in pictures
    assert text.count('src="../views/0/0-0.png"') == 1  # as they are, once


def test_an_audit_without_classes_or_pictures_has_a_page_too(tmp_path):
    told = {**made_up.audited(tmp_path / "results" / "demo"), "pictures": []}
    file = tmp_path / "results/demo/panels/p/audit.json"
    document = json.loads(file.read_text())
    for line in document["audit"]["settings"]:
        line["cells"] = []
    document["audit"] |= {"classes": [], "opposition": None, "trades": []}
    file.write_text(json.dumps(document))
    text = (built(told) / "panels/p_audit.html").read_text()
    assert "What each change does" in text
    assert "Who gains" not in text
    assert "What it looks like" not in text


def test_where_superclasses_are_judged_their_classes_are_told(tmp_path):
    told = made_up.audited(tmp_path / "results" / "demo", superclasses=True)
    table = pd.read_csv(tmp_path / "results/demo/panels/p/audit.csv", keep_default_na=False)
    judged, beside = (table[(table["metric"] == metric)] for metric in ("", "top1"))
    assert set(judged["outcome"]) == {"all", "pets", "organs"}
    assert set(beside["outcome"]) == {"all", "cat", "dog", "<retina>"}
    assert (beside["verdict"] == "").all()

    def mean(rows: pd.DataFrame, outcome: str) -> float:
        return rows.loc[(rows["setting"] == "mine+hue=0.0") & (rows["outcome"] == outcome), "mean"].item()

    assert mean(judged, "organs") == mean(beside, "<retina>")
    assert mean(judged, "pets") == pytest.approx((mean(beside, "cat") + mean(beside, "dog")) / 2, abs=1e-3)
    heads = [cell for _, cell in Tables((built(told) / "panels/p_audit.html").read_text()).tables["1"][0]]
    assert heads == ["Change", "pets", "organs"]
