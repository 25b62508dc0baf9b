"""A job starts with what it needs: what its script imports, seen in processes of their own."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "workflow" / "scripts"
TRAIN = {"pretrain", "embed", "embed_frozen", "fine_tune", "calibrate"}
OF_ENCODERS = {"probe", "measure_encoder"}
BY_EPOCH = {"measure_on_the_way"}  # whose measures need scikit-learn
DRAW = {"figure", "qc", "properties", "audit"}
ALL = {file.stem for file in SCRIPTS.glob("*.py")}
WEIGHTS = {"weights"}  # are torchvision's
VIEWS = {"draw_views"}  # draws by the code that trains
# LPIPS needs torch where there are weights for it, not to say that there are none.
REST = ALL - TRAIN - OF_ENCODERS - BY_EPOCH - DRAW - WEIGHTS - VIEWS


def imported(scripts: set[str]) -> set[str]:
    """The libraries that are loaded where these scripts have imported what stands at their top."""
    lines = [
        ast.unparse(node)
        for name in sorted(scripts)
        for node in ast.parse((SCRIPTS / f"{name}.py").read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    code = "\n".join([*lines, "import sys", "print(*{name.partition('.')[0] for name in sys.modules})"])
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={"PYTHONPATH": str(SCRIPTS)}
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("scripts", "without"),
    [
        (REST, {"torch", "torchvision", "matplotlib"}),
        (DRAW, {"torch", "torchvision"}),
        (VIEWS, {"torchvision", "sklearn", "skimage", "statsmodels"}),
        (TRAIN, {"matplotlib", "sklearn", "scipy", "skimage", "statsmodels"}),
        (OF_ENCODERS, {"matplotlib", "sklearn", "skimage", "statsmodels"}),
        (BY_EPOCH, {"matplotlib", "skimage", "statsmodels"}),
    ],
    ids=["rest", "draw", "views", "train", "of encoders", "by epoch"],
)
def test_scripts_import_nothing_that_they_do_not_use(scripts: set[str], without: set[str]):
    assert imported(scripts) & without == set()


def test_what_is_imported_is_seen():
    assert {"pandas", "phenoviews"} <= imported({"tsne"})
