"""The hash of code: what it says counts, how it says it does not."""

from __future__ import annotations

import pytest

from phenoviews.study import code


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    monkeypatch.setattr(code, "SCRIPTS", tmp_path)
    for cached in (code.code_hash, code._meaning):
        cached.cache_clear()
    yield tmp_path
    for cached in (code.code_hash, code._meaning):
        cached.cache_clear()


def hash_of(scripts, text):
    (scripts / "stage.py").write_text(text)
    for cached in (code.code_hash, code._meaning):
        cached.cache_clear()
    return code.code_hash("stage.py")


def test_comments_docstrings_and_layout_do_not_count(scripts):
    first = hash_of(scripts, '"""One."""\ndef f(x):\n    """Two."""\n    return x + 1\n')
    assert first == hash_of(scripts, "# new\ndef f( x ):\n\n    return x+1  # more\n")


def test_a_changed_number_counts(scripts):
    assert hash_of(scripts, "x = 1\n") != hash_of(scripts, "x = 2\n")


def test_code_that_is_not_there_is_an_error(scripts):
    with pytest.raises(FileNotFoundError, match="missing"):
        code.code_hash("missing.py")
