"""What counts as slower, and what is kept."""

from __future__ import annotations

from tests.benchmarks.record import COLUMNS, append, read, slower

OLD = [
    {"machine": "a", "commit": "1", "measure": "plan", "ratio": "0.50"},
    {"machine": "a", "commit": "2", "measure": "plan", "ratio": "0.20"},
    {"machine": "b", "commit": "3", "measure": "plan", "ratio": "0.90"},
]


def test_only_the_last_of_the_same_machine_counts():
    assert slower(OLD, "a", {"plan": 0.19, "mnist": 0.1}) == []
    assert slower(OLD, "a", {"plan": 0.17}) == ["plan: 0.170, and 0.200 at 2"]
    assert slower(OLD, "c", {"plan": 0.01}) == []


def test_what_is_appended_is_read_again(tmp_path):
    rows = [dict(zip(COLUMNS, "dcmlpr", strict=True)), dict(zip(COLUMNS, "DCMLPR", strict=True))]
    for row in rows:
        append(tmp_path / "record.csv", [row])
    assert read(tmp_path / "record.csv") == rows
    assert read(tmp_path / "none.csv") == []
