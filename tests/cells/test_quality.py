from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter
from tests.cells.drawn import apart, field

from phenoviews.cells.quality import flagged, focus, read


def test_focus_falls_with_blur_whatever_the_brightness():
    image = field(apart(20, 40, (400, 500), seed=2), shape=(400, 500))
    blurred = [focus(gaussian_filter(image, sigma), 40) for sigma in (0, 1, 2, 3, 4)]
    assert (np.diff(blurred) < 0).all()
    assert blurred[3] < blurred[0] - 1
    assert focus(3 * image + 100, 40) == pytest.approx(blurred[0], abs=1e-3)
    assert np.isnan(focus(np.full((100, 100), 5.0), 40))


def test_alike_fields_have_no_outlier_in_focus():
    table = pd.DataFrame({"count": 5, "left_out": "", "focus": [-4.0, -4.01, -4.0, -4.02, -4.3]})
    assert not flagged(table, 4)["out_of_focus"].any()
    blurred = table.assign(focus=[-4.0, -4.01, -4.0, -4.02, -5.3])
    assert flagged(blurred, 4)["out_of_focus"].tolist() == [False] * 4 + [True]


def test_names_that_look_like_numbers_or_nothing_stay_names(tmp_path):
    table = pd.DataFrame(
        {
            "Metadata_Plate": ["007", "007"],
            "Metadata_Well": ["B02", "B03"],
            "Metadata_Field": ["1", "NA"],
            "count": [3, 0],
            "median_area": [120.5, np.nan],
            "focus": [-4.25, np.nan],
            "left_out": ["", "NA"],
        }
    )
    table = flagged(table, 4)
    table.to_csv(tmp_path / "qc.csv", index=False)
    pd.testing.assert_frame_equal(read(tmp_path / "qc.csv"), table, check_dtype=False)
