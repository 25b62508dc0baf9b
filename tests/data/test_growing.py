"""An array that is made in steps, by one process or by several that are stopped."""

from __future__ import annotations

import json

import numpy as np
import pytest

from phenoviews.data.growing import finish, grow

DTYPE = np.dtype(np.uint8)
COUNTS = [3, 0, 2, 5, 1]  # rows of each step
KEYS = [f"step {number}" for number in range(5)]
MOST = (20, 2, 3)
EXPECTED = np.concatenate([np.full((count, 2, 3), number, np.uint8) for number, count in enumerate(COUNTS)])


class Maker:
    """Makes steps, remembers which, and stops before one of them."""

    def __init__(self, stop=None):
        self.made, self.stop = [], stop

    def __call__(self, number):
        if number == self.stop:
            raise KeyboardInterrupt
        self.made.append(number)
        return np.full((COUNTS[number], 2, 3), number, np.uint8), [f"said {number}"]


def run(part, maker, keys=KEYS) -> list:
    return list(grow(part, MOST, DTYPE, keys, maker))


@pytest.fixture
def part(tmp_path):
    return tmp_path / "some.part.npy"


@pytest.fixture
def stopped(part):
    """A part in which three steps are done."""
    with pytest.raises(KeyboardInterrupt):
        run(part, Maker(stop=3))
    return part


def result(part) -> bytes:
    out = part.with_name("out.npy")
    finish(part, EXPECTED.shape, DTYPE, out)
    assert [file.name for file in out.parent.iterdir()] == ["out.npy"]
    return out.read_bytes()


@pytest.fixture
def plain(tmp_path_factory) -> bytes:
    """The same array as numpy writes it."""
    file = tmp_path_factory.mktemp("plain") / "plain.npy"
    np.save(file, EXPECTED)
    return file.read_bytes()


def test_in_one_go(part, plain):
    assert run(part, Maker()) == [[f"said {number}"] for number in range(5)]
    assert result(part) == plain


def test_done_steps_are_not_made_again_but_told_of(stopped, plain):
    maker = Maker()
    assert run(stopped, maker) == [[f"said {number}"] for number in range(5)]
    assert maker.made == [3, 4]
    assert result(stopped) == plain


@pytest.mark.parametrize("changed", range(3))
def test_from_a_changed_key_on_all_is_made_again(stopped, plain, changed):
    maker = Maker()
    run(stopped, maker, [*KEYS[:changed], "another", *KEYS[changed + 1 :]])
    assert maker.made == list(range(changed, 5))
    assert result(stopped) == plain


def test_rows_that_the_journal_does_not_tell_of_are_made_again(stopped, plain):
    """Killed after the rows were written and before, or while, the journal was."""
    for cut in (1, 10, None):
        journal = stopped.with_name("some.part.npy.jsonl")
        lines = journal.read_text().splitlines(keepends=True)
        journal.write_text("".join(lines[:2]) + (lines[2][:-cut] if cut else ""))
        maker = Maker(stop=3)
        with pytest.raises(KeyboardInterrupt):
            run(stopped, maker)
        # A line that lacks its end alone is whole.
        assert maker.made == ([] if cut == 1 else [2])
    run(stopped, Maker())
    assert result(stopped) == plain


def test_half_a_row_is_cut_off(stopped, plain):
    with stopped.open("ab") as file:
        file.write(b"12345678")
    run(stopped, Maker())
    assert result(stopped) == plain


def test_rows_that_are_lost_are_made_again(stopped, plain):
    stopped.write_bytes(stopped.read_bytes()[:-1])
    maker = Maker()
    run(stopped, maker)
    assert maker.made == list(range(5))
    assert result(stopped) == plain


def test_a_journal_without_its_part(stopped, plain):
    stopped.unlink()
    maker = Maker()
    run(stopped, maker)
    assert maker.made == list(range(5))
    assert result(stopped) == plain


def test_fewer_steps_than_before(part, plain):
    """Images were removed: what the steps have in common stays."""
    run(part, Maker(), [*KEYS, *KEYS][:5])
    assert len(run(part, Maker(), KEYS[:2])) == 2
    run(part, Maker())
    assert result(part) == plain


def test_another_shape_is_refused(part):
    with pytest.raises(ValueError, match="rows of shape"):
        list(grow(part, (20, 3, 3), DTYPE, KEYS, Maker()))
    run(part, Maker())
    with pytest.raises(ValueError, match="bytes for an array of shape"):
        finish(part, (12, 2, 3), DTYPE, part.with_name("out.npy"))
    assert json.loads(part.with_name("some.part.npy.jsonl").read_text().splitlines()[3])["rows"] == 5
