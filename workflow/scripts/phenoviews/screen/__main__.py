"""The command `python -m phenoviews.screen check lab.yaml`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from phenoviews.cells import screen as screens
from phenoviews.errors import UserError
from phenoviews.panels.style import save
from phenoviews.screen import look
from phenoviews.study import Study
from phenoviews.study.document import merge, shipped
from phenoviews.study.paths import SCREEN

EPILOG = """\
Run it where you will call snakemake, with the same file. It reads file names, plate maps and one field, trains nothing,
and tells what the screen is found to hold, what is missing, and which nucleus diameter it would suggest. The picture
lies in results/screens/<screen>/check.png.
"""


def main(arguments: list[str] | None = None) -> None:
    """Run the command with `arguments`, those of the command line without any."""
    parser = argparse.ArgumentParser(
        prog="python -m phenoviews.screen", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, dest="command")
    check = commands.add_parser("check", help="what a configuration finds of a screen", epilog=EPILOG)
    check.add_argument("config", type=Path, help="a file for --configfile, with `screens`")
    check.add_argument("--screen", help="one of its screens; all by default")
    options = parser.parse_args(arguments)
    from phenoviews.job import reported  # here: who imports this module goes on looking for garbage

    with reported():
        checked(options.config, options.screen)


def checked(config: Path, only: str | None) -> None:
    """Print what is found of the screens that `config` has, and save their pictures."""
    mine = _document(config)
    # Panels may ask for what this is to tell: an audit for the number of cells.
    study = Study(merge(shipped(), {key: value for key, value in mine.items() if key not in ("panels", "only")}))
    names = [only] if only else list(mine.get("screens", {}))
    if not names:
        raise UserError(f"{config}: has no `screens`; add one, or name one of config.yaml by --screen")
    for name in names:
        screen = {"name": name, **study.entry("screens", name)}
        look.refuse_official(name, screen)
        table = screens.fields(screen, {})
        datasets = {
            key: study.entry("datasets", key)
            for key, value in study.config["datasets"].items()
            if value.get("screen") == name
        }
        for line in (*look.described(name, screen, table), *look.missing(table, datasets)):
            print(line)
        lines, nuclei, figure = look.example(screen, table)
        file = Path(SCREEN.format(screen=name)) / "check.png"
        save(figure, file)
        print("", *lines, *look.expected(table, datasets, nuclei), f"picture: {file}", sep="\n")


def _document(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file}: cannot be read as YAML ({error}); check the file") from error
    if not isinstance(document, dict):
        raise UserError(f"{file}: is no mapping of settings; check the file")
    return document


if __name__ == "__main__":
    main()
