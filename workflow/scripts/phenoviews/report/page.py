"""The folder of pages: every section's pages as HTML, their scripts and files."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2

from phenoviews.errors import UserError
from phenoviews.report import panels, provenance, runs, screens, verdicts
from phenoviews.report.found import Found, read
from phenoviews.report.pages import Page

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Section:
    """A part of the page: its title, its first page, and what yields all of its pages."""

    title: str
    path: str
    pages: Callable[[Found], Iterator[Page]]


SECTIONS = (
    Section("Verdicts", "index.html", verdicts.pages),
    Section("Panels", "panels.html", panels.pages),
    Section("Runs", "runs.html", runs.pages),
    Section("Screens", "screens.html", screens.pages),
    Section("Provenance", "provenance.html", provenance.pages),
)


def write(told: Mapping[str, Any], folder: Path, sheet: Mapping[str, Path]) -> None:
    """Make the page anew.

    Args:
        told: what the study says, as plain data: scale; results, the folder of this scale; panels, each with name,
            paper, item, caption (reStructuredText), on the disk its files by suffix; screens, {name: label, unit,
            plates, each with its files qc, overlay and light}; pictures, the folders of `pictures.transforms`; frozen,
            the methods that train nothing; elsewhere, {data set/seed: the data set as it is called on the disk}, where
            that differs; labels, {section: {entry: what it is called}}; config, the whole document.
        folder: where index.html is to lie. What was there is replaced once all is written.
        sheet: csv and md, the files of the sheet of verdicts.

    Raises:
        UserError: a file that cannot be read.
    """
    found = read(told)
    verdicts.write_sheet(found, sheet["csv"], sheet["md"])
    new = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        environment = templates(found)
        for section in SECTIONS:
            for page in section.pages(found):
                _write(environment, section, page, new)
        for file in sorted((HERE / "static").iterdir()):
            shutil.copyfile(file, new / file.name)
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def templates(found: Found) -> jinja2.Environment:
    """The templates: everything is escaped, and a name that is misspelt is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    environment.globals.update(sections=SECTIONS, scale=found.told["scale"], plan="plan.html" in found.plan_files)
    return environment


def _write(environment: jinja2.Environment, section: Section, page: Page, folder: Path) -> None:
    target = folder / page.path
    target.parent.mkdir(parents=True, exist_ok=True)
    up = "../" * (len(PurePosixPath(page.path).parts) - 1)
    template = environment.get_template(page.template)
    target.write_text(template.render(page.data, title=page.title, here=section, up=up), encoding="utf-8")
    for path, data in page.scripts.items():
        script(folder / path, path, data)
    for path, source in page.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, folder / path)
        except FileNotFoundError as error:
            raise UserError(f"{source}: is not there; run `snakemake` again to have it made") from error


def script(file: Path, name: str, data: Any) -> None:
    """Write data so that a page which is opened as a file can load them: as a call with their name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    file.write_text(f"phenoviews.give({json.dumps(name)},{text});\n", encoding="utf-8")
