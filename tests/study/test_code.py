"""The hash of code: what is reached from a script counts, and of that what it says, not how."""

from __future__ import annotations

import subprocess
import sys
from glob import glob
from pathlib import Path
from shutil import which

import pytest

from phenoviews.study.code import SCRIPTS, Hashes, UnreadableCode, code_hash, reached, registered

STUDY = {
    "stage.py": "from lib.parts import used\nfrom lib import shapes\nprint(used(1), shapes.area(2))\n",
    "lib/__init__.py": "",
    "lib/parts.py": (
        "import math\nFACTOR = 2\nOTHER = 3\n\n"
        'def used(x):\n    """Of x."""\n    return FACTOR * helper(x)\n\n'
        "def helper(x):\n    from lib.late import more\n    return more(x)\n\n"
        "def unused(x):\n    return OTHER\n"
    ),
    "lib/late.py": "def more(x):\n    return x + 1\n\ndef less(x):\n    return x - 1\n",
    "lib/shapes.py": (
        "class Base:\n    side = 1\n\nclass Square(Base):\n    pass\n\ndef area(x):\n    return Square().side * x\n"
    ),
}


@pytest.fixture
def write(tmp_path_factory):
    """Write a tree of scripts and return its folder: a new one each time, since what was read is cached."""

    def written(files, **changed):
        folder = tmp_path_factory.mktemp("scripts")
        for name, text in {**files, **{key.replace("__", "/") + ".py": text for key, text in changed.items()}}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return folder

    return written


@pytest.fixture
def edited(write):
    """Whether the hash of STUDY's script changes when a text in one of its files does."""

    def changes(file, before, after, files=STUDY, root="stage.py", chosen=None):
        assert before in files[file]
        new = {**files, file: files[file].replace(before, after)}
        return code_hash(root, chosen, write(files)) != code_hash(root, chosen, write(new))

    return changes


def test_what_a_script_reaches(write):
    assert reached("stage.py", scripts=write(STUDY)) == {
        "stage": set(),
        "lib": set(),
        "lib.parts": {"used", "helper", "FACTOR"},
        "lib.late": {"more"},
        "lib.shapes": {"area", "Square", "Base"},
    }


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("stage.py", "used(1)", "used(2)"),
        ("lib/parts.py", "FACTOR = 2", "FACTOR = 5"),
        ("lib/parts.py", "return more(x)", "return more(x) + 0"),
        ("lib/late.py", "x + 1", "x + 2"),
        ("lib/shapes.py", "side = 1", "side = 2"),
        ("lib/shapes.py", "* x", "/ x"),
        ("lib/parts.py", "OTHER = 3\n", "OTHER = 3\nif True:\n    FACTOR = 7\n"),
        ("lib/__init__.py", "", "print('imported')\n"),
    ],
)
def test_an_edit_of_what_is_reached_counts(edited, file, before, after):
    assert edited(file, before, after)


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("lib/parts.py", "OTHER = 3", "OTHER = 4"),
        ("lib/parts.py", "    return OTHER\n", "    return OTHER + 1\n\ndef new():\n    return 1\n"),
        ("lib/late.py", "x - 1", "x - 2"),
        ("lib/parts.py", '"""Of x."""', '"""Said otherwise."""'),
        ("lib/parts.py", "FACTOR = 2", "FACTOR = 2  # twice"),
        ("lib/parts.py", "def used(x):", "def used( x: 'int' ) -> 'int':"),
        ("lib/parts.py", "FACTOR = 2", "FACTOR: int = 2"),
        ("lib/parts.py", "    return FACTOR * helper(x)", "    y: int\n    return (FACTOR *\n        helper(x))"),
        ("lib/parts.py", "import math\nFACTOR = 2\nOTHER = 3\n", "import math\nOTHER = 3\nFACTOR = 2\n"),
        (
            "lib/shapes.py",
            "class Base:",
            "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from lib.late import less\n\nclass Base:",
        ),
    ],
)
def test_an_edit_of_anything_else_does_not(edited, file, before, after):
    assert not edited(file, before, after)


REGISTRY = {
    "stage.py": "from lib import KINDS, build\n\nbuild('round')\n",
    "lib/__init__.py": (
        "from lib import square\nfrom lib.round import Round\n\n"
        "KINDS: dict[str, type] = {'round': Round, 'square': square.Square}\n\n"
        "def build(kind):\n    assert kind in KINDS\n    return KINDS[kind]()\n"
    ),
    "lib/round.py": "class Round:\n    corners = 0\n",
    "lib/square.py": "class Square:\n    corners = 4\n",
}
ROUND = {"lib.KINDS": ["round"]}


def test_of_a_registry_only_what_is_chosen_counts(edited):
    assert edited("lib/round.py", "= 0", "= 1", REGISTRY, chosen=ROUND)
    assert not edited("lib/square.py", "= 4", "= 5", REGISTRY, chosen=ROUND)
    assert edited("lib/square.py", "= 4", "= 5", REGISTRY)
    assert edited("lib/__init__.py", "()\n", "() or None\n", REGISTRY, chosen=ROUND)


def test_a_registry_tells_its_keys_without_being_imported(write):
    assert registered("lib.KINDS", write(REGISTRY)) == ["round", "square"]
    with pytest.raises(UnreadableCode, match=r"lib\.SORTS is no dictionary"):
        registered("lib.SORTS", write(REGISTRY))


def test_what_joins_a_registry_changes_nothing_for_the_others(write):
    joined = REGISTRY["lib/__init__.py"].replace("{'round'", "{'oval': oval.Oval, 'round'")
    new = {**REGISTRY, "lib/__init__.py": f"from lib import oval\n{joined}", "lib/oval.py": "class Oval:\n    x = 1\n"}
    assert code_hash("stage.py", ROUND, write(REGISTRY)) == code_hash("stage.py", ROUND, write(new))


def test_a_chosen_key_that_is_not_there_is_refused(write):
    with pytest.raises(UnreadableCode, match=r"lib\.KINDS has no oval"):
        code_hash("stage.py", {"lib.KINDS": ["oval"]}, write(REGISTRY))
    with pytest.raises(UnreadableCode, match="lib defines no registry SORTS"):
        code_hash("stage.py", {"lib.SORTS": ["oval"]}, write(REGISTRY))


def test_a_definition_may_be_the_root(edited):
    assert edited("lib/late.py", "x + 1", "x + 2", root="lib.parts:used")
    assert not edited("lib/late.py", "x + 1", "x + 2", root="lib.shapes:area")
    assert not edited("stage.py", "used(1)", "used(2)", root="lib.parts:used")


def test_a_module_that_is_handed_on_counts_whole(edited):
    files = {**STUDY, "stage.py": "from lib import parts\n\nprint(parts)\n"}
    assert edited("lib/parts.py", "OTHER = 3", "OTHER = 4", files)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("from lib.parts import *\n", "star import"),
        ("from importlib import import_module\n\nimport_module('lib.' + 'parts')\n", "computed"),
        ("from . import lib\n", "relative"),
    ],
)
def test_code_that_cannot_be_followed_is_refused(write, text, says):
    with pytest.raises(UnreadableCode, match=says):
        code_hash("stage.py", scripts=write(STUDY, stage=text))


def test_code_that_is_not_there_is_refused(write):
    with pytest.raises(UnreadableCode, match=r"missing\.py"):
        code_hash("missing.py", scripts=write(STUDY))


TRICKY = """
X = 1.5e-7
class A:
    field: int = 3
    def f(self, *, a=(1, 2), **rest):
        return f"{self.field!r:>{a[0]}} {{}} 'é' {rest['k']:.2f}" f" and {a}" "plain" + u"u"
async def g():
    async with A() as one:
        yield [x async for x in one if x not in (None, ..., b"\\x00", -1j)]
def h(p, /, q):
    match p:
        case {"a": [1, *_], **more} if more:
            return lambda: (yield)
    try:
        del p[1:2, ::3]
    except* (ValueError, KeyError) as group:
        raise group from None
"""


def hash_of_tricky(python, folder):
    """By an interpreter that may have no packages: the module is loaded alone, without what else the study imports."""
    call = (
        "import sys, importlib.util as u; from pathlib import Path; "
        f"sys.path.insert(0, {str(SCRIPTS)!r}); "
        f"spec = u.spec_from_file_location('code_', {str(SCRIPTS / 'phenoviews/study/code.py')!r}); "
        "sys.modules['code_'] = module = u.module_from_spec(spec); spec.loader.exec_module(module); "
        f"print(module.code_hash('tricky.py', None, Path({str(folder)!r})))"
    )
    return subprocess.run([python, "-I", "-c", call], capture_output=True, text=True, check=True).stdout.strip()


def interpreters(minor):
    """The Pythons of this machine of one version: this one, on the PATH, or pyenv's."""
    if minor == sys.version_info.minor:
        return [sys.executable]
    found = [which(f"python3.{minor}"), *glob(str(Path.home() / f".pyenv/versions/3.{minor}.*/bin/python"))]
    return [path for path in found if path and not subprocess.run([path, "-c", ""], capture_output=True).returncode]


@pytest.mark.parametrize("minor", range(11, 15))
def test_every_python_has_the_same_hash(write, minor):
    """The number is CPython 3.11.7's; 3.14 gave it as well (Pyodide 314.0.7, by hand)."""
    found = interpreters(minor)
    if not found:
        pytest.skip(f"no Python 3.{minor} here")
    assert hash_of_tricky(found[0], write({"tricky.py": TRICKY})) == "f6a416747ac0540b"


def test_hashes_are_kept_until_a_source_changes(write, tmp_path):
    scripts, file = write(REGISTRY), tmp_path / "kept" / "code.json"
    expected = {key: code_hash("stage.py", {"lib.KINDS": [key]}, scripts) for key in ("round", "square")}

    def found(key):
        """By a call of its own, and whether it kept something new."""
        hashes = Hashes(file, scripts)
        value = hashes("stage.py", {"lib.KINDS": [key]})
        hashes.keep()
        return value, hashes.more

    assert found("round") == (expected["round"], True)
    assert found("round") == (expected["round"], False)
    assert found("square") == (expected["square"], True)
    assert found("round") == (expected["round"], False)
    file.write_text("{")
    assert found("round") == (expected["round"], True)
    edit = scripts / "lib" / "square.py"
    edit.write_text(edit.read_text() + "x = 1\n")
    assert found("round")[1]


def test_of_sources_that_are_edited_meanwhile_no_hash_is_kept(write, tmp_path):
    scripts, file = write(REGISTRY), tmp_path / "code.json"
    hashes = Hashes(file, scripts)
    (scripts / "lib" / "square.py").write_text("class Square:\n    corners = 5\n")
    hashes("stage.py")
    hashes.keep()
    assert not file.exists()


def test_hashes_that_cannot_be_kept_are_found_all_the_same(write, tmp_path):
    (tmp_path / "file").write_text("")
    hashes = Hashes(tmp_path / "file" / "code.json", write(REGISTRY))
    assert hashes("stage.py") == code_hash("stage.py", None, hashes.scripts)
    hashes.keep()
