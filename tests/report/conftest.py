from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.report import made_up

from phenoviews.report.page import write


@pytest.fixture(scope="session")
def told(tmp_path_factory) -> dict[str, Any]:
    return made_up.study(tmp_path_factory.mktemp("results") / "results" / "demo")


def built(told: dict[str, Any]) -> Path:
    """The folder of the page."""
    results = Path(told["results"])
    write(told, results / "report", {suffix: results / f"verdicts.{suffix}" for suffix in ("csv", "md")})
    return results / "report"


@pytest.fixture(scope="session")
def page(told) -> Path:
    return built(told)


@pytest.fixture(scope="session")
def audited(tmp_path_factory) -> Path:
    """The folder of the page of an audit."""
    return built(made_up.audited(tmp_path_factory.mktemp("audited") / "results" / "demo"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A real browser: $CHROMIUM, or the system's. Skips where there is none."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        pytest.skip("no Chromium here: install Debian's package chromium, or set CHROMIUM to its path")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()
