"""Provenance of code: a stage is done again when the code that it runs has changed, and only then.

Snakemake does not look into the modules that a script imports, so every rule states a hash of them as a parameter.
Comments, docstrings and layout do not count: rewording one must not retrain a model.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path

SCRIPTS = Path(__file__).parents[2]


@functools.cache
def code_hash(*patterns: str) -> str:
    """A hash of what the files say that match `patterns`, relative to workflow/scripts (`phenoviews/views/*.py`)."""
    digest = hashlib.sha256()
    for pattern in patterns:
        files = sorted(SCRIPTS.glob(pattern))
        if not files:
            raise FileNotFoundError(f"no code matches {pattern}")
        for file in files:
            digest.update(_meaning(file).encode())
    return digest.hexdigest()[:16]


@functools.cache
def _meaning(file: Path) -> str:
    tree = ast.parse(file.read_bytes(), filename=str(file))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:]
    return ast.unparse(tree)
