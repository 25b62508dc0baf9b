"""`python -m phenoviews.status`: how far a study is, from the files that its trainings leave."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from phenoviews.errors import UserError
from phenoviews.status import queue, report, tensorboard
from phenoviews.status.states import state
from phenoviews.study.asked import ASKED

EPILOG = """\
It reads files and starts nothing, so it may be called at any time, from any machine that sees the folder of results:

    PYTHONPATH=workflow/scripts python -m phenoviews.status
    watch -n 30 env PYTHONPATH=workflow/scripts python -m phenoviews.status results/paper

What was asked for is what the last call of snakemake was asked for. Curves, live, in TensorBoard:

    PYTHONPATH=workflow/scripts python -m phenoviews.status --tensorboard results/curves
    tensorboard --logdir results/curves
"""


def main(arguments: list[str] | None = None) -> int:
    """Print the state of every scale below `results`, or of one."""
    parser = argparse.ArgumentParser(
        prog="python -m phenoviews.status",
        description="How far a study is: what is done, running, waiting, failed; and what Slurm's queue says.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, help="of a scale, such as results/paper; default: all there are"
    )
    parser.add_argument("--tensorboard", metavar="FOLDER", type=Path,
                        help="write the histories there as TensorBoard's event files; what is new is added at each "
                        "call (pip install tensorboard)")  # fmt: skip
    given = parser.parse_args(arguments)
    try:
        jobs = queue.queued()
        for folder in _folders(given.folder):
            print(report.text(state(folder, queue.running(jobs)), jobs))
            if given.tensorboard:
                print(f"{tensorboard.write(folder, given.tensorboard)} curves in {given.tensorboard}")
    except UserError as error:
        print(f"phenoviews: error: {error}", file=sys.stderr)
        return 1
    return 0


def _folders(given: Path | None) -> list[Path]:
    """The folders of scales to look at."""
    if given is not None:
        if not (given / "runs").is_dir() and not (given / Path(ASKED).name).exists():
            raise UserError(f"{given}: nothing has run there yet, or it is no folder of a scale, such as results/demo")
        return [given]
    found = sorted({file.parent for name in (Path(ASKED).name, "runs") for file in Path("results").glob(f"*/{name}")})
    if not found:
        raise UserError("results: nothing has run here yet; call it where you call snakemake, or name a scale's folder")
    return found


if __name__ == "__main__":
    sys.exit(main())
