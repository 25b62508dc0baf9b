from __future__ import annotations

import numpy as np

from phenoviews.pictures.light import picture


def test_each_channel_is_shown_on_one_scale():
    function = np.stack([np.full((60, 80), 1.0), np.linspace(1, 1.6, 80).repeat(60).reshape(80, 60).T])
    figure = picture(function, ["DNA", "actin"], "plate")
    maps = [ax.images[0] for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in figure.axes[:2]] == ["DNA", "actin"]
    assert {image.get_clim() for image in maps[:2]} == {(1.0, 1.6)}


def test_the_curves_are_the_middle_row_and_column():
    y, x = np.mgrid[:60, :80]
    figure = picture((1 + x / 100 + y / 200)[None], ["DNA"])
    row, column = figure.axes[1].lines
    np.testing.assert_allclose(row.get_ydata(), 1 + np.arange(80) / 100 + 30 / 200)
    np.testing.assert_allclose(column.get_ydata(), 1 + 40 / 100 + np.arange(60) / 200)
