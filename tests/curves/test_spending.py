"""The error that is spent at looks."""

from __future__ import annotations

import numpy as np
import pytest

from phenoviews.curves.spending import SPENDING, spent


@pytest.mark.parametrize("how", SPENDING)
@pytest.mark.parametrize("looks", [[2, 4, 6], [3, 4], [2, 3, 4, 5, 10]])
def test_all_is_spent_in_the_end_and_some_at_every_look(how, looks):
    found = spent(looks, 0.05, how)
    assert len(found) == len(looks)
    assert sum(found) == pytest.approx(0.05)
    assert min(found) > 0


@pytest.mark.parametrize(
    ("how", "by_hand"),
    [
        # 2 - 2Φ(1.959964 / √(1/2)) and 2 - 2Φ(1.959964 / √(3/4))
        ("obrien_fleming", [0.00557, 0.02363]),
        # .05 ln(1 + 1.718282 / 2) and .05 ln(1 + 1.718282 · 3/4)
        ("pocock", [0.03101, 0.04140]),
    ],
)
def test_what_is_spent_by_a_share_is_as_published(how, by_hand):
    np.testing.assert_allclose(np.cumsum(spent([4, 6, 8], 0.05, how))[:2], by_hand, atol=5e-6)
