from __future__ import annotations

import pytest

from phenoviews.study.colours import OTHERS, colours


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (["DNA", "ER", "RNA", "AGP", "mitochondria"], ["blue", "green", "yellow", "red", "magenta"]),
        (["DNA", "tubulin", "actin"], ["blue", "green", "red"]),
        (["Hoechst 33342", "Phalloidin-568", "Concanavalin A"], ["blue", "red", "green"]),
        (["orig_Mito", "orig_DAPI"], ["magenta", "blue"]),
        (["marker", "DNA"], ["green", "blue"]),  # no "er" in it
        (["GFP", "EGFP-2"], ["green", "red"]),  # no colour twice
        (["DAPI"], ["grey"]),
        (["red", "green", "blue"], ["red", "green", "blue"]),
        (["Ex Green", "DNA"], ["green", "blue"]),
        (["DNA", "brightfield"], ["blue", "grey"]),
    ],
)
def test_colours_by_name(channels, expected):
    assert list(colours(channels).values()) == expected
    assert list(colours(channels)) == channels


def test_there_are_colours_for_twelve():
    found = colours([f"channel {number}" for number in range(12)])
    assert len(found) == 12
    assert set(found.values()) == set(OTHERS)
