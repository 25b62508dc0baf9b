"""The centre against lightly's and by hand."""

from __future__ import annotations

import torch
from lightly.models.modules.center import Center

from phenoviews.methods.parts.centre import Centre


def test_the_centre_is_lightlys():
    ours, theirs = Centre(5, momentum=0.9), Center(size=(1, 5), momentum=0.9)
    for _ in range(4):
        outputs = torch.randn(7, 5)
        ours.update(outputs)
        theirs.update(outputs)
    torch.testing.assert_close(ours.value, theirs.value[0])


def test_the_centre_by_hand():
    centre = Centre(2, momentum=0.75)
    assert centre.value.tolist() == [0, 0]
    centre.update(torch.tensor([[1.0, 4.0], [3.0, 4.0]]))
    assert centre.value.tolist() == [0.5, 1.0]
    centre.update(torch.tensor([[0.5, 3.0]], dtype=torch.bfloat16))
    assert centre.value.tolist() == [0.5, 1.5]
