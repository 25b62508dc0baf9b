"""Embeddings on disk, or the reason why there are none."""

from __future__ import annotations

import numpy as np
import pytest

from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured, UserError


def test_what_is_written_is_read(tmp_path):
    made = np.arange(12, dtype=np.float32).reshape(4, 3)
    embeddings.save(tmp_path / "test.npy", made)
    np.testing.assert_array_equal(embeddings.load(tmp_path / "test.npy"), made)


def test_pieces_make_one_array(tmp_path):
    made = np.arange(15, dtype=np.float32).reshape(5, 3)
    embeddings.save_chunks(tmp_path / "pieces.npy", (made[:2], made[2:4], made[4:]), 5)
    embeddings.save(tmp_path / "whole.npy", made)
    assert (tmp_path / "pieces.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_pieces_that_end_too_early_leave_nothing(tmp_path):
    with pytest.raises(ValueError, match="4 rows in an array of shape"):
        embeddings.save_chunks(tmp_path / "pieces.npy", [np.zeros((4, 3), np.float32)], 5)
    assert not list(tmp_path.iterdir())


def test_where_there_are_none_the_reason_is_read(tmp_path):
    embeddings.save(tmp_path / "test.npy", "no ImageNet weights of vgg16 (no network)")
    with pytest.raises(NotMeasured, match=r"^no ImageNet weights of vgg16 \(no network\)$"):
        embeddings.load(tmp_path / "test.npy")


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "test.npy").write_bytes(b"\x93NUMPY nothing")
    with pytest.raises(UserError, match=r"test\.npy: not readable"):
        embeddings.load(tmp_path / "test.npy")
