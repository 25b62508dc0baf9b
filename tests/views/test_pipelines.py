"""Whole pipelines of *No Free Lunch* (section 2, appendices C and D) and of *Contrastive Learning of Single-Cell
Phenotypic Representations* (its augmentations, with the parameters of its authors' code) against torchvision's
operations one after the other.

torchvision interpolates at every step, and blurs each time; we do it once. On a photograph that makes a difference
where it is sharp, so the tolerance is that of a blur, and the views must be far closer to torchvision's than to those
of other parameters.
"""

from __future__ import annotations

import pytest
import torch
from tests.views.torchvision_reference import one_by_one, photographs

from phenoviews.views import Transform

ROTATE_25, ROTATE_180, ROTATE_360 = ({"random_rotation": {"degrees": degrees}} for degrees in (25, 180, 360))
PAD, CROP = {"pad": {"fraction": [0.1, 0.4]}}, {"random_crop": {"fraction": [0.5, 0.9]}}
CROP_SECOND = {"random_resized_crop": {"scale": [0.9, 1.1]}}
FLIPS = [{"random_horizontal_flip": {"p": 0.5}}, {"random_vertical_flip": {"p": 0.5}}]
INVERT, ERASE, NORMALIZE = {"random_invert": {"p": 0.5}}, {"random_erasing": {"p": 0.5}}, {"normalize": {}}
AFFINE = {"random_affine": {"degrees": 20, "translate": [0.1, 0.1], "shear": 10}}
CELL_CROP = {"random_resized_crop": {"scale": [0.9, 1.1], "ratio": [0.9, 1.1]}}
CELL_JITTER = {"color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.125, "p": 1.0}}
CENTRE = {"center_crop": {"fraction": 0.5}}

PIPELINES = {
    "mnist_rot_crop": [ROTATE_25, CROP, NORMALIZE],
    "mnist_rot_crop_pad": [PAD, ROTATE_25, CROP, NORMALIZE],
    "mnist_first": [PAD, ROTATE_25, CROP, INVERT, NORMALIZE],
    "mnist_rot_crop_flip": [*FLIPS, ROTATE_180, CROP_SECOND, NORMALIZE],
    "mnist_second": [*FLIPS, ROTATE_180, CROP_SECOND, NORMALIZE, ERASE],
    "cifar": [
        {"random_resized_crop": {"scale": [0.08, 1.0], "interpolation": "bicubic"}},
        {"color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1, "p": 0.8}},
        {"random_grayscale": {"p": 0.2}},
        {"random_horizontal_flip": {"p": 0.5}},
        NORMALIZE,
    ],
    "cell_first": [AFFINE, CELL_CROP, CELL_JITTER, *FLIPS, NORMALIZE],
    "cell_second": [AFFINE, ROTATE_360, CELL_JITTER, *FLIPS, NORMALIZE],
    "cell_left": [ROTATE_360, AFFINE, CELL_CROP, CELL_JITTER, *FLIPS, NORMALIZE],
    "cell_centre": [ROTATE_360, CENTRE, CELL_JITTER, *FLIPS, NORMALIZE],
    "single_cell": [
        {"random_resized_crop": {"scale": [0.08, 1.0]}},
        {"random_horizontal_flip": {"p": 0.5}},
        {"random_rotate_90": {"p": 0.5}},
        {"color_jitter": {"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2, "p": 0.8}},
        {"random_grayscale": {"p": 0.2}},
        {"gaussian_blur": {"kernel_size": 9, "sigma": [0.1, 2.0], "p": 0.5}},
        NORMALIZE,
    ],
}


@pytest.mark.parametrize(("side", "size"), [(28, 32), (32, 32), (96, 96), (196, 196), (224, 224)])
@pytest.mark.parametrize("name", PIPELINES)
def test_close_to_torchvision_step_by_step(name, side, size):
    channels = 1 if name.startswith("mnist") else 3
    n = 12 if size < 100 else 4
    transform = Transform(PIPELINES[name], size, (0.5,) * 3, (0.5,) * 3)
    images = photographs(n, channels, side)
    drawn = transform.draw(n, side, side, torch.Generator().manual_seed(2))
    ours, theirs = transform.apply(images, drawn), one_by_one(transform, images, drawn)
    if name in ("cifar", "single_cell"):  # one interpolation there too: nothing to forgive
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
        return
    difference = (ours - theirs).abs().mean((1, 2, 3)) / 2  # of values in [0, 1]
    assert difference.mean() < (0.016 if size == 32 else 0.01)
    assert difference.max() < 0.03
    others = (ours - theirs.roll(1, 0)).abs().mean((1, 2, 3)) / 2
    assert others.mean() > 0.2


@pytest.mark.parametrize("name", ["mnist_second", "cell_first", "cell_left", "cell_centre"])
def test_equal_where_interpolation_does_not_blur(name):
    """On waves of 40 pixels and more, away from edges, one interpolation and three agree."""
    at = torch.arange(196.0)
    waves = [torch.sin(at[:, None] / a + at / b + p) for a, b, p in ((8, 13, 0), (-11, 9, 1), (20, -7, 2))]
    images = (torch.stack(waves) * 0.4 + 0.5).expand(4, 3, 196, 196)
    transform = Transform(PIPELINES[name], 196, (0.0,) * 3, (1.0,) * 3)
    drawn = transform.draw(4, 196, 196, torch.Generator().manual_seed(2))
    difference = (transform.apply(images, drawn) - one_by_one(transform, images, drawn)).abs()
    assert difference.mean() < 0.002
    assert difference.flatten().quantile(0.97) < 0.004
