"""Measures what has to stay fast, appends it to record.csv, and says what has become slower on this machine."""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).with_name("record.csv")
COLUMNS = ("date", "commit", "machine", "load", "measure", "ratio")
WORSE = 0.9  # of the last ratio: below it is reported

EPILOG = """\
what is measured, as ratios that are the higher the better, so that a busy machine disturbs both sides alike:
  mnist  the whole training loop's images/s by the bare step's (loop.py mnist)
  plan   a loop of pure Python by `snakemake --dry-run` of the demo, in processor seconds

Ratios are compared with the last ones of the same machine, which is the processor's name and the number of its cores. A
commit that is not clean is recorded with a `+`. Exit status 1 where something has become slower by more than 10 %.

examples:
  python tests/benchmarks/record.py
  python tests/benchmarks/record.py plan --no-write
"""


def machine() -> str:
    """The processor and its cores."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()} × {os.cpu_count()}"


def commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + "+" * bool(git("status", "--porcelain", "--untracked-files=no"))


def mnist() -> float:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        call = ["tests/benchmarks/loop.py", "mnist", "--no-lightly", "--clock", "cpu", "--threads", "1"]
        subprocess.run([sys.executable, *call, "--json", file.name], cwd=ROOT, check=True, stdout=sys.stderr)
        return float(json.loads(Path(file.name).read_text())["loop_of_bare"])


def plan() -> float:
    """The median of three, each beside a loop of its own."""
    return statistics.median(counting() / dry_run() for _ in range(3))


def counting() -> float:
    """Processor seconds of a fixed loop of pure Python."""
    begin, total = time.process_time(), 0
    for number in range(10_000_000):
        total += number
    return time.process_time() - begin


def dry_run() -> float:
    """Processor seconds of the demo's plan, in a folder without results."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        call = ["-m", "snakemake", "--dry-run", "--quiet", "all", "--directory", folder]
        subprocess.run([sys.executable, *call], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


MEASURES: dict[str, Callable[[], float]] = {"mnist": mnist, "plan": plan}


def slower(record: Iterable[Mapping[str, str]], machine: str, found: Mapping[str, float]) -> list[str]:
    """A line for each ratio that has fallen below `WORSE` of the last of the same measure on the same machine."""
    last = {row["measure"]: row for row in record if row["machine"] == machine}
    return [
        f"{name}: {ratio:.3f}, and {float(last[name]['ratio']):.3f} at {last[name]['commit']}"
        for name, ratio in found.items()
        if name in last and ratio < WORSE * float(last[name]["ratio"])
    ]


def read(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def append(file: Path, rows: Iterable[Mapping[str, str]]) -> None:
    new = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("measures", nargs="*", metavar="measure", help=f"of {', '.join(MEASURES)} (default: all)")
    parser.add_argument("--no-write", dest="write", action="store_false", help="compare, and append nothing")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.measures if name not in MEASURES]:
        parser.error(f"no measure {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    known = {"date": time.strftime("%Y-%m-%d"), "commit": commit(), "machine": machine()}
    found, loads = {}, {}
    for name in arguments.measures or MEASURES:
        loads[name] = f"{os.getloadavg()[0]:.1f}"
        found[name] = MEASURES[name]()
        print(f"{name}: {found[name]:.3f} (load {loads[name]})", flush=True)
    worse = slower(read(RECORD), known["machine"], found)
    if arguments.write:
        append(
            RECORD,
            [{**known, "load": loads[name], "measure": name, "ratio": f"{found[name]:.4f}"} for name in found],
        )
    if worse:
        sys.exit("slower than this machine's last: " + "; ".join(worse))


if __name__ == "__main__":
    main()
