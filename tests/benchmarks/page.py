"""The page of a study of thousands of runs: seconds to build it, its size, and seconds until a browser shows the list.

python tests/benchmarks/page.py [--runs 5000] [--plates 55]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "workflow" / "scripts")]

from playwright.sync_api import sync_playwright  # noqa: E402
from tests.report import made_up  # noqa: E402

from phenoviews.report.page import write  # noqa: E402

SEEDS = (5, 6, 7, 8, 9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--plates", type=int, default=55)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results" / "demo"
        transforms = ("one", "two", *(f"one+hue={at}" for at in range(asked.runs // len(SEEDS) - 2)))
        told = made_up.study(results, SEEDS, transforms, asked.plates)
        begin, cpu = time.monotonic(), time.process_time()
        write(told, results / "report", {suffix: results / f"verdicts.{suffix}" for suffix in ("csv", "md")})
        print(f"built in {time.monotonic() - begin:.1f} s, {time.process_time() - cpu:.1f} s of the processor")
        files = [file for file in (results / "report").rglob("*") if file.is_file()]
        print(f"{len(files)} files, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB")
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for path, there in {
                "index.html": "#claims tbody tr",
                "panels/p_table1.html": "#numbers tbody tr",
                "runs.html": "#runs tbody tr",
                "run.html#7.5": "#run svg",
                "screens.html": "main table",
            }.items():
                page, problems = browser.new_page(), []
                page.on("console", lambda message, said=problems: said.append(message.text))
                begin = time.monotonic()
                page.goto(f"{(results / 'report').as_uri()}/{path}")
                page.wait_for_selector(there)
                print(f"{path}: shown after {time.monotonic() - begin:.2f} s; console: {problems or 'nothing'}")
            browser.close()


if __name__ == "__main__":
    main()
