"""The README and the pages of docs/, and what stands in them to be run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def examples() -> dict[str, str]:
    """The configurations, by the name in their first line, `# mine.yaml`."""
    return {name: text for page in PAGES for name, text in
            re.findall(r"```yaml\n# (\w+)\.yaml[^\n]*\n(.*?)```", page.read_text(), re.DOTALL)}  # fmt: skip


def example(name: str) -> Any:
    """One of them, read."""
    return yaml.safe_load(examples()[name])


def commands() -> list[tuple[str, str]]:
    """Every command: the page, and the line of a block of bash without the words that make the environment; those in a
    table of the README too."""
    found = []
    for page in PAGES:
        text = page.read_text()
        lines = [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
        lines += re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE) if page.name == "README.md" else []
        found += [(page.name, re.sub(r"^(python3 -m )?uv run ", "", line)) for line in lines]
    return found
