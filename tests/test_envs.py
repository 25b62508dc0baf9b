"""The conda environments agree with the lock, and the lock with pyproject.toml."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ENVS = Path(__file__).parents[1] / "envs"


@pytest.fixture(scope="module")
def derive():
    specification = importlib.util.spec_from_file_location("derive", ENVS / "derive.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lock(root):
    return tomllib.loads((root / "uv.lock").read_text())


@pytest.fixture(scope="module")
def declared(root) -> dict[str, Requirement]:
    """The direct dependencies at run time, by name."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return {wanted.name: wanted for wanted in map(Requirement, project["dependencies"])}


def pinned(name: str) -> dict[str, str]:
    """The packages of a committed environment file with their versions."""
    *_, last = yaml.safe_load((ENVS / name).read_text())["dependencies"]
    return dict(line.split("==") for line in last["pip"])


def test_committed_files_are_what_the_lock_gives(derive, lock):
    texts = derive.environments(lock)
    assert sorted(texts) == sorted(path.name for path in ENVS.glob("*.yaml"))
    for name, text in texts.items():
        assert (ENVS / name).read_text() == text, f"run: python envs/derive.py (envs/{name} is not what uv.lock gives)"


def test_every_dependency_is_in_an_environment_with_a_version_that_is_allowed(declared):
    versions = pinned("phenoviews.yaml") | pinned("snakemake.yaml")
    assert versions.keys() == declared.keys()
    for name, version in versions.items():
        assert declared[name].specifier.contains(version), f"{name} {version} is outside of {declared[name]}"


def test_both_environments_have_one_python_and_the_same_shared_packages():
    library, workflow = (yaml.safe_load((ENVS / f"{name}.yaml").read_text()) for name in ("phenoviews", "snakemake"))
    assert library["dependencies"][0] == workflow["dependencies"][0] == "python =3.12"
    assert library["channels"] == workflow["channels"] == ["conda-forge", "nodefaults"]
    ours, theirs = pinned("phenoviews.yaml"), pinned("snakemake.yaml")
    shared = ours.keys() & theirs.keys()
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}


def test_markers_choose_the_version(derive):
    lock = {
        "package": [
            {
                "name": "phenoviews",
                "version": "0",
                "dependencies": [
                    {"name": "a", "version": "1", "marker": "python_full_version < '3.12'"},
                    {"name": "a", "version": "2", "marker": "python_full_version >= '3.12'"},
                    {"name": "b"},
                    {"name": "c", "marker": "sys_platform == 'win32'"},
                ],
            },
            {"name": "a", "version": "1"},
            {"name": "a", "version": "2"},
            {"name": "b", "version": "3"},
            {"name": "c", "version": "4"},
        ]
    }
    assert derive.locked(lock) == {"a": "2", "b": "3"}


def test_versions_that_no_marker_tells_apart_are_refused(derive):
    lock = {
        "package": [
            {"name": "phenoviews", "version": "0", "dependencies": [{"name": "a"}]},
            {"name": "a", "version": "1"},
            {"name": "a", "version": "2"},
        ]
    }
    with pytest.raises(ValueError, match="several versions of a"):
        derive.locked(lock)
