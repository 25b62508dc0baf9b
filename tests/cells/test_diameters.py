"""The diameter of nuclei that nobody told."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tests.cells.drawn import apart, field

from phenoviews.cells.diameters import suggested

PARAMS = {"least_area": 0.08, "contrast": 1.3}


@pytest.mark.parametrize("diameter", [10, 20, 40, 80])
def test_discs_of_any_size(diameter):
    shape = (8 * diameter, 10 * diameter)
    image = field(apart(20, diameter, shape, seed=diameter), diameter, shape)
    assert suggested(image, PARAMS) == pytest.approx(diameter, rel=0.1)


def test_no_nuclei():
    assert np.isnan(suggested(np.full((100, 120), 500.0), PARAMS))
    assert np.isnan(suggested(np.random.default_rng(0).normal(500, 10, (200, 200)), PARAMS))


def test_real_fields(shared_data):
    """Against people's masks, from 11 to 50 pixels; the widest miss is that of a field of clumps."""
    for file in sorted((shared_data / "nuclei" / "dsb2018").glob("*_label.png")):
        areas = np.bincount(np.asarray(Image.open(file)).ravel())[1:]
        true = np.median(np.sqrt(4 / np.pi * areas[areas > 0]))
        image = np.asarray(Image.open(file.with_name(file.name.replace("_label", ""))).convert("F"))
        assert suggested(image, PARAMS) == pytest.approx(true, rel=0.2), file.name
