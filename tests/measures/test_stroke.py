from __future__ import annotations

import numpy as np
import pytest

from phenoviews.measures.stroke import explained, strokes, thickness


def bar(width: int, side: int = 28, level: int = 255) -> np.ndarray:
    """A horizontal stroke of 20 pixels' length."""
    image = np.zeros((side, side), np.uint8)
    image[10 : 10 + width, 4:24] = level
    return image


def ring(radius: float, width: float, side: int = 64) -> np.ndarray:
    """A stroke without ends, with grey pixels at its edges."""
    at = (np.arange(side * 8) + 0.5) / 8 - side / 2
    inside = np.abs(np.hypot(at[:, None], at[None]) - radius) < width / 2
    return (255 * inside.reshape(side, 8, side, 8).mean(axis=(1, 3))).astype(np.uint8)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 6])
def test_the_thickness_of_a_bar_is_its_width(width):
    assert thickness(bar(width)[None]) == pytest.approx([width], abs=0.26)
    assert thickness(bar(width).T[None]) == pytest.approx([width], abs=0.26)


@pytest.mark.parametrize("width", [1.5, 2, 2.5, 3, 3.5, 4.2])
def test_grey_edges_tell_less_than_a_pixel(width):
    assert thickness(ring(20, width)[None]) == pytest.approx([width], abs=0.2)


def test_brightness_length_place_and_channels_do_not_matter():
    once, twice = bar(3), bar(3)
    twice[20:23, 4:24] = 255
    dim = bar(3, level=60)
    found = thickness(np.stack([once, dim, twice, np.roll(once, -10, axis=0)]))  # the last one lies at the border
    assert found == pytest.approx([found[0]] * 4, abs=0.05)
    assert thickness(np.repeat(once[None, ..., None], 3, axis=-1)) == pytest.approx(found[:1])
    assert thickness(np.zeros((1, 28, 28), np.uint8)) == [0]


def test_eta_squared_by_hand():
    values = np.array([1.0, 3.0, 5.0, 7.0])  # about the mean 4: 9 + 1 + 1 + 9 = 20
    assert explained(values, np.array([0, 0, 1, 1])) == pytest.approx(16 / 20)  # means 2 and 6
    assert explained(values, np.array(["a", "b", "b", "a"])) == 0
    assert explained(values, np.array([0, 1, 2, 3])) == 1


def test_clusters_by_thickness_tell_it_and_clusters_by_shape_do_not():
    images = np.stack([shape(width) for width in (1, 2, 3, 4) for shape in (bar, lambda w: bar(w).T)] * 3)
    thick, shape = np.arange(24) % 8 // 2, np.arange(24) % 2
    found = strokes(images, clusters=thick, labels=shape).set_index("metric")["value"]
    assert found["thickness_by_cluster"] > 0.99
    assert found["thickness_by_class"] < 0.01
    assert found["thickness"] == pytest.approx(2.5, abs=0.2)
    same = strokes(np.stack([bar(2)] * 4), clusters=np.array([0, 0, 1, 1]), labels=np.array([0, 1, 0, 1]))
    same = same.set_index("metric")
    assert same.at["thickness", "value"] == pytest.approx(2, abs=0.3)
    assert "equally thick" in same.at["thickness_by_cluster", "reason"]
