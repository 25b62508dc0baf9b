"""Derives the conda environments from uv.lock, so that conda users compute with the versions that uv users do.

    python envs/derive.py        writes envs/phenoviews.yaml and envs/snakemake.yaml

conda brings Python and pip, pip brings the very packages of the lock: conda-forge builds its own of some of them, later
and under other names (`pytorch`), so a lock made of PyPI's could not be kept to. `snakemake.yaml` is what starts the
workflow, `phenoviews.yaml` what its rules run in under `--sdm conda`. Both have one Python: Snakemake hands Python
objects from one to the other.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.markers import Marker

HERE = Path(__file__).parent
PYTHON = "3.12"
# The platform whose versions are written where the lock distinguishes some.
PLATFORM = {
    "implementation_name": "cpython",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": f"{PYTHON}.0",
    "python_version": PYTHON,
    "sys_platform": "linux",
}
# What the Snakefile itself and `snakemake --report` import; of these, the library needs the shared ones too.
WORKFLOW = (
    "jsonschema",
    "pygments",
    "pyyaml",
    "snakemake",
    "snakemake-executor-plugin-cluster-generic",
    "snakemake-executor-plugin-slurm",
)
SHARED = ("jsonschema", "pyyaml")


def locked(lock: dict, project: str = "phenoviews") -> dict[str, str]:
    """The direct dependencies at run time, each with the version that `lock` (a parsed uv.lock) gives it on PLATFORM.

    Raises KeyError for a dependency that the lock does not hold, ValueError for one of which it holds several versions
    that no marker tells apart.
    """
    packages: dict[str, list[dict]] = {}
    for package in lock["package"]:
        packages.setdefault(package["name"], []).append(package)
    versions: dict[str, str] = {}
    for wanted in packages[project][0]["dependencies"]:
        if "marker" in wanted and not Marker(wanted["marker"]).evaluate(PLATFORM):
            continue
        name = wanted["name"]
        found = {wanted["version"]} if "version" in wanted else {package["version"] for package in packages[name]}
        if name in versions or len(found) != 1:
            raise ValueError(f"uv.lock: several versions of {name} for Python {PYTHON}: {sorted(found)}")
        versions[name] = found.pop()
    return versions


def environment(name: str, versions: dict[str, str]) -> str:
    """A conda environment file, as text."""
    head = [
        "# Written by envs/derive.py from uv.lock; edit pyproject.toml, run `uv lock`, and then that script.",
        f"name: {name}",
        "channels:",
        "  - conda-forge",
        "  - nodefaults",
        "dependencies:",
        f"  - python ={PYTHON}",
        "  - pip",
        "  - pip:",
    ]
    return "\n".join([*head, *(f"      - {name}=={version}" for name, version in sorted(versions.items()))]) + "\n"


def environments(lock: dict) -> dict[str, str]:
    """File name → text, of every environment."""
    versions = locked(lock)
    library = {name: version for name, version in versions.items() if name not in WORKFLOW or name in SHARED}
    workflow = {name: versions[name] for name in WORKFLOW}
    return {
        "phenoviews.yaml": environment("phenoviews", library),
        "snakemake.yaml": environment("phenoviews-snakemake", workflow),
    }


def main() -> None:
    """Writes every environment beside this script."""
    lock = tomllib.loads((HERE.parent / "uv.lock").read_text())
    for name, text in environments(lock).items():
        (HERE / name).write_text(text)


if __name__ == "__main__":
    main()
