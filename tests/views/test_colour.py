"""Each operation on colours or pixels alone against torchvision's, at the same parameters, image by image."""

from __future__ import annotations

import itertools

import pytest
import torch
from tests.views.torchvision_reference import noise, one_by_one, photographs, single
from torchvision.transforms.v2 import functional as TF

from phenoviews.errors import UserError
from phenoviews.views import Transform
from phenoviews.views.colour import shift_hue

ALONE = {
    "jitter": ("color_jitter", {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.125, "p": 1.0}),
    "jitter_strong": ("color_jitter", {"brightness": 1.5, "contrast": 1.5, "saturation": 1.5, "hue": 0.5, "p": 0.8}),
    "jitter_single_cell": (
        "color_jitter",
        {"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2, "p": 0.8},
    ),
    "jitter_hue_sometimes": ("color_jitter", {"hue": 0.5, "p": 0.8, "hue_p": 0.5}),
    "jitter_without_hue": ("color_jitter", {"hue": 0.0, "p": 1.0}),
    "jitter_hue_only": ("color_jitter", {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0.5, "p": 1.0}),
    "grayscale": ("random_grayscale", {"p": 0.5}),
    "invert": ("random_invert", {"p": 0.5}),
    "solarize": ("random_solarize", {"p": 0.5, "threshold": 0.3}),
    "blur": ("gaussian_blur", {"p": 0.5, "kernel_size": 5, "sigma": [0.1, 2.0]}),
    "blur_single_cell": ("gaussian_blur", {"p": 0.5, "kernel_size": 9, "sigma": [0.1, 2.0]}),
    "gain": ("random_gain", {"p": 0.8, "gain": [0.5, 1.8]}),
    "contrast": ("random_contrast", {"p": 0.8, "contrast": [0.5, 1.8]}),
    "gamma": ("random_gamma", {"p": 0.8, "gamma": [0.5, 2.0]}),
    "erase": ("random_erasing", {"p": 0.8}),
    "erase_with_value": ("random_erasing", {"p": 0.8, "value": 0.7}),
}


@pytest.mark.parametrize(("size", "n"), [(32, 40), (96, 8), (196, 4), (224, 4)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("case", ALONE)
def test_equals_torchvision(case, channels, size, n):
    name, parameters = ALONE[case]
    transform = single(name, size, **parameters)
    images = noise(n, channels, size)
    drawn = transform.draw(n, size, size, torch.Generator().manual_seed(1))
    torch.testing.assert_close(transform.apply(images, drawn), one_by_one(transform, images, drawn), atol=1e-5, rtol=0)


# Of any number of channels, what has a meaning for it.
ANY = {name: one for name, one in ALONE.items() if one[0] not in ("color_jitter", "random_grayscale")} | {
    "jitter": ("color_jitter", {"brightness": 0.8, "contrast": 1.2, "saturation": 0, "hue": 0, "p": 0.8}),
}


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 12])
@pytest.mark.parametrize("case", ANY)
def test_of_any_number_of_channels(case, channels):
    name, parameters = ANY[case]
    transform, images = single(name, 32, channels, **parameters), noise(12, channels, 32)
    drawn = transform.draw(12, 32, 32, torch.Generator().manual_seed(1))
    ours = transform.apply(images, drawn)
    assert ours.shape == (12, channels, 32, 32)
    torch.testing.assert_close(ours, one_by_one(transform, images, drawn), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("color_jitter", {"hue": 0, "saturation": 0.4}, "color_jitter: saturation of 5 channels"),
        ("color_jitter", {}, "color_jitter: saturation and hue of 5 channels"),
        ("random_grayscale", {"p": 0.2}, "random_grayscale: the greyscale of 5 channels"),
    ],
)
def test_what_is_of_rgb_alone_is_refused(name, parameters, said):
    with pytest.raises(UserError, match=f"{said} has no meaning; .* random_gain, random_contrast or random_gamma"):
        single(name, 32, 5, **parameters)
    for channels in (1, 3):
        single(name, 32, channels, **parameters)
    single(name, 32, 5, **{**parameters, "p": 0})


def test_images_of_another_number_of_channels_are_refused():
    with pytest.raises(UserError, match="1 or 5 channels"):
        single("random_invert", 32, 5, p=1)(noise(2, 3, 32), torch.Generator())
    grey = single("random_invert", 32, 5, p=0)(noise(2, 1, 32), torch.Generator())
    assert torch.equal(grey, noise(2, 1, 32).expand(-1, 5, -1, -1))


def test_jitter_in_every_order():
    """With factors so strong that the clamps between the four matter."""
    orders = torch.tensor(list(itertools.permutations(range(4))))
    n = len(orders)
    transform = single("color_jitter", 32)
    ones = torch.ones(n)
    drawn = [
        {
            "brightness": 1.3 * ones,
            "contrast": 1.4 * ones,
            "saturation": 1.5 * ones,
            "hue": 0.3 * ones,
            "order": orders,
        },
        {},
    ]
    images = noise(1, 3, 32).expand(n, -1, -1, -1)
    ours = transform.apply(images, drawn)
    torch.testing.assert_close(ours, one_by_one(transform, images, drawn), atol=1e-5, rtol=0)
    different = (ours[:, None] - ours).abs().amax((2, 3, 4)) > 1e-3
    assert different.float().mean() > 0.9  # the order matters


def test_hue_on_colours_with_ties():
    """Greys, primaries, secondaries and their mixtures with each other, where HSV divides by zero or has two maxima."""
    levels = torch.tensor([0.0, 0.25, 0.5, 1.0])
    colours = torch.cartesian_prod(levels, levels, levels).T[None]
    for shift in (-0.5, -0.3, -1 / 6, 0.0, 0.1, 1 / 3, 0.5):
        away = shift - torch.tensor([0.0, 1 / 3, 2 / 3]).view(1, 3, 1)
        expected = TF.adjust_hue(colours.view(3, 8, 8), shift).view(1, 3, 64)
        torch.testing.assert_close(shift_hue(colours, away), expected, atol=2e-6, rtol=0)


def test_colours_that_are_not_jittered_are_kept():
    images = photographs(8, 3, 32)
    transform = single("color_jitter", 32, p=0.5)
    drawn = transform.draw(8, 32, 32, torch.Generator().manual_seed(0))
    kept = drawn[0]["brightness"] == 1
    assert 0 < kept.sum() < 8
    ours = transform.apply(images, drawn)
    torch.testing.assert_close(ours[kept], images[kept], atol=1e-6, rtol=0)
    assert ((ours - images)[~kept].abs().amax((1, 2, 3)) > 0.01).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_normalisation(channels):
    mean, std = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
    images = noise(3, channels, 16)
    expected = TF.normalize(images.expand(-1, 3, -1, -1), list(mean), list(std))
    transform = Transform([{"normalize": {}}], 16, mean, std)
    torch.testing.assert_close(transform(images, torch.Generator()), expected, atol=1e-5, rtol=0)


def test_what_follows_the_normalisation_acts_on_normalised_values():
    """Erasing after it puts the data set's mean; an inversion before it is undone by nothing."""
    pipeline = [{"random_invert": {"p": 1}}, {"normalize": {}}, {"random_erasing": {"p": 1, "scale": [0.5, 0.6]}}]
    images = noise(6, 1, 32)
    transform = Transform(pipeline, 32, (0.2, 0.3, 0.4), (0.5, 0.6, 0.7))
    drawn = transform.draw(6, 32, 32, torch.Generator().manual_seed(0))
    ours = transform.apply(images, drawn)
    torch.testing.assert_close(ours, one_by_one(transform, images, drawn), atol=1e-5, rtol=0)
    assert ((ours == 0).float().mean((1, 2, 3)) > 0.45).all()
