"""Draws docs/page.png: the page of a finished demo in a browser, at the panel that its README shows.

python docs/page.py results/demo/report
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PANEL = "panels/no_free_lunch_table1.html"
PICTURE = Path(__file__).with_suffix(".png")


def draw(folder: Path, picture: Path = PICTURE) -> None:
    """Write the picture of the page that lies in `folder`."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 820}, color_scheme="light")
        page.goto(f"{folder.resolve().as_uri()}/{PANEL}")
        page.locator("#numbers button").first.hover()
        page.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
