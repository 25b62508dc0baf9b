"""A page as plain data, before it is HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Page:
    """`path`: in the folder; `template`: one of `templates/`, which is given `data` by name. `scripts`: {path: what the
    browser loads when it asks for it}. `files`: {path: the file that is copied there}."""

    path: str
    template: str
    title: str
    data: Mapping[str, Any] = field(default_factory=dict)
    scripts: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
