"""The page in a real browser, opened as a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.report import made_up
from tests.report.conftest import built

PAGES = [
    "index.html",
    "panels.html",
    "panels/p_table1.html",
    "panels/p_figure1.html",
    "runs.html",
    "run.html#0.5",
    "run.html#0.5,1.7",
    "screens.html",
    "screens/screen-plate0.html",
    "provenance.html",
]


@pytest.fixture
def visit(chromium):
    """Open an address of a page, and see that nothing goes wrong on it."""
    contexts, problems = [], []

    def visit(folder: Path, path: str, **options):
        contexts.append(chromium.new_context(**options))
        opened = contexts[-1].new_page()
        opened.on("console", lambda message: problems.append(f"{path}: {message.text}"))
        opened.on("pageerror", lambda error: problems.append(f"{path}: {error}"))
        opened.on("requestfailed", lambda request: problems.append(f"{path}: {request.url}"))
        opened.goto(f"{folder.as_uri()}/{path}")
        return opened

    yield visit
    for context in contexts:
        context.close()
    assert problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_and_can_be_used_by_everybody(visit, page, path, scheme):
    from axe_playwright_python.sync_playwright import Axe

    opened = visit(page, path, color_scheme=scheme)
    if path.startswith("run"):
        opened.wait_for_selector("#runs tbody tr, #run table")
    assert opened.locator("h1").count() == 1
    found = Axe().run(opened, options={"preload": False}).response["violations"]  # it would fetch the style sheet
    assert [
        f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in ("serious", "critical")
    ] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_audit_opens_and_can_be_used_by_everybody(visit, audited, scheme):
    from axe_playwright_python.sync_playwright import Axe

    opened = visit(audited, "panels/p_audit.html", color_scheme=scheme)
    found = Axe().run(opened, options={"preload": False}).response["violations"]
    assert [
        f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in ("serious", "critical")
    ] == []


def test_a_slider_shows_the_views_of_each_strength(visit, audited):
    opened = visit(audited, "panels/p_audit.html")
    slider, view = opened.get_by_label("random_rotation", exact=True), opened.locator("#view0")
    assert slider.get_attribute("aria-valuetext") == "as in the set"
    at_first = view.get_attribute("src")
    slider.focus()
    opened.keyboard.press("ArrowLeft")
    assert slider.get_attribute("aria-valuetext") == "at half of it"
    assert view.get_attribute("alt").endswith("random_rotation at half of it")
    opened.keyboard.press("ArrowLeft")
    assert opened.locator("output[for=strength0]").inner_text() == "without it"
    assert view.get_attribute("src") != at_first
    assert view.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64


def test_the_set_is_copied(visit, audited):
    opened = visit(audited, "panels/p_audit.html", permissions=["clipboard-read", "clipboard-write"])
    opened.get_by_role("button", name="Copy").click()
    opened.wait_for_function("document.getElementById('copied').textContent")
    said = opened.locator("#copied").inner_text()
    copied = (
        opened.evaluate("navigator.clipboard.readText()")
        if said.startswith("Copied")
        else opened.evaluate("String(getSelection())")
    )
    pasted = yaml.safe_load(copied)
    assert pasted == yaml.safe_load((audited.parent / "panels/p/audit.yaml").read_text())
    assert {"random_rotation": {"degrees": 30}} in pasted["transforms"]["p_recommended"]


def test_claims_sort_and_filter(visit, tmp_path, monkeypatch):
    claims = [{"id": f"P.T1.c{n}", "says": f"Claim {n}.", "holds": [f"ami of one > 0.{n}"]} for n in (1, 9, 5)]
    monkeypatch.setattr(made_up, "CLAIMS", claims)
    opened = visit(built(made_up.study(tmp_path / "results" / "demo")), "index.html")

    def shown() -> list[str]:
        return [row.inner_text() for row in opened.locator("#claims tbody tr:visible th").all()]

    assert shown() == ["P.T1.c1", "P.T1.c9", "P.T1.c5"]
    head = opened.locator("#claims thead th", has_text="Mean margin")
    head.locator("button").focus()
    opened.keyboard.press("Enter")
    assert shown() == ["P.T1.c9", "P.T1.c5", "P.T1.c1"]
    assert head.get_attribute("aria-sort") == "ascending"
    opened.keyboard.press("Enter")
    assert shown() == ["P.T1.c1", "P.T1.c5", "P.T1.c9"]
    opened.locator("select[name=verdict]").select_option("contradicted")
    assert shown() == ["P.T1.c9"]
    assert opened.locator("output").inner_text() == "1 of 3 claims"
    opened.locator("select[name=verdict]").select_option("")
    opened.get_by_label("Find").fill("t1.c5")
    assert shown() == ["P.T1.c5"]


def test_behind_a_number(visit, page):
    opened = visit(page, "panels/p_table1.html")
    number = opened.locator("#numbers tbody tr").nth(1).locator("button")
    number.focus()
    opened.keyboard.press("Enter")
    opened.wait_for_selector("dialog[open] table")
    said = opened.locator("dialog").inner_text()
    assert number.inner_text() in said
    assert "2 of 3 runs with a number." in said
    assert "collapsed in epoch 3" in said
    rows = opened.locator("dialog tbody tr")
    assert [row.locator("td").nth(0).inner_text() for row in rows.all()] == ["0.7", "0.713", "—"]
    opened.keyboard.press("Escape")
    assert not opened.locator("dialog").is_visible()
    number.click()
    rows.nth(2).get_by_role("link").click()
    opened.wait_for_selector("#run svg")
    assert opened.locator("h1").inner_text() == "digits/two/moco/vgg11/seed7"


def test_two_runs_side_by_side(visit, page):
    opened = visit(page, "runs.html")
    opened.wait_for_selector("#runs tbody tr")
    opened.get_by_label("Compare digits/one/moco/vgg11/5").check()
    opened.get_by_label("Compare digits/two/moco/vgg11/7").check()
    opened.get_by_role("link", name="Side by side").click()
    opened.wait_for_selector("#run svg")
    assert opened.locator("h1").inner_text() == "digits/one/moco/vgg11/seed5 beside digits/two/moco/vgg11/seed7"
    loss = opened.get_by_role("img", name="Loss.").get_attribute("aria-label")
    assert "digits/one/moco/vgg11/seed5: from 5 in epoch 0 to 0.8333 in epoch 5" in loss
    assert "digits/two/moco/vgg11/seed7: from 5 in epoch 0 to 1.25 in epoch 3" in loss
    seen = opened.get_by_role("img", name="kNN accuracy").get_attribute("aria-label")
    assert "seed5: from 30 in epoch 1 to 70 in epoch 5" in seen
    assert "seed7: from 30 in epoch 1 to 50 in epoch 3" in seen
    assert opened.locator("svg .end-text").first.text_content() == "collapsed"
    changed = [row.locator("th").inner_text() for row in opened.locator("tr.changed").all()]
    assert changed == ["transform.name", "seed"]
    assert opened.get_by_role("img", name="As they are").count() == 2


def test_a_list_of_thousands_shows_some_and_finds_all(visit, tmp_path):
    transforms = ("one", "two", *(f"one+hue={at}" for at in range(300)))
    page = built(made_up.study(tmp_path / "results" / "demo", transforms=transforms))
    opened = visit(page, "runs.html")
    opened.wait_for_selector("#runs tbody tr")
    assert opened.locator("#runs tbody tr").count() == 100
    assert opened.locator("output").inner_text() == "906 runs"
    opened.get_by_role("button", name="Show more").click()
    assert opened.locator("#runs tbody tr").count() == 200
    opened.get_by_label("Find").fill("hue=299")
    assert opened.locator("#runs tbody tr").count() == 3
    opened.get_by_label("Find").fill("")
    opened.get_by_label("State").select_option("failed")
    assert opened.locator("#runs tbody tr").count() == 1
    opened.get_by_label("State").select_option("")
    opened.locator("#runs thead th", has_text="Last loss").get_by_role("button").click()
    opened.locator("#runs thead th", has_text="Last loss").get_by_role("button").click()
    assert opened.locator("#runs tbody tr").first.locator("td.failed").inner_text().startswith("collapsed")


def test_the_theme_is_kept_from_page_to_page(visit, page):
    opened = visit(page, "index.html", color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert opened.evaluate(ground) == "rgb(255, 255, 255)"
    button = opened.get_by_role("button", name="Theme")
    button.click()
    button.click()
    assert button.inner_text() == "Theme: dark"
    opened.get_by_role("link", name="Panels").click()
    opened.wait_for_url("**/panels.html")
    opened.wait_for_load_state()
    assert opened.evaluate(ground) == "rgb(20, 23, 27)"


def test_it_prints_without_what_is_for_the_screen(visit, page):
    opened = visit(page, "index.html")
    opened.emulate_media(media="print")
    assert not opened.get_by_role("navigation").is_visible()
    assert opened.locator("#claims").is_visible()
    assert len(opened.pdf()) > 1000
