"""Draws a picture of a page in a browser: docs/page.png of a finished demo, docs/audit.png of an audit.

python docs/page.py results/demo/report
python docs/page.py results/own/report audit
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent


def table(page: Page) -> None:
    """At the panel that the README shows, one of its numbers pointed at."""
    page.locator("#numbers button").first.hover()


def audit(page: Page) -> None:
    """Where the effects of an audit begin."""
    page.get_by_role("heading", name="What each change does").evaluate("heading => heading.scrollIntoView()")


PICTURES = {
    "page": ("panels/no_free_lunch_table1.html", 820, table),
    "audit": ("panels/mine_audit.html", 640, audit),
}


def draw(folder: Path, name: str = "page", picture: Path | None = None) -> None:
    """Write the picture of this name of the page that lies in `folder`."""
    path, height, look = PICTURES[name]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": height}, color_scheme="light")
        page.goto(f"{folder.resolve().as_uri()}/{path}")
        look(page)
        page.screenshot(path=picture or HERE / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    draw(Path(sys.argv[1]), *sys.argv[2:3])
