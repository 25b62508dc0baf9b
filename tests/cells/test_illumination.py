from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phenoviews.cells.illumination import correct, illumination, write
from phenoviews.errors import UserError

PARAMS = {"smoothing": 0.4, "even_fields": 10, "quantile": 0.02}
SHAPE = (120, 160)


def light(shape=SHAPE):
    """A lamp off the middle: 1 at its brightest, about 0.65 in the far corner."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    distance = (x - 0.2) ** 2 + (y + 0.1) ** 2
    return 1 - 0.35 * distance / distance.max()


def fields(count, seed=0, channels=2):
    """Cells of 10 px, as many as cover about a fifth of the field, under that light."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for _ in range(count):
        image = np.full((channels, *SHAPE), 600.0)
        for column, row in rng.uniform(0, SHAPE[::-1], (40, 2)):
            image += 1500 * np.exp(-((x - column) ** 2 + (y - row) ** 2) / 25)
        yield np.rint(image * light()).astype(np.uint16)


def unevenness(function, truth):
    ratio = function / truth
    return float((ratio / ratio.mean()).std())


def test_the_plates_light_is_found_from_cells_that_lie_anywhere():
    function = illumination(fields(150), PARAMS)
    assert function.dtype == np.float32
    assert function.shape == (2, *SHAPE)
    assert unevenness(1, light()) > 0.07
    assert unevenness(function[0], light()) < 0.025


def test_the_robust_minimum_is_one_and_nearly_all_is_above():
    function = illumination(fields(60), PARAMS)[0]
    assert (function >= 1 - 1e-6).mean() == pytest.approx(0.98, abs=0.002)


@pytest.mark.parametrize("count", [1, 4])
def test_few_fields_do_no_harm(count):
    function = illumination(fields(count), PARAMS)[0]
    assert unevenness(function, light()) <= unevenness(1, light()) + 0.01
    assert function.max() < 1.5


def test_one_pass_over_an_iterator_is_enough():
    images = list(fields(12))
    np.testing.assert_array_equal(illumination(iter(images), PARAMS), illumination(images, PARAMS))


def test_brightness_and_depth_have_no_say():
    images = [image.astype(np.float64) for image in fields(12)]
    function = illumination(images, PARAMS)
    np.testing.assert_allclose(illumination([7 * image for image in images], PARAMS), function, rtol=1e-5)


def test_no_smoothing_is_no_correction():
    assert (illumination(fields(3), PARAMS | {"smoothing": 0}) == 1).all()


def test_a_corrected_field_is_even():
    function = illumination(fields(150), PARAMS)
    even = (600 * np.stack([light()] * 2)).astype(np.uint16)
    corrected = correct(even, function)
    assert corrected.dtype == np.float32
    assert corrected[0].std() / corrected[0].mean() < 0.03 < even[0].std() / even[0].mean()
    with pytest.raises(UserError, match=r"\(2, 120, 100\).*\(2, 120, 160\)"):
        correct(even[..., :100], function)


def test_what_cannot_be_corrected_is_named():
    with pytest.raises(UserError, match="no fields"):
        illumination([], PARAMS)
    with pytest.raises(UserError, match="one size"):
        illumination([np.ones((1, 20, 20)), np.ones((1, 20, 30))], PARAMS)
    black = np.stack([np.ones((40, 40)), np.zeros((40, 40))])
    with pytest.raises(UserError, match="channel 2 is black"):
        illumination([black, black], PARAMS)


def test_one_large_image_is_done_in_bounds():
    # Larger than the grid it is worked out on, of odd sides.
    function = illumination([np.full((1, 331, 517), 500, np.uint16)] * 2, PARAMS)
    assert function.shape == (1, 331, 517)
    np.testing.assert_allclose(function, 1, atol=1e-5)


def test_the_rule_writes_the_function(tmp_path):
    images = [(pd.Series({"Metadata_Field": str(number)}), image) for number, image in enumerate(fields(5))]
    npy = tmp_path / "a" / "plate.npy"
    write(iter(images), PARAMS, npy, "plate", total=5)
    function = illumination([image for _, image in images], PARAMS)
    np.testing.assert_array_equal(np.load(npy, allow_pickle=False), function)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["plate.npy"]
    with pytest.raises(UserError, match="plate empty: the plate has no fields"):
        write(iter([]), PARAMS, tmp_path / "b.npy", "empty")
    assert not list(tmp_path.glob("*.*"))
