"""Files appear whole, and what killed processes leave of them goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from phenoviews.files import atomic, folder_beside, write_text


def _half(file: Path) -> None:
    with atomic(file) as partial:
        partial.write_text("half")
        raise RuntimeError


def test_a_file_that_fails_is_not_there_and_one_that_was_is_as_it_was(tmp_path: Path):
    file = tmp_path / "[a].csv"
    write_text(file, "before")
    with pytest.raises(RuntimeError):
        _half(file)
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_beside_a_file_begins_empty_and_ends_with_it(tmp_path: Path):
    file = tmp_path / "values.parquet"
    left = tmp_path / ".values.part"
    left.mkdir()
    (left / "encoder.pt").write_text("of a killed process")
    with folder_beside(file) as folder:
        assert folder == left
        assert not list(folder.iterdir())
        (folder / "embeddings.npy").write_text("")
    assert not list(tmp_path.iterdir())
